namespace Dashboard.Client.Charts;

/// <summary>Colours that charts take from the theme; the same values as css/atlas.css.</summary>
/// <param name="Ink">Text.</param>
/// <param name="Quiet">Axis labels.</param>
/// <param name="Line">Grid lines.</param>
/// <param name="Zero">Zero lines and whiskers.</param>
/// <param name="Card">Surface behind the chart.</param>
/// <param name="Accent">Bars without a colour of their own.</param>
public sealed record ChartColours(string Ink, string Quiet, string Line, string Zero, string Card, string Accent)
{
    /// <summary>On light surfaces.</summary>
    public static ChartColours Light { get; } = new("#1b1f24", "#535c66", "#e9ecef", "#98a0a8", "#ffffff", "#0b66a8");

    /// <summary>On dark surfaces.</summary>
    public static ChartColours Dark { get; } = new("#e7e9ec", "#aab2bb", "#2c3137", "#6f7883", "#1a1d21", "#5bb0ea");

    /// <summary>By theme.</summary>
    public static ChartColours For(bool dark) => dark ? Dark : Light;
}
