using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>
/// Square patches of the network's input, as CRAFT cuts them (Fel et al. 2023, arXiv 2211.10154): side 64 of 224, a step of
/// ⌊0.8 side⌋, no padding, remainders dropped.
/// </summary>
/// <param name="Side">Side of a patch in pixels.</param>
/// <param name="Step">Distance of neighbouring patches in pixels.</param>
/// <param name="Rows">Patches from top to bottom.</param>
/// <param name="Columns">Patches from left to right.</param>
/// <param name="Height">Height of the input.</param>
/// <param name="Width">Width of the input.</param>
public sealed record CropGeometry(int Side, int Step, int Rows, int Columns, int Height, int Width)
{
    /// <summary>Patches of an image.</summary>
    public int Count => Rows * Columns;

    /// <summary>The usual geometry for an input size.</summary>
    public static CropGeometry For(int height, int width) => For(height, width, Math.Max(1, (int)Math.Round(64 / 224.0 * Math.Min(height, width))));

    /// <summary>The geometry for a given side.</summary>
    public static CropGeometry For(int height, int width, int side)
    {
        var step = Math.Max(1, (int)(0.8 * side));
        return new CropGeometry(side, step, ((height - side) / step) + 1, ((width - side) / step) + 1, height, width);
    }

    /// <summary>A patch as shares of the input.</summary>
    /// <param name="crop">Number of the patch, row by row.</param>
    public (double Left, double Top, double Width, double Height) Rectangle(int crop) => (
        crop % Columns * Step / (double)Width, crop / Columns * Step / (double)Height, Side / (double)Width, Side / (double)Height);

    /// <summary>Cuts images and resizes every patch bilinearly (half-pixel centres) to the input size.</summary>
    /// <param name="images">n×3×H×W.</param>
    /// <returns>(n · patches)×3×H×W, the patches of an image one after the other, row by row.</returns>
    public Tensor Cut(Tensor images)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return nn.functional.interpolate(Patches(images), [Height, Width], mode: InterpolationMode.Bilinear, align_corners: false).MoveToOuterDisposeScope();
    }

    /// <summary>Cuts images without resizing.</summary>
    /// <param name="images">n×3×H×W.</param>
    /// <returns>(n · patches)×3×side×side.</returns>
    public Tensor Patches(Tensor images)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var windows = images.unfold(2, Side, Step).unfold(3, Side, Step);
        return windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1], Side, Side).MoveToOuterDisposeScope();
    }
}

/// <summary>Coefficients of the crops of a class's images; a concept is shown by its strongest crops.</summary>
/// <param name="geometry">Where the crops are.</param>
/// <param name="concepts">k.</param>
/// <param name="codes">n×P×k row by row, P crops an image.</param>
public sealed class CropCodes(CropGeometry geometry, int concepts, float[] codes)
{
    /// <summary>Largest coefficient of a concept among the crops of each image. Length n.</summary>
    public double[] Best(int concept) =>
        [.. Enumerable.Range(0, codes.Length / (geometry.Count * concepts)).Select(image => (double)Code(image, BestCrop(image, concept), concept))];

    /// <summary>The crop of an image with the largest coefficient of a concept, as shares of the input; the first among equals.</summary>
    public (double Left, double Top, double Width, double Height) Rectangle(int image, int concept) => geometry.Rectangle(BestCrop(image, concept));

    private int BestCrop(int image, int concept)
    {
        var best = 0;
        for (var crop = 1; crop < geometry.Count; crop++)
        {
            if (Code(image, crop, concept) > Code(image, best, concept))
            {
                best = crop;
            }
        }

        return best;
    }

    private float Code(int image, int crop, int concept) => codes[(((image * geometry.Count) + crop) * concepts) + concept];
}
