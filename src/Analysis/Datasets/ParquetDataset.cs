using System.Globalization;
using System.Text.Json;
using Analysis.Networks.Files;
using Parquet;
using Parquet.Schema;

namespace Analysis.Datasets;

/// <summary>
/// Parquet files as Hugging Face writes them: a column of images (a structure of <c>bytes</c> and <c>path</c>, or bytes), and a
/// column of labels, whose names stand in the metadata <c>huggingface</c> of the file. Images are read a row group at a time;
/// the groups read last are kept.
/// </summary>
internal sealed class ParquetDataset : IDataset
{
    private const int KeptGroups = 2;
    private const long MaxGroupBytes = 512L << 20;
    private const int MaxRows = 50_000_000;

    private static readonly string[] LabelColumns = ["label", "labels", "fine_label", "class", "class_name", "category", "target"];

    private readonly string[] _files;
    private readonly List<Group> _groups;
    private readonly (int Group, int Row)[] _places;
    private readonly string[] _imageColumn;
    private readonly Lock _gate = new();
    private readonly LinkedList<(int Group, Lazy<byte[]?[]> Images)> _kept = new();

    private ParquetDataset(string root, string[] files, string[] imageColumn, List<Group> groups, List<(SampleReference Sample, (int, int) Place)> found, List<SkippedFile> skipped, string fingerprint)
    {
        Root = root;
        Name = ImageFolderDataset.NameOf(root);
        _files = files;
        _imageColumn = imageColumn;
        _groups = groups;
        found.Sort((a, b) => string.CompareOrdinal(a.Sample.Path, b.Sample.Path));
        Samples = found.ConvertAll(f => f.Sample);
        _places = [.. found.Select(f => f.Place)];
        Classes = [.. Samples.Select(s => s.ClassName).Where(c => c.Length > 0).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        Skipped = skipped;
        Fingerprint = fingerprint;
    }

    public string Root { get; }

    public string Name { get; }

    public string Format => "Parquet";

    public string Fingerprint { get; }

    public IReadOnlyList<SampleReference> Samples { get; }

    public IReadOnlyList<string> Classes { get; }

    public IReadOnlyList<SkippedFile> Skipped { get; }

    /// <summary>Lists the rows of all files. Labels are read, images are not.</summary>
    /// <exception cref="AnalysisException">A file is damaged or has no column of images.</exception>
    public static ParquetDataset Open(string root, IReadOnlyList<string> files, CancellationToken cancellation)
    {
        using var fingerprint = new FingerprintBuilder();
        var groups = new List<Group>();
        var found = new List<(SampleReference, (int, int))>();
        var skipped = new List<SkippedFile>();
        var columns = new string[files.Count];
        for (var f = 0; f < files.Count; f++)
        {
            cancellation.ThrowIfCancellationRequested();
            var info = new FileInfo(files[f]);
            fingerprint.Add(info.Name, info.Length, info.LastWriteTimeUtc);
            try
            {
                columns[f] = List(files[f], f, groups, found, skipped, cancellation);
            }
            catch (Exception fault) when (fault is not (AnalysisException or OperationCanceledException or OutOfMemoryException))
            {
                // The reader meets damage with exceptions of many kinds.
                throw new AnalysisException($"{info.Name} cannot be read as Parquet: it is damaged or of a kind that is not supported.", "Write it again, or leave it out.", fault);
            }
        }

        return found.Count > 0
            ? new ParquetDataset(root, [.. files], columns, groups, found, skipped, fingerprint.Finish())
            : throw new AnalysisException($"The Parquet files of '{root}' hold no images.", "They need a column of images as bytes, and should have a column of labels.");
    }

    public RawImage Read(int index)
    {
        var (group, row) = _places[index];
        Lazy<byte[]?[]> images;
        lock (_gate)
        {
            images = Kept(group);
        }

        byte[]? bytes;
        try
        {
            bytes = images.Value[row];
        }
        catch (Exception fault) when (fault is not (AnalysisException or OutOfMemoryException))
        {
            throw new AnalysisException($"The image '{Samples[index].Path}' cannot be read: its part of the Parquet file is damaged.", "Write the file again.", fault);
        }

        return bytes is { Length: > 0 }
            ? bytes.LongLength <= ImageFolderDataset.MaxFileBytes
                ? new RawImage(bytes, Encoded: true)
                : throw new AnalysisException($"The image '{Samples[index].Path}' has {bytes.LongLength >> 20} MB, more than the limit.", "Store it smaller.")
            : throw new AnalysisException($"The row '{Samples[index].Path}' holds no image.", "Embed the images in the file instead of their paths.");
    }

    private static string List(
        string file, int number, List<Group> groups, List<(SampleReference, (int, int))> found, List<SkippedFile> skipped, CancellationToken cancellation)
    {
        var name = Path.GetFileName(file);
        using var stream = File.OpenRead(file);
        using var open = new Opened(stream);
        var fields = open.Reader.Schema.GetDataFields();
        var features = Features(open.Reader.CustomMetadata);
        var image = fields.FirstOrDefault(f => IsBytes(f) && f.Path.Length == 2 && f.Path.ToString().EndsWith("/bytes", StringComparison.Ordinal) && IsA(features, f.Path.FirstPart ?? "", "Image"))
            ?? fields.FirstOrDefault(f => IsBytes(f) && f.Path.Length == 2 && f.Path.ToString().EndsWith("/bytes", StringComparison.Ordinal))
            ?? fields.FirstOrDefault(f => IsBytes(f) && f.Path.Length == 1)
            ?? throw new AnalysisException($"{name} has no column of images; it has {FileFault.List(fields.Select(f => f.Path.ToString()))}.", "Images must be bytes, alone or in a structure with bytes and path.");
        var label = fields.FirstOrDefault(f => f.Path.Length == 1 && IsA(features, f.Name, "ClassLabel"))
            ?? LabelColumns.Select(c => fields.FirstOrDefault(f => f.Path.Length == 1 && f.Name.Equals(c, StringComparison.OrdinalIgnoreCase))).FirstOrDefault(f => f is not null);
        var names = label is null ? [] : NamesOf(features, label.Name);
        if (names.Count == 0)
        {
            names = ClassNames.Read(Path.GetDirectoryName(file)!);
        }

        var digits = Math.Max(6, open.Reader.Metadata!.NumRows.ToString(CultureInfo.InvariantCulture).Length);
        var row = 0;
        for (var g = 0; g < open.Reader.RowGroupCount; g++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var reader = open.Reader.OpenRowGroupReader(g);
            if (reader.RowCount < 0 || reader.RowCount > MaxRows - found.Count)
            {
                throw new AnalysisException($"{name} claims {reader.RowCount:N0} rows in one group; at most {MaxRows:N0} rows are read.", "Write the file again, or analyse a part of the files.");
            }

            var count = (int)reader.RowCount;
            var bytes = reader.GetMetadata(image)?.MetaData?.TotalUncompressedSize ?? long.MaxValue;
            if (bytes > MaxGroupBytes)
            {
                skipped.Add(new SkippedFile($"{name}, row group {g}", $"Its images take {bytes >> 20} MB together, more than {MaxGroupBytes >> 20} MB; write the file with smaller row groups."));
                row += count;
                continue;
            }

            // A row takes at least a bit; a claim beyond that is no file anybody wrote.
            if (count > stream.Length * 64)
            {
                throw new AnalysisException($"{name} claims {count:N0} rows in {stream.Length:N0} bytes.", "Write the file again.");
            }

            var labels = label is null ? null : Labels(reader, label, count);
            for (var i = 0; i < count; i++, row++)
            {
                var path = string.Create(CultureInfo.InvariantCulture, $"{name}#{row.ToString(CultureInfo.InvariantCulture).PadLeft(digits, '0')}");
                if (labels is not null && labels[i] is null)
                {
                    skipped.Add(new SkippedFile(path, "It has no label."));
                    continue;
                }

                found.Add((new SampleReference(path, labels is null ? "" : ClassNames.Of(labels[i]!, names)), (groups.Count, i)));
            }

            groups.Add(new Group(number, g, count));
        }

        return image.Path.ToString();
    }

    private static bool IsBytes(DataField field) => field.ClrType == typeof(byte[]) || field.ClrType == typeof(ReadOnlyMemory<byte>) || field.ClrType == typeof(Memory<byte>);

    private static string?[] Labels(ParquetRowGroupReader reader, DataField field, int count)
    {
        var type = field.ClrType;
        return type == typeof(string) ? Strings(reader, field, count)
            : type == typeof(long) ? Numbers<long>(reader, field, count)
            : type == typeof(int) ? Numbers<int>(reader, field, count)
            : type == typeof(short) ? Numbers<short>(reader, field, count)
            : type == typeof(sbyte) ? Numbers<sbyte>(reader, field, count)
            : type == typeof(byte) ? Numbers<byte>(reader, field, count)
            : throw new AnalysisException($"The labels in the column '{field.Name}' are of type {type.Name}.", "They must be whole numbers or texts.");
    }

    private static string?[] Strings(ParquetRowGroupReader reader, DataField field, int count)
    {
        var values = new string?[count];
        reader.ReadAsync(field, values.AsMemory()!).AsTask().ConfigureAwait(false).GetAwaiter().GetResult();
        return values;
    }

    private static string?[] Numbers<T>(ParquetRowGroupReader reader, DataField field, int count)
        where T : struct, IFormattable
    {
        if (!field.IsNullable)
        {
            var plain = new T[count];
            reader.ReadAsync(field, plain.AsMemory()).AsTask().ConfigureAwait(false).GetAwaiter().GetResult();
            return Array.ConvertAll(plain, v => (string?)v.ToString(null, CultureInfo.InvariantCulture));
        }

        var values = new T?[count];
        reader.ReadAsync(field, values.AsMemory()).AsTask().ConfigureAwait(false).GetAwaiter().GetResult();
        return Array.ConvertAll(values, v => v?.ToString(null, CultureInfo.InvariantCulture));
    }

    private static JsonElement? Features(IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is null || !metadata.TryGetValue("huggingface", out var text))
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.TryGetProperty("info", out var info) && info.TryGetProperty("features", out var features) && features.ValueKind == JsonValueKind.Object
                ? features.Clone()
                : null;
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static bool IsA(JsonElement? features, string column, string type) =>
        features is { } all && all.TryGetProperty(column, out var feature) && feature.ValueKind == JsonValueKind.Object
        && feature.TryGetProperty("_type", out var value) && value.ValueKind == JsonValueKind.String && value.GetString() == type;

    private static IReadOnlyList<string> NamesOf(JsonElement? features, string column)
    {
        if (features is not { } all || !all.TryGetProperty(column, out var feature) || feature.ValueKind != JsonValueKind.Object
            || !feature.TryGetProperty("names", out var names) || names.ValueKind != JsonValueKind.Array)
        {
            return [];
        }

        var list = names.EnumerateArray().Select(n => n.ValueKind == JsonValueKind.String ? FileFault.Short(n.GetString()!.Trim()) : "").ToList();
        return list.Contains("") || list.Distinct(StringComparer.Ordinal).Count() != list.Count ? [] : list;
    }

    /// <summary>The images of a group, from the few kept ones or to be read by whoever asks first.</summary>
    private Lazy<byte[]?[]> Kept(int group)
    {
        for (var node = _kept.First; node is not null; node = node.Next)
        {
            if (node.Value.Group == group)
            {
                _kept.Remove(node);
                _kept.AddFirst(node);
                return node.Value.Images;
            }
        }

        while (_kept.Count >= KeptGroups)
        {
            _kept.RemoveLast();
        }

        return _kept.AddFirst((group, new Lazy<byte[]?[]>(() => ReadGroup(_groups[group])))).Value.Images;
    }

    private byte[]?[] ReadGroup(Group group)
    {
        using var stream = File.OpenRead(_files[group.File]);
        using var open = new Opened(stream);
        using var reader = open.Reader.OpenRowGroupReader(group.Index);
        var field = open.Reader.Schema.GetDataFields().First(f => f.Path.ToString() == _imageColumn[group.File]);
        if (reader.RowCount != group.Rows)
        {
            throw new AnalysisException($"{Path.GetFileName(_files[group.File])} changed after it was listed.", "Leave it unchanged while an analysis runs.");
        }

        var values = new byte[]?[group.Rows];
        reader.ReadAsync(field, values.AsMemory()!).AsTask().ConfigureAwait(false).GetAwaiter().GetResult();
        return values;
    }

    private sealed record Group(int File, int Index, int Rows);

    /// <summary>A reader that is used and disposed synchronously.</summary>
    private sealed class Opened(Stream stream) : IDisposable
    {
        public ParquetReader Reader { get; } = ParquetReader.CreateAsync(stream).ConfigureAwait(false).GetAwaiter().GetResult();

        public void Dispose() => Reader.DisposeAsync().AsTask().ConfigureAwait(false).GetAwaiter().GetResult();
    }
}
