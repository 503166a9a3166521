using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Analysis.Runs;

/// <summary>
/// Content address of a stage's artefact: SHA-256 over the stage's name and version, the keys of its inputs and every option
/// that its result depends on. Equal keys mean equal results, so that an artefact is never computed twice.
/// </summary>
public static class ArtifactKey
{
    /// <summary>Makes a key of 32 hex digits.</summary>
    /// <param name="stage">Stage name with version, for example <c>activations/1</c>.</param>
    /// <param name="parts">Input keys and options; numbers are written invariantly, null as empty.</param>
    public static string Of(string stage, params object?[] parts)
    {
        var text = new StringBuilder(stage);
        foreach (var part in parts)
        {
            var written = part switch
            {
                null => "",
                string s => s,
                IFormattable f => f.ToString(null, CultureInfo.InvariantCulture),
                IEnumerable<string> list => string.Join('\u0001', list),
                _ => part.ToString() ?? "",
            };

            // Lengths keep ("ab","c") and ("a","bc") apart.
            text.Append('\n').Append(written.Length).Append(':').Append(written);
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..32];
    }
}
