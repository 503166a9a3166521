using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Services;

/// <summary>The folders below which data sets and networks may be read. Links are followed before the decision.</summary>
internal sealed class AllowedRoots
{
    private readonly string[] _internal;

    public AllowedRoots(IOptions<DashboardOptions> options, DataFolders folders)
        : this(options.Value.DataRoots.Count > 0
            ? options.Value.DataRoots
            : [Environment.GetFolderPath(Environment.SpecialFolder.UserProfile)],
            [folders.Sample, folders.Generated, SampleNetworkFolder])
    {
    }

    internal AllowedRoots(IEnumerable<string> roots, IEnumerable<string> always)
    {
        Roots = [.. roots.Where(root => root.Length > 0).Select(root => Resolve(Path.GetFullPath(root))).OfType<string>().Distinct()];
        _internal = [.. always.Select(root => Resolve(Path.GetFullPath(root))).OfType<string>()];
    }

    /// <summary>Folder of the network that ships with the site.</summary>
    public static string SampleNetworkFolder => Path.Combine(AppContext.BaseDirectory, "samples", "network");

    /// <summary>The configured roots, resolved.</summary>
    public IReadOnlyList<string> Roots { get; }

    /// <summary>The real path of a file or folder that exists below a root.</summary>
    /// <exception cref="ServiceException">The path is outside the roots, absent, or a loop of links.</exception>
    public string Require(string path)
    {
        if (string.IsNullOrWhiteSpace(path) || path.Contains('\0') || path.Length > 4096)
        {
            throw new ServiceException("Give the path of a file or folder.");
        }

        if (!Path.IsPathFullyQualified(path))
        {
            throw new ServiceException($"'{path}' is not a full path. Give the path from the top, for example {Roots.FirstOrDefault() ?? "/data"}/images.");
        }

        var full = Path.GetFullPath(path);
        // Whether something exists outside the roots is not told either.
        var real = Resolve(full);
        if (real is null || !IsBelow(real))
        {
            if (real is null && IsBelow(full))
            {
                throw new ServiceException($"There is nothing at '{path}'.");
            }

            throw new ServiceException(
                $"'{path}' is outside the folders that this site may read ({string.Join(", ", Roots)}). Start it with --data-root and the folder to allow it.");
        }

        return Path.Exists(real) ? real : throw new ServiceException($"There is nothing at '{path}'.");
    }

    /// <summary>True where the resolved path is a root or below one.</summary>
    public bool IsBelow(string real) => Roots.Concat(_internal).Any(root =>
        real == root || real.StartsWith(root.EndsWith(Path.DirectorySeparatorChar) ? root : root + Path.DirectorySeparatorChar, StringComparison.Ordinal));

    /// <summary>The path with every link on the way followed; null for a loop.</summary>
    internal static string? Resolve(string path)
    {
        var links = 0;
        var resolved = Path.GetPathRoot(path) ?? "/";
        var rest = new Stack<string>(path[resolved.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).Reverse());
        while (rest.TryPop(out var segment))
        {
            if (segment == ".")
            {
                continue;
            }

            if (segment == "..")
            {
                resolved = Path.GetDirectoryName(resolved) ?? resolved;
                continue;
            }

            var next = Path.Combine(resolved, segment);
            string? target;
            try
            {
                target = new FileInfo(next).LinkTarget;
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                target = null;
            }

            if (target is null)
            {
                resolved = next;
                continue;
            }

            if (++links > 40)
            {
                return null;
            }

            if (Path.IsPathFullyQualified(target))
            {
                resolved = Path.GetPathRoot(target) ?? "/";
                target = target[resolved.Length..];
            }

            foreach (var part in target.Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).Reverse())
            {
                rest.Push(part);
            }
        }

        return resolved;
    }
}
