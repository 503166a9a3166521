using System.Formats.Tar;
using System.Text;
using System.Text.Json;
using Analysis.Imaging;

namespace Analysis.Datasets;

/// <summary>
/// Tar shards, as WebDataset writes them: neighbouring files with the same name up to the first dot are one sample, an image
/// with its label in <c>.cls</c> (a number or a name) or <c>.json</c> (a field class, label, cls, category or class_name). A
/// tar of class folders is read too. Nothing is unpacked: the places of the images are listed once and read by offset.
/// Names are names only, so that a path that leads upwards leads nowhere.
/// </summary>
internal sealed class TarDataset : IDataset
{
    private const int MaxLabelBytes = 4096;
    private const int MaxJsonBytes = 1 << 20;
    private const int MaxSamples = 50_000_000;
    private const int MaxSkipped = 100_000;

    private static readonly string[] JsonFields = ["class", "label", "cls", "category", "class_name"];
    private static readonly string[] PackedExtensions = [".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"];

    private readonly string[] _files;
    private readonly Place[] _places;

    private TarDataset(string root, string[] files, List<(SampleReference Sample, Place Place)> found, List<SkippedFile> skipped, string fingerprint)
    {
        Root = root;
        Name = ImageFolderDataset.NameOf(root);
        _files = files;
        found.Sort((a, b) => string.CompareOrdinal(a.Sample.Path, b.Sample.Path));
        Samples = found.ConvertAll(f => f.Sample);
        _places = [.. found.Select(f => f.Place)];
        Classes = [.. Samples.Select(s => s.ClassName).Where(c => c.Length > 0).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        skipped.Sort((a, b) => string.CompareOrdinal(a.Path, b.Path));
        Skipped = skipped;
        Fingerprint = fingerprint;
    }

    public string Root { get; }

    public string Name { get; }

    public string Format => "tar shards";

    public string Fingerprint { get; }

    public IReadOnlyList<SampleReference> Samples { get; }

    public IReadOnlyList<string> Classes { get; }

    public IReadOnlyList<SkippedFile> Skipped { get; }

    /// <summary>True for names of compressed tars, which cannot be read by offset.</summary>
    public static bool IsPacked(string path) => PackedExtensions.Any(e => path.EndsWith(e, StringComparison.OrdinalIgnoreCase));

    /// <summary>Lists the shards.</summary>
    /// <param name="root">The folder or the one file.</param>
    /// <param name="files">Full paths of the shards in order.</param>
    /// <param name="cancellation">Ends the scan.</param>
    /// <exception cref="AnalysisException">No image was found.</exception>
    public static TarDataset Open(string root, IReadOnlyList<string> files, CancellationToken cancellation)
    {
        var scan = new Scan(ClassNames.Read(Path.GetDirectoryName(files[0])!), files.Count > 1);
        using var fingerprint = new FingerprintBuilder();
        for (var shard = 0; shard < files.Count; shard++)
        {
            var info = new FileInfo(files[shard]);
            fingerprint.Add(info.Name, info.Length, info.LastWriteTimeUtc);
            scan.Read(files[shard], shard, cancellation);
        }

        var (found, skipped) = scan.Finish();
        return found.Count > 0
            ? new TarDataset(root, [.. files], found, skipped, fingerprint.Finish())
            : throw new AnalysisException(
                $"The tar files of '{root}' hold no usable images{(skipped.Count > 0 ? $"; the first entry that was left out is '{skipped[0].Path}': {skipped[0].Reason}" : ".")}",
                "They must hold images (JPEG, PNG, WebP, GIF, BMP, TIFF), each with its label beside it (.cls or .json) or in a folder of its class.");
    }

    public RawImage Read(int index)
    {
        var place = _places[index];
        var path = Samples[index].Path;
        try
        {
            using var handle = File.OpenHandle(_files[place.Shard], FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var bytes = new byte[place.Length];
            for (var done = 0; done < bytes.Length;)
            {
                var read = RandomAccess.Read(handle, bytes.AsSpan(done), place.Offset + done);
                done += read > 0 ? read : throw new AnalysisException($"The image '{path}' is cut off.", "The tar file became shorter after it was listed; list it again.");
            }

            return new RawImage(bytes, Encoded: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new AnalysisException($"The image '{path}' cannot be read.", "Check that the tar file is still there and readable.", e);
        }
    }

    private readonly record struct Place(int Shard, long Offset, int Length);

    /// <summary>Collects samples over shards; files of a sample stand side by side.</summary>
    private sealed class Scan(IReadOnlyList<string> names, bool several)
    {
        private readonly List<(SampleReference Sample, Place Place)> _found = [];
        private readonly List<SkippedFile> _skipped = [];
        private readonly HashSet<string> _paths = new(StringComparer.Ordinal);
        private readonly List<(string Path, string Folder, Place Place)> _images = [];
        private bool _labelled;
        private string _prefix = "";
        private string _key = "";
        private string? _label;

        public void Read(string file, int shard, CancellationToken cancellation)
        {
            _prefix = several ? Path.GetFileName(file) + "/" : "";
            _key = "";
            try
            {
                using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1 << 16);
                using var reader = new TarReader(stream);
                while (reader.GetNextEntry() is { } entry)
                {
                    cancellation.ThrowIfCancellationRequested();
                    Judge(entry, stream.Length, shard);
                }
            }
            catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or OverflowException)
            {
                Skip(Path.GetFileName(file), "The tar file is damaged or cut off from here on; what stands before is used.");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Skip(Path.GetFileName(file), "The tar file cannot be read.");
            }

            Close();
        }

        public (List<(SampleReference, Place)> Found, List<SkippedFile> Skipped) Finish()
        {
            if (!_labelled && _found.Count > 0 && _found.All(f => f.Sample.Path.LastIndexOf('/') > (several ? f.Sample.Path.IndexOf('/') : -1)))
            {
                // No labels at all, but folders: they are the classes.
                for (var i = 0; i < _found.Count; i++)
                {
                    var parts = _found[i].Sample.Path.Split('/');
                    _found[i] = (_found[i].Sample with { ClassName = parts[^2] }, _found[i].Place);
                }
            }
            else if (_labelled)
            {
                foreach (var (sample, _) in _found.Where(f => f.Sample.ClassName.Length == 0))
                {
                    Skip(sample.Path, "It has no label, while other images have one.");
                }

                _found.RemoveAll(f => f.Sample.ClassName.Length == 0);
            }

            return (_found, _skipped);
        }

        private void Judge(TarEntry entry, long fileLength, int shard)
        {
            var name = ClassNames.HarmlessPath(entry.Name);
            if (entry.EntryType is TarEntryType.Directory or TarEntryType.ExtendedAttributes or TarEntryType.GlobalExtendedAttributes || name.Length == 0)
            {
                return;
            }

            if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile))
            {
                Skip(_prefix + name, "Links and devices in a tar file are not followed.");
                return;
            }

            if (entry.Length < 0 || entry.DataOffset < 0 || entry.DataOffset > fileLength - entry.Length)
            {
                Skip(_prefix + name, "It is cut off: the tar file ends before it does.");
                return;
            }

            var slash = name.LastIndexOf('/') + 1;
            var dot = name.IndexOf('.', slash + 1);
            var (key, extension) = dot < 0 ? (name, "") : (name[..dot], name[dot..]);
            if (key != _key)
            {
                Close();
                _key = key;
            }

            if (name[slash..].StartsWith('.'))
            {
                Skip(_prefix + name, "Hidden file.");
            }
            else if (extension.Equals(".cls", StringComparison.OrdinalIgnoreCase) || extension.Equals(".class", StringComparison.OrdinalIgnoreCase))
            {
                _label = entry.Length <= MaxLabelBytes ? Label(Text(entry)) : null;
            }
            else if (extension.Equals(".json", StringComparison.OrdinalIgnoreCase))
            {
                _label ??= entry.Length <= MaxJsonBytes ? FromJson(Text(entry)) : null;
            }
            else if (!ImageSignature.IsImageExtension(Path.GetExtension(name)))
            {
                if (extension is not (".txt" or ".__key__" or ".id"))
                {
                    Skip(_prefix + name, $"Files of kind '{Path.GetExtension(name)}' are not supported.");
                }
            }
            else if (entry.Length == 0 || entry.Length > ImageFolderDataset.MaxFileBytes)
            {
                Skip(_prefix + name, entry.Length == 0 ? "The file is empty." : $"It has {entry.Length >> 20} MB, more than the limit of {ImageFolderDataset.MaxFileBytes >> 20} MB.");
            }
            else
            {
                _images.Add((_prefix + name, name[..Math.Max(0, slash - 1)], new Place(shard, entry.DataOffset, (int)entry.Length)));
            }
        }

