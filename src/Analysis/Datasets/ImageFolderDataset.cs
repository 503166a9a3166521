using System.IO.Enumeration;
using Analysis.Imaging;

namespace Analysis.Datasets;

/// <summary>Images below a folder: one folder a class, with any nesting below it, or all in one flat folder.</summary>
internal sealed class ImageFolderDataset : IDataset
{
    /// <summary>Largest file that is read, in bytes.</summary>
    public const long MaxFileBytes = 256L << 20;

    private const string EmptyFile = "The file is empty, or it is a pipe, a socket or a device.";

    private readonly string _realRoot;

    private ImageFolderDataset(string root, bool classFolders, List<SampleReference> samples, List<string> classes, List<SkippedFile> skipped, string fingerprint)
    {
        _realRoot = root;
        Root = root;
        Name = NameOf(root);
        Format = classFolders ? "class folders" : "flat folder";
        Fingerprint = fingerprint;
        Samples = samples;
        Classes = classes;
        Skipped = skipped;
    }

    public string Root { get; }

    public string Name { get; }

    public string Format { get; }

    public string Fingerprint { get; }

    public IReadOnlyList<SampleReference> Samples { get; }

    public IReadOnlyList<string> Classes { get; }

    public IReadOnlyList<SkippedFile> Skipped { get; }

    public static string NameOf(string root)
    {
        var name = Path.GetFileName(root.TrimEnd(Path.DirectorySeparatorChar));
        return name.Length == 0 ? root : name;
    }

    /// <summary>Lists the images below a folder.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="cancellation">Ends the scan.</param>
    /// <param name="flat">Take all images, in any nesting, and no folder as a class.</param>
    public static ImageFolderDataset Open(string root, CancellationToken cancellation, bool flat = false)
    {
        var files = new List<FoundFile>();
        var skipped = new List<SkippedFile>();
        var pending = new Stack<string>();
        pending.Push("");
        while (pending.TryPop(out var folder))
        {
            cancellation.ThrowIfCancellationRequested();
            var images = files.Count;
            var subfolders = pending.Count;
            if (!Scan(root, folder, pending, files, skipped, cancellation))
            {
                if (folder.Length == 0)
                {
                    throw new AnalysisException($"The folder '{root}' cannot be read.", "Give this user read access to it.");
                }

                skipped.Add(new SkippedFile(folder, "The folder cannot be read: permission is denied or it is gone."));
            }
            else if (folder.Length > 0 && !folder.Contains('/') && files.Count == images && pending.Count == subfolders)
            {
                skipped.Add(new SkippedFile(folder, "The class folder holds no images."));
            }
        }

        // Class folders count as such only where one holds an image: a flat folder may have an empty folder beside its images.
        var classFolders = !flat && files.Exists(static f => f.Path.Contains('/'));
        if (classFolders)
        {
            var beside = files.FindAll(static f => !f.Path.Contains('/'));
            files.RemoveAll(static f => !f.Path.Contains('/'));
            skipped.AddRange(beside.Select(static f => new SkippedFile(f.Path, "The image lies beside the class folders and so has no class.")));
        }

        files.Sort(static (a, b) => string.CompareOrdinal(a.Path, b.Path));
        skipped.Sort(static (a, b) => string.CompareOrdinal(a.Path, b.Path));
        if (files.Count == 0)
        {
            throw NoImages(root, skipped);
        }

        using var fingerprint = new FingerprintBuilder();
        var samples = new List<SampleReference>(files.Count);
        var classes = new List<string>();
        var last = "";
        foreach (var file in files)
        {
            fingerprint.Add(file.Path, file.Length, file.Modified);
            if (classFolders)
            {
                var name = file.Path.AsSpan(0, file.Path.IndexOf('/'));
                if (!name.SequenceEqual(last))
                {
                    last = name.ToString();
                    classes.Add(last);
                }
            }

            samples.Add(new SampleReference(file.Path, last));
        }

        // Paths of one class need not be neighbours: "a-b/x" lies between "a" and "a/x".
        classes = [.. classes.Distinct(StringComparer.Ordinal)];
        classes.Sort(StringComparer.Ordinal);
        return new ImageFolderDataset(root, classFolders, samples, classes, skipped, fingerprint.Finish());
    }

    public RawImage Read(int index) => ReadBelow(_realRoot, Samples[index].Path);

