using System.Text;
using Analysis.Networks.Files;

namespace Analysis.Datasets;

/// <summary>
/// Images in a folder, in any nesting, with a table of labels beside them: <c>labels.csv</c> (or metadata.csv,
/// annotations.csv) with a header line and the columns path and label under one of their usual names.
/// </summary>
internal sealed class LabelledFolderDataset : IDataset
{
    private const long MaxTableBytes = 1L << 30;
    private const int MaxField = 1 << 16;

    private static readonly string[] Tables = ["labels.csv", "metadata.csv", "annotations.csv", "labels.tsv"];
    private static readonly string[] PathColumns = ["path", "filename", "file_name", "file", "image", "image_path"];
    private static readonly string[] LabelColumns = ["label", "class", "class_name", "category", "target"];

    private readonly ImageFolderDataset _images;
    private readonly int[] _image;

    private LabelledFolderDataset(ImageFolderDataset images, List<(int Image, string Label)> labelled, List<SkippedFile> skipped, string fingerprint)
    {
        _images = images;
        _image = [.. labelled.Select(l => l.Image)];
        Samples = labelled.ConvertAll(l => new SampleReference(images.Samples[l.Image].Path, l.Label));
        Classes = [.. labelled.Select(l => l.Label).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        skipped.Sort((a, b) => string.CompareOrdinal(a.Path, b.Path));
        Skipped = skipped;
        Fingerprint = fingerprint;
    }

    public string Root => _images.Root;

    public string Name => _images.Name;

    public string Format => "folder with a table of labels";

    public string Fingerprint { get; }

    public IReadOnlyList<SampleReference> Samples { get; }

    public IReadOnlyList<string> Classes { get; }

    public IReadOnlyList<SkippedFile> Skipped { get; }

    /// <summary>The table of a folder; null where there is none.</summary>
    public static string? TableOf(string folder) =>
        Tables.Select(t => Path.Combine(folder, t)).FirstOrDefault(p => new FileInfo(p) is { Exists: true, LinkTarget: null });

    /// <summary>Joins the images with the table.</summary>
    /// <exception cref="AnalysisException">The table lacks a column, is too large, or labels no image.</exception>
    public static LabelledFolderDataset Open(string root, string table, CancellationToken cancellation)
    {
        var images = ImageFolderDataset.Open(root, cancellation, flat: true);
        var info = new FileInfo(table);
        if (info.Length > MaxTableBytes)
        {
            throw new AnalysisException($"{info.Name} has {info.Length >> 20} MB; at most {MaxTableBytes >> 20} MB are read.", "Split the data set.");
        }

        var index = new Dictionary<string, int>(images.Samples.Count, StringComparer.Ordinal);
        var byName = new Dictionary<string, int>(images.Samples.Count, StringComparer.Ordinal);
        for (var i = 0; i < images.Samples.Count; i++)
        {
            var path = images.Samples[i].Path;
            index[path] = i;
            var name = path[(path.LastIndexOf('/') + 1)..];
            // A bare file name stands for an image only where it is the only one of that name.
            byName[name] = byName.ContainsKey(name) ? -1 : i;
        }

        var names = ClassNames.Read(root);
        var label = new Dictionary<int, string>();
        var skipped = new List<SkippedFile>(images.Skipped.Where(s => s.Path != info.Name && s.Path != "classes.txt"));
        using (var reader = new StreamReader(table, Encoding.UTF8))
        {
            var rows = Rows(reader, info.Name);
            using var row = rows.GetEnumerator();
            if (!row.MoveNext())
            {
                throw new AnalysisException($"{info.Name} is empty.", "It needs a header line with the columns path and label.");
            }

            var (pathColumn, labelColumn) = (Column(row.Current, PathColumns), Column(row.Current, LabelColumns));
            if (pathColumn < 0 || labelColumn < 0)
            {
                throw new AnalysisException(
                    $"{info.Name} has the columns {FileFault.List(row.Current)}; one of {string.Join(", ", pathColumn < 0 ? PathColumns : LabelColumns)} is needed.", "Name the columns path and label in the first line.");
            }

            var line = 1;
            while (row.MoveNext())
            {
                if ((++line & 0xFFF) == 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                }

                var fields = row.Current;
                if (fields.Count == 1 && fields[0].Length == 0)
                {
                    continue;
                }

                if (fields.Count <= Math.Max(pathColumn, labelColumn) || string.IsNullOrWhiteSpace(fields[labelColumn]))
                {
                    Skip($"{info.Name}:{line}", "The line has no label or too few columns.");
                    continue;
                }

                var path = ClassNames.HarmlessPath(fields[pathColumn].Trim());
                if (!index.TryGetValue(path, out var image) && !byName.TryGetValue(path, out image))
                {
                    Skip($"{info.Name}:{line}", $"There is no image '{FileFault.Short(path)}' below the folder.");
                }
                else if (image < 0)
                {
                    Skip($"{info.Name}:{line}", $"Several images are named '{FileFault.Short(path)}'; give the path below the folder.");
                }
                else if (!label.TryAdd(image, ClassNames.Of(fields[labelColumn], names)))
                {
                    Skip($"{info.Name}:{line}", $"The image '{FileFault.Short(path)}' has a label already; the first counts.");
                }
            }
        }

        for (var i = 0; i < images.Samples.Count; i++)
        {
            if (!label.ContainsKey(i))
            {
                Skip(images.Samples[i].Path, $"{info.Name} gives it no label.");
            }
        }

        if (label.Count == 0)
        {
            throw new AnalysisException($"{info.Name} labels none of the {images.Samples.Count:N0} images; {skipped[^1].Path}: {skipped[^1].Reason}", "Its paths must be relative to the folder in which it stands.");
        }

        using var fingerprint = new FingerprintBuilder();
        fingerprint.Add(images.Fingerprint, info.Length, info.LastWriteTimeUtc);
        return new LabelledFolderDataset(images, [.. label.OrderBy(l => l.Key).Select(l => (l.Key, l.Value))], skipped, fingerprint.Finish());

        void Skip(string path, string reason)
        {
            if (skipped.Count < 100_000)
            {
                skipped.Add(new SkippedFile(path, reason));
            }
        }
    }

    public RawImage Read(int index) => _images.Read(_image[index]);

    private static int Column(IReadOnlyList<string> header, string[] names) =>
        names.Select(n => Enumerable.Range(0, header.Count).FirstOrDefault(i => header[i].Trim().Equals(n, StringComparison.OrdinalIgnoreCase), -1)).FirstOrDefault(i => i >= 0, -1);

    /// <summary>Rows of a table (RFC 4180; comma, semicolon or tab, whichever the first line has most of).</summary>
    private static IEnumerable<List<string>> Rows(TextReader reader, string name)
    {
        var separator = '\0';
        while (ReadRecord(reader, name) is { } record)
        {
            if (separator == '\0')
            {
                separator = new[] { ',', ';', '\t' }.MaxBy(c => record.Count(r => r == c));
                record = record.TrimStart('\uFEFF');
            }

            yield return Split(record, separator);
        }
    }

    /// <summary>A line; more than one where a quoted field holds line breaks.</summary>
    private static string? ReadRecord(TextReader reader, string name)
    {
        var text = new StringBuilder();
        var quoted = false;
        int next;
        while ((next = reader.Read()) >= 0)
        {
            var c = (char)next;
            quoted ^= c == '"';
            if (c == '\n' && !quoted)
            {
                return text.ToString().TrimEnd('\r');
            }

            text.Append(c);
            if (text.Length > MaxField)
            {
                throw new AnalysisException($"{name} has a line of more than {MaxField} characters.", "Check its quotation marks: one may not be closed.");
            }
        }

        return text.Length == 0 ? null : text.ToString().TrimEnd('\r');
    }

    private static List<string> Split(string record, char separator)
    {
        var fields = new List<string>();
        var field = new StringBuilder();
        var quoted = false;
        for (var i = 0; i < record.Length; i++)
        {
            var c = record[i];
            if (c == '"')
            {
                if (quoted && i + 1 < record.Length && record[i + 1] == '"')
                {
                    field.Append('"');
                    i++;
                }
                else
                {
                    quoted = !quoted;
                }
            }
            else if (c == separator && !quoted)
            {
                fields.Add(field.ToString());
                field.Clear();
            }
            else
            {
                field.Append(c);
            }
        }

        fields.Add(field.ToString());
        return fields;
    }
}
