using System.Globalization;
using System.Net;
using System.Text;
using Analysis.Imaging;

namespace Dashboard.Server.Images;

/// <summary>
/// What stands for a sample without a picture: its name on neutral ground. Names in plain letters are drawn as PNG: to a browser an
/// SVG is a document, and a page of three hundred takes seconds. Names in other scripts are SVG, where any script can be shown.
/// </summary>
internal static class Placeholder
{
    private const int LineLength = 14;
    private const int Lines = 5;
    private const int Side = 192;
    private const int Margin = 6;
    private const int LineHeight = PixelFont.Height + 4;

    /// <summary>The picture for a sample's path: its last segment without extension, in up to five lines.</summary>
    public static byte[] Of(string path)
    {
        var lines = LinesOf(path);
        return lines.TrueForAll(PixelFont.Has) ? Drawn(lines) : Written(lines);
    }

    private static List<string> LinesOf(string path)
    {
        var name = Path.GetFileNameWithoutExtension(path.TrimEnd('/'));
        var text = new StringInfo(Printable(name.Length == 0 ? path : name));
        var lines = new List<string>();
        for (var start = 0; start < text.LengthInTextElements && lines.Count < Lines; start += LineLength)
        {
            var last = lines.Count == Lines - 1 && start + LineLength < text.LengthInTextElements;
            lines.Add(text.SubstringByTextElements(start, Math.Min(last ? LineLength - 1 : LineLength, text.LengthInTextElements - start)) + (last ? "…" : ""));
        }

        return lines;
    }

    // Light ground and letters that can be read on both themes.
    private static byte[] Drawn(List<string> lines)
    {
        // As large as the longest line and the number of lines allow: pictures are mostly seen small.
        const int room = Side - (2 * Margin), largest = 4;
        var longest = lines.Select(line => line.Length).DefaultIfEmpty(1).Max();
        var dot = Math.Clamp(Math.Min(room / (longest * (PixelFont.Width + 1)), room / (Math.Max(1, lines.Count) * LineHeight)), 1, largest);
        var (advance, step) = ((PixelFont.Width + 1) * dot, LineHeight * dot);
        var pixels = new byte[Side * Side * 4];
        for (var at = 0; at < pixels.Length; at += 4)
        {
            (pixels[at], pixels[at + 1], pixels[at + 2], pixels[at + 3]) = (0x8a, 0x8f, 0x98, 46);
        }

        var top = (Side - ((lines.Count - 1) * step) - (PixelFont.Height * dot)) / 2;
        for (var line = 0; line < lines.Count; line++)
        {
            var left = (Side - (lines[line].Length * advance) + dot) / 2;
            for (var y = 0; y < PixelFont.Height * dot; y++)
            {
                for (var x = 0; x < lines[line].Length * advance; x++)
                {
                    if (PixelFont.Dot(lines[line][x / advance], x % advance / dot, y / dot))
                    {
                        var at = 4 * (((top + (line * step) + y) * Side) + left + x);
                        (pixels[at], pixels[at + 1], pixels[at + 2], pixels[at + 3]) = (0x7a, 0x80, 0x8a, 255);
                    }
                }
            }
        }

        return ThumbnailMaker.EncodeTransparentPng(pixels, Side, Side);
    }

    private static byte[] Written(List<string> lines)
    {
        var svg = new StringBuilder("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 96 96\" width=\"192\" height=\"192\">")
            .Append("<rect width=\"96\" height=\"96\" fill=\"#8a8f98\" fill-opacity=\".18\"/><g font-family=\"ui-monospace,monospace\" font-size=\"9\" fill=\"#7a808a\" text-anchor=\"middle\">");
        for (var i = 0; i < lines.Count; i++)
        {
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"48\" y=\"{51 - (5.5 * (lines.Count - 1)) + (11 * i):0.#}\">{WebUtility.HtmlEncode(lines[i])}</text>");
        }

        return Encoding.UTF8.GetBytes(svg.Append("</g></svg>").ToString());
    }

    /// <summary>Media type of a picture that <see cref="PictureService"/> gave, by its first bytes.</summary>
    public static string TypeOf(ReadOnlySpan<byte> picture) =>
        picture.StartsWith("<svg "u8) ? "image/svg+xml" : picture.Length > 4 && picture[1..4].SequenceEqual("PNG"u8) ? "image/png" : "image/webp";

    // Characters that XML cannot hold at all would make the picture unreadable.
    private static string Printable(string text) => string.Concat(text.EnumerateRunes().Select(r => Rune.IsControl(r) || r.Value is 0xFFFE or 0xFFFF ? "?" : r.ToString()));
}
