using System.Globalization;
using System.Text;

namespace Analysis.Datasets;

/// <summary>
/// CIFAR-10 and CIFAR-100 in their binary version (Krizhevsky 2009): records of one label byte (CIFAR-100: a coarse and a
/// fine one) and 3072 pixel bytes, a 32×32 plane each of red, green and blue.
/// </summary>
internal sealed class CifarDataset : IDataset
{
    private const int Side = 32;
    private const int Plane = Side * Side;
    private const int MaxNamesBytes = 1 << 20;

    private readonly string[] _files;
    private readonly int[] _firstSample;
    private readonly int _labelBytes;

    private CifarDataset(string root, string[] files, int labelBytes)
    {
        Root = root;
        Name = ImageFolderDataset.NameOf(root);
        Format = labelBytes == 1 ? "CIFAR binary" : "CIFAR-100 binary";
        _labelBytes = labelBytes;
        _files = files;
        _firstSample = new int[files.Length];

        var folder = Path.GetDirectoryName(files[0])!;
        var names = ReadNames(folder, labelBytes);
        var samples = new List<SampleReference>();
        var skipped = new List<SkippedFile>();
        var used = new SortedSet<string>(StringComparer.Ordinal);
        using var fingerprint = new FingerprintBuilder();
        for (var f = 0; f < files.Length; f++)
        {
            _firstSample[f] = samples.Count;
            var info = new FileInfo(files[f]);
            var count = info.Length / RecordLength;
            if (info.Length % RecordLength != 0)
            {
                skipped.Add(new SkippedFile(info.Name, $"The file ends with an incomplete record of {info.Length % RecordLength} bytes; {count} whole ones are used."));
            }

            fingerprint.Add(info.Name, info.Length, info.LastWriteTimeUtc);
            var digits = Math.Max(5, (count - 1).ToString(CultureInfo.InvariantCulture).Length);
            foreach (var label in ReadLabels(files[f], count))
            {
                var name = label < names.Count ? names[label] : label.ToString(CultureInfo.InvariantCulture);
                used.Add(name);
                var index = samples.Count - _firstSample[f];
                samples.Add(new SampleReference($"{info.Name}#{index.ToString(CultureInfo.InvariantCulture).PadLeft(digits, '0')}", name));
            }
        }

        Samples = samples;
        Skipped = skipped;
        Classes = [.. used];
        Fingerprint = fingerprint.Finish();
    }

    public string Root { get; }

    public string Name { get; }

    public string Format { get; }

    public string Fingerprint { get; }

    public IReadOnlyList<SampleReference> Samples { get; }

    public IReadOnlyList<string> Classes { get; }

    public IReadOnlyList<SkippedFile> Skipped { get; }

    private int RecordLength => _labelBytes + (3 * Plane);

    /// <summary>The data set in a folder of CIFAR batches; null where the folder holds none.</summary>
    public static CifarDataset? TryOpenFolder(string folder)
    {
        var files = new List<(string Path, long Length)>();
        foreach (var path in Directory.EnumerateFiles(folder, "*.bin"))
        {
            var info = new FileInfo(path);
            if (info.LinkTarget is null && info.Length > 0)
            {
                files.Add((path, info.Length));
            }
        }

        files.Sort(static (a, b) => string.CompareOrdinal(Path.GetFileName(a.Path), Path.GetFileName(b.Path)));
        var ten = files.FindAll(static f => IsCifar10Name(Path.GetFileName(f.Path)) && f.Length >= 1 + (3 * Plane));
        if (ten.Count > 0)
        {
            return new CifarDataset(folder, [.. ten.Select(static f => f.Path)], 1);
        }

        var hundred = files.FindAll(static f => IsCifar100Name(Path.GetFileName(f.Path)) && f.Length % (2 + (3 * Plane)) == 0);
        if (hundred.Count > 0)
        {
            return new CifarDataset(folder, [.. hundred.Select(static f => f.Path)], 2);
        }

        return files.Count == 1 ? TryOpenFile(files[0].Path, folder) : null;
    }

    /// <summary>The data set in one file; null where it is not a whole number of records.</summary>
    public static CifarDataset? TryOpenFile(string path) => TryOpenFile(path, path);

