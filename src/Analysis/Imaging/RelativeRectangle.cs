namespace Analysis.Imaging;

/// <summary>A rectangle in shares of an image's width and height.</summary>
/// <param name="Left">Left edge, 0 to 1.</param>
/// <param name="Top">Top edge, 0 to 1.</param>
/// <param name="Width">Width, above 0.</param>
/// <param name="Height">Height, above 0.</param>
public readonly record struct RelativeRectangle(double Left, double Top, double Width, double Height)
{
    /// <summary>The whole image.</summary>
    public static RelativeRectangle All => new(0, 0, 1, 1);

    /// <summary>A rectangle given in shares of <paramref name="outer"/>, expressed in what <paramref name="outer"/> is expressed in.</summary>
    public RelativeRectangle Within(RelativeRectangle outer) =>
        new(outer.Left + (Left * outer.Width), outer.Top + (Top * outer.Height), Width * outer.Width, Height * outer.Height);
}
