using System.Globalization;
using System.Text.Json;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Datasets.Recorded;

/// <summary>
/// Activations from a file (npz or safetensors) as a data set. The arrays are described in docs/file-formats.md; every size
/// is checked on opening, and rows are read when they are asked for.
/// </summary>
internal sealed class RecordedDataset : IRecordedActivations
{
    private const string Unlabelled = "unlabelled";
    private const string Remedy = "See the table of arrays in docs/file-formats.md.";
    private const int MaxName = 1024;
    private const int MaxSidecarBytes = 256 << 20;
    private const int MaxSide = 4096;
    private const long MaxRowValues = 1L << 26;
    private const int SignRows = 1024;

    private static readonly string[] TextFields = ["paths", "classes", "outputs", "labels", "name", "layer", "layout"];

    private readonly ArrayFile _file;
    private readonly int[]? _order;
    private readonly string _layout;
    private readonly long _rowValues;
    private readonly (int Height, int Width, int Channels)? _thumbnails;
    private readonly string? _pictureFolder;

    private RecordedDataset(string path, ArrayFile file, CancellationToken cancellation)
    {
        _file = file;
        Root = path;
        var texts = Texts(path, file);
        Name = texts.TryGetValue("name", out var named) && named is [{ Length: > 0 } one] ? Shorten(one) : Path.GetFileNameWithoutExtension(path);
        LayerName = texts.TryGetValue("layer", out var layer) && layer is [{ Length: > 0 } given] ? Shorten(given) : "activations";

        var shape = Require("activations");
        if (shape.Count is < 2 or > 4 || shape.Any(s => s < 1) || shape[0] > int.MaxValue / 2)
        {
            throw Wrong($"'activations' has shape {TensorHeader.Text(shape)}; it must be N×C, N×T×C or N×C×H×W with N up to a thousand million");
        }

        var n = (int)shape[0];
        _rowValues = shape.Skip(1).Aggregate(1L, (a, b) => b > MaxRowValues ? MaxRowValues + 1 : Math.Min(MaxRowValues + 1, a * b));
        if (_rowValues > MaxRowValues)
        {
            throw Wrong($"'activations' has {TensorHeader.Text(shape)}: one sample may have at most {MaxRowValues} values");
        }

        _layout = texts.TryGetValue("layout", out var layouts) && layouts is [{ } l] ? l.Trim().ToUpperInvariant() : shape.Count == 2 ? "NC" : shape.Count == 3 ? "NTC" : "NCHW";
        (Channels, Height, Width) = (_layout, shape.Count) switch
        {
            ("NC", 2) => ((int)shape[1], 1, 1),
            ("NTC", 3) => Tokens((int)shape[2], (int)shape[1]),
            ("NCT", 3) => Tokens((int)shape[1], (int)shape[2]),
            ("NCHW", 4) => ((int)shape[1], (int)shape[2], (int)shape[3]),
            ("NHWC", 4) => ((int)shape[3], (int)shape[1], (int)shape[2]),
            _ => throw Wrong($"the layout '{FileFault.Short(_layout)}' does not fit 'activations' of shape {TensorHeader.Text(shape)}; known are NC, NTC, NCT, NCHW and NHWC"),
        };

        var paths = Names(texts, "paths", n, "p");
        var classOf = Labels(texts, n);
        LogitColumns = Matrix("logits", n) ?? 0;
        HasGradients = CheckGradients(n);
        Head = ReadHead();
        OutputNames = OutputsOf(texts);
        _thumbnails = Thumbnails(n);
        _pictureFolder = _thumbnails is null && Directory.Exists(Path.ChangeExtension(path, ".images")) ? RealPath.Of(Path.ChangeExtension(path, ".images")) : null;

        _order = Order(paths);
        var samples = new SampleReference[n];
        for (var i = 0; i < n; i++)
        {
            if ((i & 0xFFFF) == 0)
            {
                cancellation.ThrowIfCancellationRequested();
            }

            var row = Row(i);
            samples[i] = new SampleReference(paths[row], classOf?[row] ?? "");
            if (i > 0 && samples[i].Path == samples[i - 1].Path)
            {
                throw Wrong($"the path '{FileFault.Short(paths[row])}' stands there twice; a sample is known by its path");
            }
        }

        Samples = samples;
        Classes = classOf is null ? [] : [.. classOf.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        Skipped = [.. file.Names.Where(a => !Known(a)).Order(StringComparer.Ordinal).Take(100)
            .Select(a => new SkippedFile($"{file.FileName}:{FileFault.Short(a)}", "An array of this name is not used."))];
        Sign = SignOf(n);
        using var fingerprint = new FingerprintBuilder();
        var info = new FileInfo(path);
        fingerprint.Add(info.Name, info.Length, info.LastWriteTimeUtc);
        if (SidecarOf(path) is { Exists: true } sidecar)
        {
            fingerprint.Add(sidecar.Name, sidecar.Length, sidecar.LastWriteTimeUtc);
        }

        Fingerprint = fingerprint.Finish();
    }

    public string Root { get; }

    public string Name { get; }

    public string Format => "precomputed activations";

    public string Fingerprint { get; }

    public IReadOnlyList<SampleReference> Samples { get; }

    public IReadOnlyList<string> Classes { get; }

    public IReadOnlyList<SkippedFile> Skipped { get; }

    public string LayerName { get; }

    public int Channels { get; }

    public int Height { get; }

    public int Width { get; }

    public ActivationSign Sign { get; }

    public int LogitColumns { get; }

    public IReadOnlyList<string> OutputNames { get; }

    public RecordedHead? Head { get; }

    public bool HasGradients { get; }

    /// <summary>Opens a file.</summary>
    /// <exception cref="AnalysisException">It is damaged, or its arrays do not fit together; says which and what to do.</exception>
    public static RecordedDataset Open(string path, CancellationToken cancellation)
    {
        var file = ArrayFile.Open(path);
        try
        {
            return new RecordedDataset(path, file, cancellation);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public bool HasPicture(int index) => _thumbnails is not null || PictureOf(index) is not null;

    public RawImage Read(int index)
    {
        if (_thumbnails is not { } shape)
        {
            return PictureOf(index) is { } path
                ? ImageFolderDataset.ReadFile(path, Samples[index].Path)
                : throw new AnalysisException($"The sample '{Samples[index].Path}' has no picture.", "Add an array 'thumbnails', or a folder of pictures beside the file.");
        }

        var stored = new byte[shape.Height * shape.Width * shape.Channels];
        _file.ReadBytes("thumbnails", (long)Row(index) * stored.Length, stored);
        if (shape.Channels == 3)
        {
            return new RawImage(stored, Encoded: false, shape.Width, shape.Height);
        }

        var pixels = new byte[stored.Length * 3];
        for (var i = 0; i < stored.Length; i++)
        {
            pixels.AsSpan(3 * i, 3).Fill(stored[i]);
        }

        return new RawImage(pixels, Encoded: false, shape.Width, shape.Height);
    }

    public Tensor Activations(ReadOnlySpan<int> samples)
    {
        var values = Gather("activations", samples, (int)_rowValues);
        long n = samples.Length;
        using var scope = NewDisposeScope();
        var result = _layout switch
        {
            "NC" or "NCT" or "NCHW" => tensor(values, [n, Channels, Height, Width]),
            _ => tensor(values, [n, Height, Width, Channels]).permute(0, 3, 1, 2).contiguous(),
        };
        return result.MoveToOuterDisposeScope();
    }

    public Tensor? Logits(ReadOnlySpan<int> samples) =>
        LogitColumns == 0 ? null : tensor(Gather("logits", samples, LogitColumns), [samples.Length, LogitColumns]);

    public Tensor? Gradients(ReadOnlySpan<int> samples)
    {
        if (!HasGradients)
        {
            return null;
        }

        if (_file.Numbers("gradients")!.Shape.Count == 2)
        {
            return tensor(Gather("gradients", samples, Channels), [samples.Length, Channels]);
        }

        using var scope = NewDisposeScope();
        var values = Gather("gradients", samples, (int)_rowValues);
        long n = samples.Length;
        var full = _layout is "NCT" or "NCHW"
            ? tensor(values, [n, Channels, Height * Width]).sum(2)
            : tensor(values, [n, Height * Width, Channels]).sum(1);
        return full.MoveToOuterDisposeScope();
    }

    private static bool Known(string name) =>
        name is "activations" or "labels" or "paths" or "classes" or "outputs" or "logits" or "gradients" or "weight" or "bias" or "thumbnails" or "grid" or "name" or "layer" or "layout";

    private static FileInfo? SidecarOf(string path) => new(Path.ChangeExtension(path, ".json"));

    private static string Shorten(string text) => FileFault.Short(text.Trim());

    /// <summary>Texts by name: from arrays, from the header of safetensors, or from the JSON file beside it, in this order.</summary>
    private static Dictionary<string, string[]> Texts(string path, ArrayFile file)
    {
        var found = new Dictionary<string, string[]>(StringComparer.Ordinal);
        foreach (var field in TextFields)
        {
            if (file.Has(field) && file.IsText(field))
            {
                found[field] = file.Texts(field);
            }
            else if (file.Metadata.TryGetValue(field, out var text))
            {
                found[field] = text.AsSpan().TrimStart().StartsWith("[") ? FromJson(file.FileName, field, text) : [text];
            }
        }

        if (SidecarOf(path) is not { Exists: true } sidecar)
        {
            return found;
        }

        if (sidecar.Length > MaxSidecarBytes)
        {
            throw new AnalysisException($"{sidecar.Name} has {sidecar.Length} bytes; at most {MaxSidecarBytes} are read.", "Store the names in the file itself.");
        }

        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(sidecar.FullName));
            foreach (var field in TextFields)
            {
                if (!found.ContainsKey(field) && document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty(field, out var value))
                {
                    found[field] = value.ValueKind switch
                    {
                        JsonValueKind.String => [value.GetString()!],
                        JsonValueKind.Array => [.. value.EnumerateArray().Select(v => v.ValueKind == JsonValueKind.String ? v.GetString()! : v.GetRawText())],
                        _ => throw new AnalysisException($"{sidecar.Name}: {field} is neither a text nor a list of texts.", Remedy),
                    };
                }
            }
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            throw new AnalysisException($"{sidecar.Name} is not valid JSON.", "Correct or remove it.", fault);
        }

        return found;
    }

    private static string[] FromJson(string fileName, string field, string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return [.. document.RootElement.EnumerateArray().Select(v => v.ValueKind == JsonValueKind.String ? v.GetString()! : v.GetRawText())];
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            throw new AnalysisException($"{fileName}: the metadata '{field}' is not a JSON list of texts.", Remedy, fault);
        }
    }

