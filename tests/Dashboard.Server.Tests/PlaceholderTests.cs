using System.Text;
using Analysis.Imaging;
using Dashboard.Server.Images;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Pictures of samples that have none.</summary>
public sealed class PlaceholderTests
{
    [Fact]
    public void A_plain_name_is_drawn_and_a_longer_one_has_more_ink_up_to_five_lines()
    {
        var ink = new[] { "a/p1.png", "a/p000019.png", $"a/{new string('m', 60)}.png", $"a/{new string('m', 600)}.png" }.Select(Ink).ToList();
        Assert.Equal(ink.Order(), ink);
        Assert.Equal(4, ink.Distinct().Count());
        // Sixty letters take five lines; what is more is told by a sign in place of the last letter.
        Assert.True(ink[3] - ink[2] < 10 * PixelFont.Width * PixelFont.Height * 4);
    }

    [Fact]
    public void Every_letter_looks_different_from_every_other()
    {
        const string all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.()+,…";
        Assert.True(PixelFont.Has(all));
        var shapes = all.Select(letter => string.Concat(
            from y in Enumerable.Range(0, PixelFont.Height) from x in Enumerable.Range(0, PixelFont.Width) select PixelFont.Dot(letter, x, y) ? '#' : '.')).ToList();
        Assert.Equal(all.Length, shapes.Distinct().Count());
        Assert.All(shapes, shape => Assert.Contains('#', shape));
    }

    [Theory]
    [InlineData("a/木.png", "木")]
    [InlineData("a/<script>.png", "&lt;script&gt;")]
    public void A_name_in_another_script_is_written_as_text_and_stays_text(string path, string expected)
    {
        var picture = Placeholder.Of(path);
        Assert.Equal("image/svg+xml", Placeholder.TypeOf(picture));
        Assert.Contains($">{expected}</text>", Encoding.UTF8.GetString(picture));
    }

    private static int Ink(string path)
    {
        var picture = Placeholder.Of(path);
        Assert.Equal("image/png", Placeholder.TypeOf(picture));
        var image = ImageDecoder.Decode(picture);
        var ground = (image.Pixels[0], image.Pixels[1], image.Pixels[2]);
        return Enumerable.Range(0, image.Width * image.Height).Count(at => (image.Pixels[3 * at], image.Pixels[(3 * at) + 1], image.Pixels[(3 * at) + 2]) != ground);
    }
}
