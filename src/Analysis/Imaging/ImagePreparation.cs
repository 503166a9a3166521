using Analysis.Datasets;

namespace Analysis.Imaging;

/// <summary>Carries out a <see cref="Preprocessing"/>: from decoded pixels to what the network sees.</summary>
public static class ImagePreparation
{
    /// <summary>Decodes and resizes; see <see cref="Resize"/>.</summary>
    /// <exception cref="AnalysisException">The image cannot be decoded.</exception>
    public static RgbImage Prepare(RawImage image, Preprocessing preprocessing) => Resize(ImageDecoder.Decode(image), preprocessing);

    /// <summary>
    /// The image at the network's input size, before normalisation. With <see cref="ResizeMode.ShorterSideCentreCrop"/> the
    /// longer side becomes target × longer / shorter, rounded to the nearest pixel (torchvision rounds down, so that there the
    /// crop can sit half a pixel elsewhere). A target smaller than the crop is raised until the
    /// resized image covers the crop, so that any image gives exactly height × width pixels.
    /// </summary>
    /// <returns>Height × width pixels; the very same object where nothing had to change.</returns>
    public static RgbImage Resize(RgbImage image, Preprocessing preprocessing)
    {
        var (width, height) = (preprocessing.Width, preprocessing.Height);
        if (preprocessing.Resize == ResizeMode.Stretch)
        {
            return AntialiasedBilinear.Resize(image, width, height);
        }

        var (fullWidth, fullHeight) = FullSize(image.Width, image.Height, preprocessing);
        return AntialiasedBilinear.ResizeAndCrop(image, fullWidth, fullHeight, (fullWidth - width) / 2, (fullHeight - height) / 2, width, height);
    }

    /// <summary>
    /// The part of the original image that the network sees, in shares of the original's width and height; all of it for
    /// <see cref="ResizeMode.Stretch"/>. Maps rectangles on the network's input back onto the file.
    /// </summary>
    public static RelativeRectangle VisiblePart(int imageWidth, int imageHeight, Preprocessing preprocessing)
    {
        if (preprocessing.Resize == ResizeMode.Stretch)
        {
            return RelativeRectangle.All;
        }

        var (fullWidth, fullHeight) = FullSize(imageWidth, imageHeight, preprocessing);
        var (left, top) = ((fullWidth - preprocessing.Width) / 2, (fullHeight - preprocessing.Height) / 2);
        return new RelativeRectangle(
            left / (double)fullWidth,
            top / (double)fullHeight,
            preprocessing.Width / (double)fullWidth,
            preprocessing.Height / (double)fullHeight);
    }

    /// <summary>(x / 255 − mean) / std per channel in float32, into channel planes.</summary>
    /// <param name="image">An image of the input size.</param>
    /// <param name="preprocessing">Mean and standard deviation.</param>
    /// <param name="target">3 × height × width values: the red plane, then green, then blue.</param>
    /// <exception cref="ArgumentException">The image or the target has another size.</exception>
    public static void Normalise(RgbImage image, Preprocessing preprocessing, Span<float> target)
    {
        var plane = preprocessing.Width * preprocessing.Height;
        if (image.Width != preprocessing.Width || image.Height != preprocessing.Height || target.Length != 3 * plane)
        {
            throw new ArgumentException($"Expected {preprocessing.Width}×{preprocessing.Height} pixels and {3 * plane} values, got {image.Width}×{image.Height} and {target.Length}.", nameof(image));
        }

        Span<float> table = stackalloc float[256];
        for (var channel = 0; channel < 3; channel++)
        {
            var (mean, std) = (preprocessing.Mean[channel], preprocessing.Std[channel]);
            for (var value = 0; value < 256; value++)
            {
                table[value] = ((value / 255f) - mean) / std;
            }

            var values = target.Slice(channel * plane, plane);
            var pixels = image.Pixels.AsSpan(channel);
            for (int i = 0, from = 0; i < values.Length; i++, from += 3)
            {
                values[i] = table[pixels[from]];
            }
        }
    }

    private static (long Width, long Height) FullSize(int imageWidth, int imageHeight, Preprocessing preprocessing)
    {
        var (width, height) = (preprocessing.Width, preprocessing.Height);
        long target = preprocessing.ResizeTo > 0 ? preprocessing.ResizeTo : Math.Min(width, height);
        var shorter = Math.Min(imageWidth, imageHeight);

        // Only a non-square crop, or a target below the crop, can need more than the target.
        target = Math.Max(target, Math.Max(DivideUp((long)width * shorter, imageWidth), DivideUp((long)height * shorter, imageHeight)));
        return (Scaled(imageWidth, target, shorter), Scaled(imageHeight, target, shorter));
    }

    private static long Scaled(long side, long target, long shorter) =>
        side == shorter ? target : (long)Math.Round(target * side / (double)shorter, MidpointRounding.ToEven);

    private static long DivideUp(long value, long by) => (value + by - 1) / by;
}