    public RawImage Read(int index)
    {
        var f = Array.BinarySearch(_firstSample, index);
        f = f >= 0 ? LastEqual(f) : ~f - 1;
        var offset = ((long)(index - _firstSample[f]) * RecordLength) + _labelBytes;
        var planes = new byte[3 * Plane];
        try
        {
            using var handle = File.OpenHandle(_files[f], FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (RandomAccess.Read(handle, planes, offset) != planes.Length)
            {
                throw new AnalysisException($"The record '{Samples[index].Path}' is incomplete.", "The file became shorter after it was listed; list it again.");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new AnalysisException($"The record '{Samples[index].Path}' cannot be read.", "Check that the file is still there and readable.", e);
        }

        var pixels = new byte[3 * Plane];
        for (var i = 0; i < Plane; i++)
        {
            pixels[3 * i] = planes[i];
            pixels[(3 * i) + 1] = planes[Plane + i];
            pixels[(3 * i) + 2] = planes[(2 * Plane) + i];
        }

        return new RawImage(pixels, Encoded: false, Side, Side);
    }

    private static CifarDataset? TryOpenFile(string path, string root)
    {
        if (!Path.GetExtension(path).Equals(".bin", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var length = new FileInfo(path).Length;
        var ten = length > 0 && length % (1 + (3 * Plane)) == 0;
        var hundred = length > 0 && length % (2 + (3 * Plane)) == 0;
        return (ten, hundred) switch
        {
            (true, true) => new CifarDataset(root, [path], IsCifar100Name(Path.GetFileName(path)) ? 2 : 1),
            (true, false) => new CifarDataset(root, [path], 1),
            (false, true) => new CifarDataset(root, [path], 2),
            _ => null,
        };
    }

    private static bool IsCifar10Name(string name) =>
        name.Equals("test_batch.bin", StringComparison.OrdinalIgnoreCase) || name.StartsWith("data_batch_", StringComparison.OrdinalIgnoreCase);

    private static bool IsCifar100Name(string name) =>
        name.Equals("train.bin", StringComparison.OrdinalIgnoreCase) || name.Equals("test.bin", StringComparison.OrdinalIgnoreCase);

    private static List<string> ReadNames(string folder, int labelBytes)
    {
        var info = new FileInfo(Path.Combine(folder, labelBytes == 1 ? "batches.meta.txt" : "fine_label_names.txt"));
        if (!info.Exists || info.LinkTarget is not null || info.Length is 0 or > MaxNamesBytes)
        {
            return [];
        }

        var names = File.ReadAllLines(info.FullName, Encoding.UTF8).Select(static n => n.Trim()).ToList();
        while (names.Count > 0 && names[^1].Length == 0)
        {
            names.RemoveAt(names.Count - 1);
        }

        // An empty or repeated name would merge classes; the numbers are then the safer names.
        return names.Exists(static n => n.Length == 0) || names.Distinct(StringComparer.Ordinal).Count() != names.Count ? [] : names;
    }

    private int LastEqual(int f)
    {
        // A file without whole records starts at the same sample as the one after it.
        while (f + 1 < _firstSample.Length && _firstSample[f + 1] == _firstSample[f])
        {
            f++;
        }

        return f;
    }

    private List<int> ReadLabels(string path, long count)
    {
        if (count > int.MaxValue)
        {
            throw new AnalysisException($"'{Path.GetFileName(path)}' holds more records than can be listed.", "Split it.");
        }

        var labels = new List<int>((int)count);
        var recordsAtOnce = (int)Math.Min(count, 512);
        var buffer = new byte[recordsAtOnce * RecordLength];
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        for (long first = 0; first < count; first += recordsAtOnce)
        {
            var read = RandomAccess.Read(handle, buffer, first * RecordLength);
            for (var at = _labelBytes - 1; at < read && labels.Count < count; at += RecordLength)
            {
                labels.Add(buffer[at]);
            }
        }

        if (labels.Count != count)
        {
            throw new AnalysisException($"'{Path.GetFileName(path)}' could not be read to its end.", "Run again when nothing writes to the folder.");
        }

        return labels;
    }
}