    /// <summary>Reads an image by its path below a folder.</summary>
    /// <param name="root">The folder, without symbolic links.</param>
    /// <param name="path">Path relative to it, from a listing.</param>
    /// <exception cref="AnalysisException">It is gone, unreadable, too large, or a link that leaves the folder.</exception>
    public static RawImage ReadBelow(string root, string path)
    {
        try
        {
            var full = Path.Combine(root, path);
            var info = new FileInfo(full);
            if (info.Exists && info.LinkTarget is not null)
            {
                var target = RealPath.Of(full);
                if (target is null || !RealPath.IsBelow(target, root))
                {
                    throw new AnalysisException($"The image '{path}' is a link that leaves the data set.", "Replace the link by the file.");
                }

                full = target;
            }

            return ReadFile(full, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw Unreadable(path, e);
        }
    }

    /// <summary>Reads one encoded image.</summary>
    /// <param name="full">Full path; its links have been judged.</param>
    /// <param name="path">Path for messages.</param>
    /// <exception cref="AnalysisException">It is gone, empty, too large or unreadable.</exception>
    public static RawImage ReadFile(string full, string path)
    {
        try
        {
            var info = new FileInfo(full);
            if (!info.Exists)
            {
                throw new AnalysisException($"The image '{path}' is gone.", "It was there when the folder was listed; put it back or list the folder again.");
            }

            var length = info.Length;
            if (length == 0)
            {
                // Pipes and devices report no length either; opening one could block for ever.
                throw new AnalysisException($"The image '{path}' cannot be read.", EmptyFile);
            }

            if (length > MaxFileBytes)
            {
                throw new AnalysisException($"The image '{path}' has {length >> 20} MB, more than the limit of {MaxFileBytes >> 20} MB.", "Store it smaller.");
            }

            using var handle = File.OpenHandle(info.FullName, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var bytes = new byte[length];
            var done = 0;
            while (done < bytes.Length)
            {
                var read = RandomAccess.Read(handle, bytes.AsSpan(done), done);
                if (read == 0)
                {
                    throw new AnalysisException($"The image '{path}' became shorter while it was read.", "Run again when nothing writes to the folder.");
                }

                done += read;
            }

            return new RawImage(bytes, Encoded: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw Unreadable(path, e);
        }
    }

    // The system's own message can hold the full path, which is not for every reader.
    private static AnalysisException Unreadable(string path, Exception e) => e switch
    {
        UnauthorizedAccessException => new($"The image '{path}' cannot be read: permission is denied.", "Give this user read access to it.", e),
        FileNotFoundException or DirectoryNotFoundException => new($"The image '{path}' is gone.", "It was there when the folder was listed; put it back or list the folder again.", e),
        _ => new($"The image '{path}' cannot be read from disk.", "Check the disk.", e),
    };

    private static AnalysisException NoImages(string root, List<SkippedFile> skipped)
    {
        const string remedy = "It must hold images (JPEG, PNG, WebP, GIF, BMP, TIFF) or one folder of images per class.";
        if (skipped.Count == 0)
        {
            return new AnalysisException($"The folder '{root}' is empty.", remedy);
        }

        var first = skipped[0];
        return new AnalysisException(
            $"The folder '{root}' holds no usable images; {skipped.Count:N0} entries were left out, the first is '{first.Path}': {first.Reason}",
            remedy);
    }

    /// <summary>Lists one folder. False where it cannot be read.</summary>
    private static bool Scan(
        string root, string folder, Stack<string> pending, List<FoundFile> files, List<SkippedFile> skipped, CancellationToken cancellation)
    {
        var options = new EnumerationOptions
        {
            AttributesToSkip = 0,
            IgnoreInaccessible = false,
            RecurseSubdirectories = false,
            ReturnSpecialDirectories = false,
        };
        try
        {
            var entries = new FileSystemEnumerable<Entry>(
                Path.Combine(root, folder),
                static (ref FileSystemEntry e) =>
                {
                    var link = (e.Attributes & FileAttributes.ReparsePoint) != 0;
                    return new Entry(e.FileName.ToString(), e.IsDirectory, link, link || e.IsDirectory ? 0 : e.Length, e.LastWriteTimeUtc.UtcDateTime);
                },
                options);
            var count = 0;
            foreach (var entry in entries)
            {
                if ((++count & 0xFFF) == 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                }

                Judge(root, folder.Length == 0 ? entry.Name : $"{folder}/{entry.Name}", entry, pending, files, skipped);
            }

            return true;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            return false;
        }
    }

    private static void Judge(string root, string path, Entry entry, Stack<string> pending, List<FoundFile> files, List<SkippedFile> skipped)
    {
        void Skip(string reason) => skipped.Add(new SkippedFile(path, reason));

        var hidden = entry.Name.StartsWith('.') && !entry.Name.StartsWith("..", StringComparison.Ordinal);
        if (hidden && entry.Directory)
        {
            Skip("Hidden folder.");
            return;
        }

        var (length, modified) = (entry.Length, entry.Modified);
        if (entry.Link)
        {
            if (entry.Directory)
            {
                Skip("Symbolic link to a folder; links to folders are not followed.");
                return;
            }

            var target = RealPath.Of(Path.Combine(root, path));
            if (target is null || !RealPath.IsBelow(target, root))
            {
                Skip("Symbolic link to a file outside the data set; it is not followed.");
                return;
            }

            var info = new FileInfo(target);
            if (!info.Exists)
            {
                Skip("Symbolic link to nothing.");
                return;
            }

            (length, modified) = (info.Length, info.LastWriteTimeUtc);
        }
        else if (entry.Directory)
        {
            pending.Push(path);
            return;
        }

        if (length == 0)
        {
            Skip(EmptyFile);
            return;
        }

        if (entry.Name.Contains('\uFFFD') && !File.Exists(Path.Combine(root, path)))
        {
            Skip("The file's name is not valid UTF-8.");
            return;
        }

        if (AnnotationFiles.Contains(path))
        {
            return;
        }

        var extension = Path.GetExtension(entry.Name);
        if (hidden && !BeginsLikeImage(Path.Combine(root, path)))
        {
            // Catalogues and resource forks that systems leave behind; a picture under such a name is a picture.
            Skip("Hidden file that is not an image.");
            return;
        }

        if (extension.Length == 0)
        {
            if (!BeginsLikeImage(Path.Combine(root, path)))
            {
                Skip("Not an image, by its first bytes.");
                return;
            }
        }
        else if (!ImageSignature.IsImageExtension(extension))
        {
            Skip($"Files of kind '{extension}' are not supported.");
            return;
        }

        files.Add(new FoundFile(path, length, modified));
    }

    private static bool BeginsLikeImage(string path)
    {
        try
        {
            using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            Span<byte> head = stackalloc byte[ImageSignature.Length];
            var read = RandomAccess.Read(handle, head, 0);
            return ImageSignature.Detect(head[..read]) != ImageFormat.Unknown;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return false;
        }
    }

    private readonly record struct Entry(string Name, bool Directory, bool Link, long Length, DateTime Modified);

    private readonly record struct FoundFile(string Path, long Length, DateTime Modified);
}
