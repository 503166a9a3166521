using Plotly.Blazor;
using Plotly.Blazor.LayoutLib;

namespace Dashboard.Client.Charts;

/// <summary>Axes as all charts have them: labelled, quiet, with a zero line, not draggable.</summary>
internal static class ChartAxes
{
    public static XAxis X(ChartColours colours, string title, string? format = null, bool grid = true) => new()
    {
        Title = new Plotly.Blazor.LayoutLib.XAxisLib.Title { Text = title, Standoff = 8, Font = new Plotly.Blazor.LayoutLib.XAxisLib.TitleLib.Font { Size = 12 } },
        TickFormat = format,
        GridColor = colours.Line,
        ShowGrid = grid,
        ZeroLine = true,
        ZeroLineColor = colours.Zero,
        ZeroLineWidth = 1,
        FixedRange = true,
        // Ticks that are not seen keep the first label away from the lowest one of the other axis.
        Ticks = Plotly.Blazor.LayoutLib.XAxisLib.TicksEnum.Outside,
        TickLen = 6,
        TickColor = "rgba(0,0,0,0)",
        AutoMargin = Plotly.Blazor.LayoutLib.XAxisLib.AutoMarginFlag.True,
    };

    public static YAxis Y(ChartColours colours, string title, string? format = null, bool grid = true) => new()
    {
        Title = new Plotly.Blazor.LayoutLib.YAxisLib.Title { Text = title, Standoff = 8, Font = new Plotly.Blazor.LayoutLib.YAxisLib.TitleLib.Font { Size = 12 } },
        TickFormat = format,
        GridColor = colours.Line,
        ShowGrid = grid,
        ZeroLine = true,
        ZeroLineColor = colours.Zero,
        ZeroLineWidth = 1,
        FixedRange = true,
        AutoMargin = Plotly.Blazor.LayoutLib.YAxisLib.AutoMarginFlag.True,
    };

    public static Margin Margin(int left = 8, int right = 12, int top = 6, int bottom = 8) => new() { L = left, R = right, T = top, B = bottom };
}
