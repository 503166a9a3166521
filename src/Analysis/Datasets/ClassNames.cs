using System.Globalization;
using System.Text;
using Analysis.Networks.Files;

namespace Analysis.Datasets;

/// <summary>Class names of data sets whose labels are numbers: the lines of <c>classes.txt</c> beside them.</summary>
internal static class ClassNames
{
    private const string FileName = "classes.txt";
    private const int MaxBytes = 16 << 20;

    /// <summary>The names in a folder; empty where there is no such file, or it names a class twice.</summary>
    public static IReadOnlyList<string> Read(string folder)
    {
        var info = new FileInfo(Path.Combine(folder, FileName));
        if (!info.Exists || info.LinkTarget is not null || info.Length is 0 or > MaxBytes)
        {
            return [];
        }

        var names = File.ReadAllLines(info.FullName, Encoding.UTF8).Select(n => n.Trim()).ToList();
        while (names.Count > 0 && names[^1].Length == 0)
        {
            names.RemoveAt(names.Count - 1);
        }

        return names.Exists(n => n.Length == 0) || names.Distinct(StringComparer.Ordinal).Count() != names.Count ? [] : names;
    }

    /// <summary>Name of a label as written: a number becomes the name of that line where there is one.</summary>
    public static string Of(string label, IReadOnlyList<string> names)
    {
        var text = FileFault.Short(label.Trim());
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < names.Count ? names[number] : text;
    }

    /// <summary>A name from a file as a path: forward slashes, no root, and no way up.</summary>
    public static string HarmlessPath(string name) =>
        string.Join('/', name.Replace('\\', '/').Split('/', StringSplitOptions.RemoveEmptyEntries).Where(s => s != ".").Select(s => s == ".." ? "__" : s));
}
