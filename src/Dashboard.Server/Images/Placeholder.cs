using System.Globalization;
using System.Net;
using System.Text;

namespace Dashboard.Server.Images;

/// <summary>What stands for a sample without a picture: its name on neutral ground, as SVG, so that any script can be shown.</summary>
internal static class Placeholder
{
    private const int LineLength = 14;
    private const int Lines = 5;
    private static readonly byte[] Start = Encoding.ASCII.GetBytes("<svg ");

    /// <summary>The picture for a sample's path: its last segment without extension, in up to five lines.</summary>
    public static byte[] Of(string path)
    {
        var name = Path.GetFileNameWithoutExtension(path.TrimEnd('/'));
        var text = new StringInfo(Printable(name.Length == 0 ? path : name));
        var lines = new List<string>();
        for (var start = 0; start < text.LengthInTextElements && lines.Count < Lines; start += LineLength)
        {
            var last = lines.Count == Lines - 1 && start + LineLength < text.LengthInTextElements;
            lines.Add(text.SubstringByTextElements(start, Math.Min(last ? LineLength - 1 : LineLength, text.LengthInTextElements - start)) + (last ? "…" : ""));
        }

        var svg = new StringBuilder("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 96 96\" width=\"192\" height=\"192\">")
            .Append("<rect width=\"96\" height=\"96\" fill=\"#8a8f98\" fill-opacity=\".18\"/><g font-family=\"ui-monospace,monospace\" font-size=\"9\" fill=\"#7a808a\" text-anchor=\"middle\">");
        for (var i = 0; i < lines.Count; i++)
        {
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"48\" y=\"{51 - (5.5 * (lines.Count - 1)) + (11 * i):0.#}\">{WebUtility.HtmlEncode(lines[i])}</text>");
        }

        return Encoding.UTF8.GetBytes(svg.Append("</g></svg>").ToString());
    }

    /// <summary>True for bytes that <see cref="Of"/> made.</summary>
    public static bool Is(ReadOnlySpan<byte> bytes) => bytes.StartsWith(Start);

    // Characters that XML cannot hold at all would make the picture unreadable.
    private static string Printable(string text) => string.Concat(text.EnumerateRunes().Select(r => Rune.IsControl(r) || r.Value is 0xFFFE or 0xFFFF ? "?" : r.ToString()));
}
