namespace Analysis.Datasets;

/// <summary>Resolution of symbolic links over every segment of a path, not only the last one.</summary>
public static class RealPath
{
    private const int MaxLinks = 40;

    /// <summary>
    /// Full path without symbolic links. Segments that do not exist are kept as they are. Null where links form a loop.
    /// </summary>
    /// <param name="path">Absolute or relative path; a relative one is taken from the current directory.</param>
    public static string? Of(string path)
    {
        var full = Path.GetFullPath(path);
        for (var links = 0; links < MaxLinks;)
        {
            var root = Path.GetPathRoot(full)!;
            var segments = full[root.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries);
            var current = root;
            var replaced = false;
            for (var i = 0; i < segments.Length; i++)
            {
                var parent = current;
                current = Path.Combine(current, segments[i]);
                var target = LinkTarget(current);
                if (target is null)
                {
                    continue;
                }

                links++;
                var rest = string.Join(Path.DirectorySeparatorChar, segments.Skip(i + 1));
                full = Path.GetFullPath(Path.Combine(parent, target, rest));
                replaced = true;
                break;
            }

            if (!replaced)
            {
                return current;
            }
        }

        return null;
    }

    /// <summary>True where <paramref name="path"/> is <paramref name="root"/> or lies below it; both already resolved.</summary>
    public static bool IsBelow(string path, string root)
    {
        var comparison = OperatingSystem.IsLinux() ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase;
        var prefix = root.EndsWith(Path.DirectorySeparatorChar) ? root : root + Path.DirectorySeparatorChar;
        return path.Equals(root, comparison) || path.StartsWith(prefix, comparison);
    }

    private static string? LinkTarget(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