    private AnalysisException Wrong(string what) => new($"{_file.FileName}: {what}.", Remedy);

    private IReadOnlyList<long> Require(string name) => _file.Numbers(name)?.Shape
        ?? throw new AnalysisException($"{_file.FileName} has no array '{name}'.", $"It holds {FileFault.List(_file.Names)}. {Remedy}");

    private (int Channels, int Height, int Width) Tokens(int channels, int tokens)
    {
        if (_file.Has("grid"))
        {
            var grid = Require("grid") is [2] ? _file.ReadIntegers("grid") : throw Wrong("'grid' must be [rows, columns]");
            return grid[0] is >= 1 and <= MaxSide && grid[1] is >= 1 and <= MaxSide && grid[0] * grid[1] == tokens
                ? (channels, (int)grid[0], (int)grid[1])
                : throw Wrong($"'grid' says {grid[0]}×{grid[1]} but there are {tokens} tokens");
        }

        var side = (int)Math.Round(Math.Sqrt(tokens));
        return side * side == tokens ? (channels, side, side) : (channels, 1, tokens);
    }

    private int? Matrix(string name, int n)
    {
        if (_file.Numbers(name) is not { } header)
        {
            return null;
        }

        return header.Shape.Count == 2 && header.Shape[0] == n && header.Shape[1] is >= 1 and <= 1 << 20
            ? (int)header.Shape[1]
            : throw Wrong($"'{name}' has shape {header.ShapeText}; {n} rows of outputs are needed, as 'activations' has");
    }