        /// <summary>Ends a sample: all its files have been seen.</summary>
        private void Close()
        {
            foreach (var (path, _, place) in _images)
            {
                if (_found.Count >= MaxSamples)
                {
                    throw new AnalysisException($"The tar files hold more than {MaxSamples:N0} images.", "Analyse a part of the shards.");
                }

                if (_paths.Add(path))
                {
                    _labelled |= _label is not null;
                    _found.Add((new SampleReference(path, _label ?? ""), place));
                }
                else
                {
                    Skip(path, "Another entry before has the same name.");
                }
            }

            _images.Clear();
            _label = null;
        }

        private string? Label(string? text) => string.IsNullOrWhiteSpace(text) ? null : ClassNames.Of(text, names);

        private string? FromJson(string? text)
        {
            try
            {
                using var document = JsonDocument.Parse(text ?? "");
                if (document.RootElement.ValueKind != JsonValueKind.Object)
                {
                    return null;
                }

                foreach (var field in JsonFields)
                {
                    if (document.RootElement.TryGetProperty(field, out var value) && value.ValueKind is JsonValueKind.String or JsonValueKind.Number)
                    {
                        return Label(value.ValueKind == JsonValueKind.String ? value.GetString() : value.GetRawText());
                    }
                }

                return null;
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                return null;
            }
        }

        private static string? Text(TarEntry entry)
        {
            if (entry.DataStream is not { } stream)
            {
                return null;
            }

            var bytes = new byte[entry.Length];
            return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
        }

        private void Skip(string path, string reason)
        {
            if (_skipped.Count < MaxSkipped)
            {
                _skipped.Add(new SkippedFile(path, reason));
            }
        }
    }
}
