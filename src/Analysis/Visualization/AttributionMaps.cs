using Analysis.Concepts;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Visualization;

/// <summary>Where in a picture a concept is (CRAFT, Fel et al. 2023, arXiv 2211.10154, section 3): fast from spatial coefficients, or exact to the pixel.</summary>
public static class AttributionMaps
{
    private const double Percentile = 90;

    /// <summary>
    /// Spatial coefficients of the picture; those below their own 90th percentile become 0; bicubic to the size of the picture;
    /// clipped to the 10th and 90th percentiles of what is not 0.
    /// </summary>
    /// <param name="activation">1×C×H×W at the analysed layer.</param>
    /// <param name="encoder">The concepts.</param>
    /// <param name="concept">Place of the concept.</param>
    /// <param name="height">Height of the map.</param>
    /// <param name="width">Width of the map.</param>
    /// <returns>height×width float32 on the CPU; belongs to the caller's dispose scope.</returns>
    public static Tensor Fast(Tensor activation, ConceptEncoder encoder, int concept, int height, int width)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var map = encoder.Maps(activation).select(1, concept).to(ScalarType.Float32).cpu();
        var values = DenseMatrix.FromTensor(map.reshape(1, -1)).Values;
        var limit = RobustStatistics.Percentile(values, Percentile);
        map = map.where(map >= Scalars.Of(limit), zeros_like(map)).unsqueeze(0);
        map = nn.functional.interpolate(map, [height, width], mode: InterpolationMode.Bicubic, align_corners: false)[0, 0];
        var shown = DenseMatrix.FromTensor(map.reshape(1, -1)).Values.Where(v => v != 0).ToArray();
        if (shown.Length > 0)
        {
            map = map.clamp(Scalars.Of(Math.Min(0, RobustStatistics.Percentile(shown, 100 - Percentile))), Scalars.Of(RobustStatistics.Percentile(shown, Percentile)));
        }

        return map.contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Derivative of the image's coefficient with respect to every pixel value: that of the coefficients (for non-negative ones
    /// by their active set) chained with the backbone's.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="encoder">The concepts.</param>
    /// <param name="concept">Place of the concept.</param>
    /// <param name="image">1×3×H×W, prepared for the network, on its device.</param>
    /// <returns>3×H×W float32 on the CPU; belongs to the caller's dispose scope.</returns>
    /// <exception cref="AnalysisException">The network cannot be differentiated down to its images.</exception>
    public static Tensor Exact(INetwork network, string layer, ConceptEncoder encoder, int concept, Tensor image)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        var leaf = image.detach().clone().requires_grad_(true);
        var activation = network.Backbone(leaf, layer);
        Tensor weights;
        using (no_grad())
        {
            var (c, h, w) = (activation.shape[1], activation.shape[2], activation.shape[3]);
            var positions = activation.detach().to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, c);
            var gradient = encoder.ByPositions ? encoder.Gradient(positions, concept) : encoder.Gradient(positions.mean([0L], keepdim: true), concept).expand(h * w, c);
            weights = (gradient / Scalars.Of(h * w)).reshape(1, h, w, c).permute(0, 3, 1, 2).to(activation.dtype).contiguous();
        }

        autograd.backward([(activation * weights).sum()], inputs: [leaf]);
        return leaf.grad!.detach()[0].cpu().contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>A picture under a map, at the usual opacity of 0.65 where the map is largest.</summary>
    /// <param name="image">3×H×W as the network sees it.</param>
    /// <param name="map">H×W; negative values are not shown.</param>
    /// <param name="preprocessing">How the picture was prepared, to undo it.</param>
    public static RgbImage Overlay(Tensor image, Tensor map, Preprocessing preprocessing)
    {
        const float Opacity = 0.65f;
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var (height, width) = ((int)image.shape[1], (int)image.shape[2]);
        var values = image.to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray();
        var weights = map.to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray();
        var most = Math.Max(weights.Max(), 1e-30f);
        var pixels = new byte[height * width * 3];
        ReadOnlySpan<float> colour = [210, 40, 95];
        for (var place = 0; place < height * width; place++)
        {
            var share = Opacity * Math.Clamp(weights[place] / most, 0, 1);
            for (var channel = 0; channel < 3; channel++)
            {
                var value = 255 * ((values[(channel * height * width) + place] * preprocessing.Std[channel]) + preprocessing.Mean[channel]);
                pixels[(3 * place) + channel] = (byte)Math.Clamp(Math.Round((value * (1 - share)) + (colour[channel] * share)), 0, 255);
            }
        }

        return new RgbImage(width, height, pixels);
    }
}
