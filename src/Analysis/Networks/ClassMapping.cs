namespace Analysis.Networks;

/// <summary>Finds the network output that a class folder belongs to.</summary>
public static class ClassMapping
{
    /// <summary>
    /// Index of the output for every folder, by identifier or by name (case and underscores do not matter), never by
    /// position; −1 for a folder without an output and where several outputs share the folder's name.
    /// </summary>
    /// <param name="folders">Folder names.</param>
    /// <param name="classes">Outputs in order.</param>
    public static int[] Map(IReadOnlyList<string> folders, IReadOnlyList<NetworkClass> classes)
    {
        var identifiers = Index(classes, c => c.Identifier);
        var names = Index(classes, c => c.Name);
        return [.. folders.Select(folder =>
        {
            var key = Normalise(folder);
            return identifiers.TryGetValue(key, out var output) || names.TryGetValue(key, out output) ? output : -1;
        })];
    }

    private static Dictionary<string, int> Index(IReadOnlyList<NetworkClass> classes, Func<NetworkClass, string> text)
    {
        var index = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < classes.Count; i++)
        {
            var key = Normalise(text(classes[i]));
            if (key.Length > 0 && !index.TryAdd(key, i))
            {
                index[key] = -1;
            }
        }

        return index;
    }

    private static string Normalise(string text) => text.Replace('_', ' ').Trim().ToLowerInvariant();
}
