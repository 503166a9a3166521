using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Analysis.Imaging;
using Analysis.Networks.Files;

namespace Analysis.Networks;

/// <summary>
/// The JSON file beside a weights file (<c>x.json</c> for <c>x.safetensors</c>, <c>x.pth</c>, <c>x.pt</c> and <c>x.ts.pt</c>) that
/// says what the weights alone cannot: input size, normalisation, resizing and class names. The format is in
/// docs/file-formats.md. Every field is optional; what is there is checked.
/// </summary>
public sealed partial record NetworkSidecar
{
    private const int MaxBytes = 16 << 20;
    private const int MaxInput = 4096;

    private static readonly string[] WeightExtensions = [".backbone.pt", ".head.pt", ".ts.pt", ".safetensors", ".pth", ".pt", ".th", ".bin"];

    /// <summary>The sidecar's file name.</summary>
    public required string FileName { get; init; }

    /// <summary>Display name; empty where none is given.</summary>
    public string Name { get; init; } = "";

    /// <summary>Architecture, for example <c>cifar_resnet</c>; null where none is given.</summary>
    public string? Architecture { get; init; }

    /// <summary>Depth of the architecture; null where none is given.</summary>
    public int? Depth { get; init; }

    /// <summary>Attention heads of a vision transformer; null where none are given.</summary>
    public int? Heads { get; init; }

    /// <summary>Input height and width; null where none is given.</summary>
    public (int Height, int Width)? Size { get; init; }

    /// <summary>Mean per channel of x / 255; null where none is given.</summary>
    public IReadOnlyList<float>? Mean { get; init; }

    /// <summary>Standard deviation per channel of x / 255; null where none is given.</summary>
    public IReadOnlyList<float>? Std { get; init; }

    /// <summary>How other sizes are brought to the input size; null where none is given.</summary>
    public ResizeMode? Resize { get; init; }

    /// <summary>Length of the shorter side before the crop; 0 for the crop's own.</summary>
    public int ResizeTo { get; init; }

    /// <summary>Outputs in order; empty where none are named.</summary>
    public IReadOnlyList<NetworkClass> Classes { get; init; } = [];

    /// <summary>Epsilon of the batch norms; null for the architecture's own.</summary>
    public double? Epsilon { get; init; }

    /// <summary>Published or measured share of right predictions in [0, 1]; null where none is given.</summary>
    public double? Accuracy { get; init; }

    /// <summary>What was not understood and how it was read instead.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Path of the sidecar that belongs to a weights file, whether it exists or not.</summary>
    public static string PathFor(string weightsPath)
    {
        foreach (var extension in WeightExtensions)
        {
            if (weightsPath.EndsWith(extension, StringComparison.OrdinalIgnoreCase))
            {
                return weightsPath[..^extension.Length] + ".json";
            }
        }

        return Path.ChangeExtension(weightsPath, ".json");
    }

    /// <summary>Reads the sidecar of a weights file; null where there is none.</summary>
    /// <exception cref="AnalysisException">There is one, but it is not valid.</exception>
    public static NetworkSidecar? Find(string weightsPath)
    {
        var path = PathFor(weightsPath);
        return File.Exists(path) ? Read(path) : null;
    }

    /// <summary>Reads a sidecar.</summary>
    /// <exception cref="AnalysisException">The file is not valid; the message names every faulty field.</exception>
    public static NetworkSidecar Read(string path)
    {
        var name = Path.GetFileName(path);
        byte[] bytes;
        try
        {
            var length = new FileInfo(path).Length;
            bytes = length <= MaxBytes
                ? File.ReadAllBytes(path)
                : throw new AnalysisException($"{name} has {length} bytes; a sidecar has at most {MaxBytes}.", "Remove it or make it smaller.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new AnalysisException($"{name} cannot be read: {FileFault.Describe(exception)}.", "Check its permissions.", exception);
        }

        return Parse(name, bytes);
    }

    /// <summary>Reads a sidecar from memory.</summary>
    /// <param name="fileName">Name for messages.</param>
    /// <param name="utf8">UTF-8 JSON, with or without byte order mark.</param>
    /// <exception cref="AnalysisException">It is not valid; the message names every faulty field.</exception>
    public static NetworkSidecar Parse(string fileName, ReadOnlyMemory<byte> utf8)
    {
        if (utf8.Span.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]))
        {
            utf8 = utf8[3..];
        }

