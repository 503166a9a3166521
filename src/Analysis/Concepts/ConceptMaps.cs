using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>Where in an image a concept is present, and how a concept relates to single channels.</summary>
public static class ConceptMaps
{
    /// <summary>map(h, w) = Σ_c v_c A(c, h, w); its mean over positions is the projection of the pooled activation.</summary>
    /// <param name="activations">n×C×H×W, or n×C (maps of 1×1).</param>
    /// <param name="vectors">k×C, or C for one concept; converted to the dtype and device of the activations.</param>
    /// <returns>n×k×H×W in the dtype of the activations.</returns>
    public static Tensor Compute(Tensor activations, Tensor vectors)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = activations.dim() == 2 ? activations.unsqueeze(2).unsqueeze(3) : activations;
        var v = (vectors.dim() == 1 ? vectors.unsqueeze(0) : vectors).to(a.dtype).to(a.device);
        return torch.einsum("kc,nchw->nkhw", v, a).MoveToOuterDisposeScope();
    }

    /// <summary>Bilinear upsampling with aligned corners: the end points of the map fall on those of the image.</summary>
    /// <param name="maps">n×k×h×w.</param>
    /// <param name="height">Rows of the result.</param>
    /// <param name="width">Columns of the result.</param>
    public static Tensor Upsample(Tensor maps, int height, int width)
    {
        using var noGrad = torch.no_grad();
        return torch.nn.functional.interpolate(maps, [height, width], mode: InterpolationMode.Bilinear, align_corners: true);
    }

    /// <summary>Percentile of all entries, interpolated linearly between order statistics.</summary>
    /// <param name="values">Any shape.</param>
    /// <param name="q">0 to 100.</param>
    public static double Percentile(Tensor values, double q)
    {
        using var flat = values.detach().to(ScalarType.Float64).cpu().reshape(1, -1);
        return RobustStatistics.Percentile(DenseMatrix.FromTensor(flat).Values, q);
    }

    /// <summary>The published segmentation: each map above its own percentile. It always paints the same share of an image.</summary>
    /// <param name="maps">n×h×w or n×k×h×w.</param>
    /// <param name="q">0 to 100; published 80, in a notebook 85.</param>
    /// <returns>Bool, same shape; and the thresholds, in the order of the maps.</returns>
    public static (Tensor Masks, double[] Thresholds) PercentileMasks(Tensor maps, double q)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var flat = maps.reshape(-1, maps.shape[^1] * maps.shape[^2]);
        var host = DenseMatrix.FromTensor(flat);
        var thresholds = new double[host.Rows];
        for (var i = 0; i < host.Rows; i++)
        {
            thresholds[i] = RobustStatistics.Percentile(host.Row(i), q);
        }

        using var limit = torch.tensor(thresholds, ScalarType.Float64, device: maps.device).unsqueeze(1);
        var masks = (flat.to(ScalarType.Float64) > limit).view(maps.shape);
        return (masks.MoveToOuterDisposeScope(), thresholds);
    }

    /// <summary>Channel with the largest |entry| of each vector, the first on ties, and the signed cosine with it.</summary>
    /// <param name="vectors">k×C; need not be of unit length.</param>
    public static (int[] Channel, double[] Cosine) Channels(DenseMatrix vectors)
    {
        var channel = new int[vectors.Rows];
        var cosine = new double[vectors.Rows];
        for (var i = 0; i < vectors.Rows; i++)
        {
            var row = vectors.Row(i);
            for (var c = 1; c < row.Length; c++)
            {
                if (Math.Abs(row[c]) > Math.Abs(row[channel[i]]))
                {
                    channel[i] = c;
                }
            }

            cosine[i] = row[channel[i]] / Vectors.Norm(row);
        }

        return (channel, cosine);
    }

    /// <summary>Participation ratio (Σ v²)² / Σ v⁴: 1 for a single channel, C for a vector spread evenly over all.</summary>
    /// <param name="vector">Length C; NaN for zeros.</param>
    public static double ParticipationRatio(ReadOnlySpan<double> vector)
    {
        double two = 0, four = 0;
        foreach (var v in vector)
        {
            two += v * v;
            four += v * v * v * v;
        }

        return two * two / four;
    }
}
