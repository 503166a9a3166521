using MudBlazor;

namespace Dashboard.Client.State;

/// <summary>The component kit's theme. Its palettes repeat the colours of css/atlas.css for what the kit computes itself.</summary>
public static class AtlasTheme
{
    private static readonly string[] Fonts = ["Inter", "ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"];

    /// <summary>Dense, bordered, one accent.</summary>
    public static MudTheme Theme { get; } = new()
    {
        PaletteLight = new PaletteLight
        {
            Primary = "#0b66a8",
            Secondary = "#535c66",
            Background = "#fbfbfc",
            Surface = "#ffffff",
            AppbarBackground = "#ffffff",
            AppbarText = "#1b1f24",
            TextPrimary = "#1b1f24",
            TextSecondary = "#535c66",
            LinesDefault = "#e1e4e8",
            LinesInputs = "#c6ccd3",
            Error = "#b3261e",
        },
        PaletteDark = new PaletteDark
        {
            Primary = "#5bb0ea",
            Secondary = "#aab2bb",
            Background = "#121417",
            Surface = "#1a1d21",
            AppbarBackground = "#1a1d21",
            AppbarText = "#e7e9ec",
            TextPrimary = "#e7e9ec",
            TextSecondary = "#aab2bb",
            LinesDefault = "#2c3137",
            LinesInputs = "#434a52",
            Error = "#f28b82",
        },
        LayoutProperties = new LayoutProperties { DefaultBorderRadius = "6px", AppbarHeight = "48px" },
        Typography = new Typography
        {
            Default = new DefaultTypography { FontFamily = Fonts, FontSize = "14px", LineHeight = "1.5", LetterSpacing = "normal" },
            Button = new ButtonTypography { FontFamily = Fonts, FontSize = "13.5px", FontWeight = "500", TextTransform = "none", LetterSpacing = "normal" },
            H6 = new H6Typography { FontFamily = Fonts, FontSize = "16px", FontWeight = "600", LetterSpacing = "normal" },
        },
    };
}