        try
        {
            using var document = JsonDocument.Parse(utf8, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return new Reader(fileName).Read(document.RootElement);
        }
        catch (JsonException exception)
        {
            var at = exception.LineNumber is { } line ? $" at line {line + 1}, byte {exception.BytePositionInLine + 1}" : "";
            throw new AnalysisException($"{fileName} is not valid JSON{at}.", "Correct or remove the sidecar.", exception);
        }
        catch (InvalidOperationException exception)
        {
            throw new AnalysisException($"{fileName} holds text that is not valid Unicode.", "Correct or remove the sidecar.", exception);
        }
    }

    [GeneratedRegex(@"shorter side to (\d{1,5})", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex ShorterSide();

    /// <summary>Reads the fields and collects their faults, so that one message names all of them.</summary>
    private sealed class Reader(string fileName)
    {
        private readonly List<string> _faults = [];
        private readonly List<string> _notes = [];

        public NetworkSidecar Read(JsonElement root)
        {
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw new AnalysisException($"{fileName} is not a JSON object.", "Correct or remove the sidecar.");
            }

            CheckFileName(root, "weights_file");
            CheckFileName(root, "torchscript_file");
            var input = Object(root, "input");
            var (resize, to) = ReadResize(input);
            var sidecar = new NetworkSidecar
            {
                FileName = fileName,
                Name = Text(root, "name") ?? "",
                Architecture = Text(root, "architecture"),
                Depth = Number(root, "depth", 1, 100_000) is { } depth ? (int)depth : null,
                Heads = Number(root, "heads", 1, 1024) is { } heads ? (int)heads : null,
                Size = ReadSize(input),
                Mean = ReadChannels(input, "mean", positive: false),
                Std = ReadChannels(input, "std", positive: true),
                Resize = resize,
                ResizeTo = to,
                Classes = ReadClasses(root),
                Epsilon = Number(Object(root, "batchnorm"), "eps", 1e-12, 1),
                Accuracy = Number(Object(root, "measured"), "top1", 0, 1),
                Notes = _notes,
            };
            RequireWord(input, "channels", "RGB");
            RequireWord(input, "layout", "NCHW");
            return _faults.Count == 0
                ? sidecar
                : throw new AnalysisException($"{fileName} is not a valid sidecar: {string.Join("; ", _faults)}.", "Correct or remove the sidecar.");
        }

        private static JsonElement? Field(JsonElement? parent, string name) =>
            parent is { } element && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

        private JsonElement? Object(JsonElement root, string name)
        {
            if (Field(root, name) is not { } value)
            {
                return null;
            }

            if (value.ValueKind == JsonValueKind.Object)
            {
                return value;
            }

            _faults.Add($"{name} is not an object");
            return null;
        }

        private string? Text(JsonElement? parent, string name)
        {
            if (Field(parent, name) is not { } value)
            {
                return null;
            }

            if (value.ValueKind == JsonValueKind.String && value.GetString() is { Length: <= 500 } text)
            {
                return text;
            }

            _faults.Add($"{name} is not a text of at most 500 characters");
            return null;
        }

        private double? Number(JsonElement? parent, string name, double least, double most)
        {
            if (Field(parent, name) is not { } value)
            {
                return null;
            }

            if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= least && number <= most)
            {
                return number;
            }

            _faults.Add(string.Create(CultureInfo.InvariantCulture, $"{name} is not a number from {least} to {most}"));
            return null;
        }

        private void RequireWord(JsonElement? input, string name, string word)
        {
            if (Text(input, name) is { } text && !text.Equals(word, StringComparison.OrdinalIgnoreCase))
            {
                _faults.Add($"input.{name} is '{FileFault.Short(text)}'; only {word} is supported");
            }
        }

        private void CheckFileName(JsonElement root, string field)
        {
            if (Text(root, field) is { } text && (text.Length == 0 || text is "." or ".." || text.AsSpan().IndexOfAny("/\\:\0") >= 0))
            {
                _faults.Add($"{field} '{FileFault.Short(text)}' is not a plain file name in the sidecar's folder");
            }
        }

        private (int, int)? ReadSize(JsonElement? input)
        {
            if (Field(input, "size") is not { } value)
            {
                return null;
            }

            if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 2
                && IsSize(value[0], out var height) && IsSize(value[1], out var width))
            {
                return (height, width);
            }

            _faults.Add($"input.size is not [height, width] with values from 1 to {MaxInput}");
            return null;
        }