    private bool CheckGradients(int n)
    {
        if (_file.Numbers("gradients") is not { } header)
        {
            return false;
        }

        var same = header.Shape.SequenceEqual(Require("activations"));
        return same || (header.Shape.Count == 2 && header.Shape[0] == n && header.Shape[1] == Channels)
            ? true
            : throw Wrong($"'gradients' has shape {header.ShapeText}; it must be that of 'activations' or {n}×{Channels}");
    }

    private RecordedHead? ReadHead()
    {
        if (_file.Numbers("weight") is not { } header)
        {
            return _file.Has("bias") ? throw Wrong("there is a 'bias' but no 'weight'") : null;
        }

        if (header.Shape.Count != 2 || header.Shape[1] != Channels || header.Shape[0] is < 1 or > 1 << 20 || header.Shape[0] * header.Shape[1] > 1L << 28)
        {
            throw Wrong($"'weight' has shape {header.ShapeText}; it must be K×{Channels}, one row an output");
        }

        var outputs = (int)header.Shape[0];
        if (LogitColumns > 0 && LogitColumns != outputs)
        {
            throw Wrong($"'weight' has {outputs} rows but 'logits' has {LogitColumns} columns");
        }

        var weight = new float[header.Shape[0] * header.Shape[1]];
        _file.ReadFloats("weight", 0, weight);
        var bias = new float[outputs];
        if (_file.Numbers("bias") is { } biasHeader)
        {
            if (biasHeader.Shape.Aggregate(1L, (a, b) => a * b) != outputs)
            {
                throw Wrong($"'bias' has shape {biasHeader.ShapeText}; {outputs} values are needed");
            }

            _file.ReadFloats("bias", 0, bias);
        }

        return Array.TrueForAll(weight, float.IsFinite) && Array.TrueForAll(bias, float.IsFinite)
            ? new RecordedHead(outputs, weight, bias)
            : throw Wrong("the head holds values that are NaN or infinite");
    }

