namespace Analysis.Imaging;

/// <summary>How an image of another size is brought to the network's input size.</summary>
public enum ResizeMode
{
    /// <summary>Straight to height × width, whatever the aspect ratio.</summary>
    Stretch,

    /// <summary>Shorter side to the target, then the centre crop (left = (w − W) / 2, top = (h − H) / 2, integer division).</summary>
    ShorterSideCentreCrop,
}

/// <summary>
/// What happens to an image between the file and the network: decode to RGB, resize with the antialiased bilinear
/// (triangle) filter with half-pixel centres as Pillow and torchvision do, crop, then (x / 255 − mean) / std per channel.
/// </summary>
/// <param name="Height">Input height in pixels.</param>
/// <param name="Width">Input width in pixels.</param>
/// <param name="Mean">Per-channel mean (RGB) of x / 255.</param>
/// <param name="Std">Per-channel standard deviation (RGB) of x / 255, each greater than 0.</param>
/// <param name="Resize">How other sizes are brought to height × width.</param>
/// <param name="ResizeTo">Length in pixels that the shorter side is resized to before the crop; 0 for the crop's own size.</param>
public sealed record Preprocessing(
    int Height,
    int Width,
    IReadOnlyList<float> Mean,
    IReadOnlyList<float> Std,
    ResizeMode Resize,
    int ResizeTo = 0);

/// <summary>Decoded RGB pixels, 8 bits a channel, row by row, interleaved.</summary>
/// <param name="Width">Width in pixels.</param>
/// <param name="Height">Height in pixels.</param>
/// <param name="Pixels">height × width × 3 bytes.</param>
public sealed record RgbImage(int Width, int Height, byte[] Pixels);