        private static bool IsSize(JsonElement value, out int size)
        {
            size = 0;
            return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out size) && size is >= 1 and <= MaxInput;
        }

        private float[]? ReadChannels(JsonElement? input, string name, bool positive)
        {
            if (Field(input, name) is not { } value)
            {
                return null;
            }

            if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() != 3)
            {
                _faults.Add($"input.{name} is not a list of three numbers");
                return null;
            }

            var channels = new float[3];
            for (var i = 0; i < 3; i++)
            {
                if (value[i].ValueKind != JsonValueKind.Number || !value[i].TryGetSingle(out channels[i]) || !float.IsFinite(channels[i]) || MathF.Abs(channels[i]) > 1e4f)
                {
                    _faults.Add($"input.{name}[{i}] is not a number within ±10000");
                }
                else if (positive && channels[i] < 1e-6f)
                {
                    _faults.Add(string.Create(CultureInfo.InvariantCulture, $"input.{name}[{i}] is {channels[i]} but must be greater than 0"));
                }
            }

            return channels;
        }

        private (ResizeMode?, int) ReadResize(JsonElement? input)
        {
            if (Field(input, "resize") is not { } value)
            {
                return (null, 0);
            }

            if (value.ValueKind == JsonValueKind.Object)
            {
                var to = Number(value, "to", 1, MaxInput) is { } number ? (int)number : 0;
                switch (Text(value, "mode"))
                {
                    case "stretch":
                        return (ResizeMode.Stretch, 0);
                    case "shorter_side_centre_crop":
                        return (ResizeMode.ShorterSideCentreCrop, to);
                    default:
                        _faults.Add("input.resize.mode is neither stretch nor shorter_side_centre_crop");
                        return (null, 0);
                }
            }

            if (Text(input, "resize") is not { } text)
            {
                return (null, 0);
            }

            // The sidecars of published weights describe it in a sentence.
            if (text.Contains("shorter side", StringComparison.OrdinalIgnoreCase) || text.Contains("centre crop", StringComparison.OrdinalIgnoreCase)
                || text.Contains("center crop", StringComparison.OrdinalIgnoreCase))
            {
                var match = ShorterSide().Match(text);
                var to = match.Success && int.TryParse(match.Groups[1].Value, CultureInfo.InvariantCulture, out var length) ? length : 0;
                if (to > MaxInput)
                {
                    _faults.Add($"input.resize speaks of {to} pixels; at most {MaxInput} are supported");
                }

                return (ResizeMode.ShorterSideCentreCrop, to);
            }

            if (!text.Contains("resize", StringComparison.OrdinalIgnoreCase) && !text.Contains("stretch", StringComparison.OrdinalIgnoreCase)
                && !text.StartsWith("none", StringComparison.OrdinalIgnoreCase))
            {
                _notes.Add($"The sidecar's resize text '{FileFault.Short(text)}' is not understood; images are stretched to the input size.");
            }

            return (ResizeMode.Stretch, 0);
        }

        private List<NetworkClass> ReadClasses(JsonElement root)
        {
            var classes = new List<NetworkClass>();
            if (Field(root, "classes") is not { } value)
            {
                return classes;
            }

            if (value.ValueKind != JsonValueKind.Array)
            {
                _faults.Add("classes is not a list");
                return classes;
            }

            var seen = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (var element in value.EnumerateArray())
            {
                var index = classes.Count;
                var entry = ReadClass(element, index);
                classes.Add(entry);
                var key = entry.Identifier.Length > 0 ? entry.Identifier : entry.Name;
                if (key.Length > 0 && !seen.TryAdd(key, index) && _faults.Count < 20)
                {
                    _faults.Add($"classes[{index}] '{FileFault.Short(key)}' repeats classes[{seen[key]}]");
                }
            }

            return classes;
        }

        private NetworkClass ReadClass(JsonElement element, int index)
        {
            if (element.ValueKind == JsonValueKind.String && element.GetString() is { Length: > 0 and <= 500 } plain)
            {
                return new NetworkClass(plain);
            }

            if (element.ValueKind == JsonValueKind.Object)
            {
                var identifier = Text(element, "wnid") ?? Text(element, "id") ?? "";
                var name = Text(element, "name") ?? identifier;
                if (Number(element, "index", 0, int.MaxValue) is { } stated && (int)stated != index)
                {
                    _faults.Add($"classes[{index}].index is {(int)stated}");
                }

                if (name.Length > 0)
                {
                    return new NetworkClass(name, identifier);
                }
            }

            if (_faults.Count < 20)
            {
                _faults.Add($"classes[{index}] is neither a name nor an object with wnid and name");
            }

            return new NetworkClass("");
        }
    }
}