    private IReadOnlyList<string> OutputsOf(Dictionary<string, string[]> texts)
    {
        var outputs = Head?.Outputs ?? LogitColumns;
        if (texts.TryGetValue("outputs", out var named))
        {
            return outputs == 0 || named.Length == outputs ? [.. named.Select(Shorten)] : throw Wrong($"'outputs' names {named.Length} outputs but there are {outputs}");
        }

        return outputs > 0 && texts.TryGetValue("classes", out var classes) && classes.Length == outputs ? [.. classes.Select(Shorten)] : [];
    }

    private string[] Names(Dictionary<string, string[]> texts, string field, int n, string prefix)
    {
        if (!texts.TryGetValue(field, out var given))
        {
            var digits = Math.Max(6, (n - 1).ToString(CultureInfo.InvariantCulture).Length);
            return [.. Enumerable.Range(0, n).Select(i => prefix + i.ToString(CultureInfo.InvariantCulture).PadLeft(digits, '0'))];
        }

        if (given.Length != n)
        {
            throw Wrong($"'{field}' has {given.Length} entries but 'activations' has {n} rows");
        }

        for (var i = 0; i < n; i++)
        {
            given[i] = given[i].Replace('\\', '/');
            if (given[i].Length is 0 or > MaxName)
            {
                throw Wrong($"the path of row {i} has {given[i].Length} characters; 1 to {MaxName} are possible");
            }
        }

        return given;
    }

