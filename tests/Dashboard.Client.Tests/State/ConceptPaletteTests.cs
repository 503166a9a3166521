using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class ConceptPaletteTests
{
    [Fact]
    public void Eight_different_colours_then_grey()
    {
        Assert.Equal(8, ConceptPalette.Colours.Distinct().Count());
        Assert.Equal(ConceptPalette.Colours[7], ConceptPalette.ForRank(7));
        Assert.Equal(ConceptPalette.Grey, ConceptPalette.ForRank(8));
        Assert.Equal(ConceptPalette.Grey, ConceptPalette.ForRank(-1));
    }

    [Fact]
    public void Strategies_take_the_same_hues_in_another_order()
    {
        Assert.Equal(ConceptPalette.Colours.Order(), ConceptPalette.StrategyColours.Order());
        Assert.All(Enumerable.Range(0, 8), i => Assert.NotEqual(ConceptPalette.ForRank(i), ConceptPalette.ForStrategy(i)));
    }

    [Theory]
    [InlineData("#ffffff")]
    [InlineData("#1a1d21")]
    public void Every_colour_can_be_seen_on_both_surfaces(string surface) =>
        Assert.All(ConceptPalette.Colours, c => Assert.True(Contrast(c, surface) >= 1.9, $"{c} on {surface}: {Contrast(c, surface):0.00}"));

    [Fact]
    public void No_two_colours_look_alike_without_red_or_green_receptors()
    {
        foreach (var receptor in new[] { Deuteranopia, Protanopia })
        {
            for (var i = 0; i < 8; i++)
            {
                for (var j = 0; j < i; j++)
                {
                    var distance = Distance(Seen(ConceptPalette.Colours[i], receptor), Seen(ConceptPalette.Colours[j], receptor));
                    Assert.True(distance > 40, $"{ConceptPalette.Colours[i]} and {ConceptPalette.Colours[j]}: {distance:0}");
                }
            }
        }
    }

    [Theory]
    [InlineData(0, "A")]
    [InlineData(25, "Z")]
    [InlineData(26, "AA")]
    [InlineData(51, "AZ")]
    [InlineData(52, "BA")]
    public void Strategies_have_letters(int index, string letter) => Assert.Equal(letter, ConceptPalette.StrategyLetter(index));

    // Simulation matrices on linear RGB after Machado, Oliveira and Fernandes (2009), severity 1.
    private static readonly double[,] Deuteranopia = { { 0.367322, 0.860646, -0.227968 }, { 0.280085, 0.672501, 0.047413 }, { -0.011820, 0.042940, 0.968881 } };
    private static readonly double[,] Protanopia = { { 0.152286, 1.052583, -0.204868 }, { 0.114503, 0.786281, 0.099216 }, { -0.003882, -0.048116, 1.051998 } };

    private static double[] Linear(string colour) => [.. Enumerable.Range(0, 3).Select(k =>
    {
        var v = Convert.ToInt32(colour.Substring(1 + 2 * k, 2), 16) / 255.0;
        return v <= 0.04045 ? v / 12.92 : Math.Pow((v + 0.055) / 1.055, 2.4);
    })];

    private static double[] Seen(string colour, double[,] m)
    {
        var c = Linear(colour);
        return [.. Enumerable.Range(0, 3).Select(r =>
        {
            var v = Math.Clamp(m[r, 0] * c[0] + m[r, 1] * c[1] + m[r, 2] * c[2], 0, 1);
            return 255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * Math.Pow(v, 1 / 2.4) - 0.055);
        })];
    }

    private static double Distance(double[] a, double[] b) => Math.Sqrt(a.Zip(b, (x, y) => (x - y) * (x - y)).Sum());

    private static double Contrast(string a, string b)
    {
        double Luminance(string colour) => Linear(colour) is [var r, var g, var bl] ? 0.2126 * r + 0.7152 * g + 0.0722 * bl : 0;
        double x = Luminance(a), y = Luminance(b);
        return (Math.Max(x, y) + 0.05) / (Math.Min(x, y) + 0.05);
    }
}