    /// <summary>Class name of every row; null where there are no labels.</summary>
    private string[]? Labels(Dictionary<string, string[]> texts, int n)
    {
        if (texts.TryGetValue("labels", out var named))
        {
            return named.Length == n
                ? [.. named.Select(l => string.IsNullOrWhiteSpace(l) ? Unlabelled : Shorten(l))]
                : throw Wrong($"'labels' has {named.Length} entries but 'activations' has {n} rows");
        }

        if (_file.Numbers("labels") is not { } header)
        {
            return null;
        }

        if (header.Shape.Count != 1 || header.Shape[0] != n)
        {
            throw Wrong($"'labels' has shape {header.ShapeText}; one label for each of {n} rows is needed");
        }

        var numbers = _file.ReadIntegers("labels");
        var names = texts.TryGetValue("classes", out var classes) ? Array.ConvertAll(classes, Shorten) : null;
        if (names is not null && names.Distinct(StringComparer.Ordinal).Count() != names.Length)
        {
            throw Wrong("'classes' names a class twice");
        }

        var largest = numbers.Length == 0 ? 0 : numbers.Max();
        if (names is not null && largest >= names.Length)
        {
            throw Wrong($"'labels' holds {largest} but 'classes' names only {names.Length}");
        }

        var digits = largest.ToString(CultureInfo.InvariantCulture).Length;
        var cache = new Dictionary<long, string>();
        return Array.ConvertAll(numbers, label =>
        {
            if (!cache.TryGetValue(label, out var name))
            {
                // Numbers are padded, so that they are sorted by value.
                name = label < 0 ? Unlabelled : names is not null ? names[label] : "class " + label.ToString(CultureInfo.InvariantCulture).PadLeft(digits, '0');
                cache[label] = name;
            }

            return name;
        });
    }

    private (int Height, int Width, int Channels)? Thumbnails(int n)
    {
        if (_file.Numbers("thumbnails") is not { } header)
        {
            return null;
        }

        var shape = header.Shape;
        var channels = shape.Count == 3 ? 1 : shape.Count == 4 ? shape[3] : 0;
        return header.Type == ElementType.UInt8 && channels is 1 or 3 && shape[0] == n && shape[1] is >= 1 and <= MaxSide && shape[2] is >= 1 and <= MaxSide
            ? ((int)shape[1], (int)shape[2], (int)channels)
            : throw Wrong($"'thumbnails' is {header.Type} of shape {header.ShapeText}; uint8 of {n}×height×width×3 or {n}×height×width is needed, sides up to {MaxSide}");
    }

    /// <summary>Row of each sample, sorted by path; null where the file is sorted already.</summary>
    private static int[]? Order(string[] paths)
    {
        for (var i = 1; i < paths.Length; i++)
        {
            if (string.CompareOrdinal(paths[i - 1], paths[i]) > 0)
            {
                var order = Enumerable.Range(0, paths.Length).ToArray();
                Array.Sort(order, (a, b) => string.CompareOrdinal(paths[a], paths[b]) is var c && c != 0 ? c : a.CompareTo(b));
                return order;
            }
        }

        return null;
    }

    private int Row(int sample) => _order is null ? sample : _order[sample];

    private float[] Gather(string name, ReadOnlySpan<int> samples, int width)
    {
        var values = new float[checked(samples.Length * width)];
        for (var i = 0; i < samples.Length;)
        {
            // Neighbours in the file are read at once.
            var (first, run) = (Row(samples[i]), 1);
            while (i + run < samples.Length && Row(samples[i + run]) == first + run)
            {
                run++;
            }

            _file.ReadFloats(name, (long)first * width, values.AsSpan(i * width, run * width));
            i += run;
        }

        return values;
    }

    private ActivationSign SignOf(int n)
    {
        var rows = (int)Math.Clamp((1L << 22) / _rowValues, 1, Math.Min(n, SignRows));
        var values = new float[_rowValues];
        for (var i = 0; i < rows; i++)
        {
            _file.ReadFloats("activations", (long)i * n / rows * _rowValues, values);
            if (Array.Exists(values, v => v < 0))
            {
                return ActivationSign.Signed;
            }
        }

        return ActivationSign.NonNegative;
    }

    /// <summary>The picture of a sample in the folder beside the file; null where there is none. Never outside that folder.</summary>
    private string? PictureOf(int index)
    {
        if (_pictureFolder is null)
        {
            return null;
        }

        var name = Samples[index].Path;
        if (name.Contains('\0') || Path.IsPathRooted(name))
        {
            return null;
        }

        var real = RealPath.Of(Path.Combine(_pictureFolder, name));
        return real is not null && RealPath.IsBelow(real, _pictureFolder) && File.Exists(real) ? real : null;
    }
}
