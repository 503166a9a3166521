namespace Analysis.Factorization;

/// <summary>All factorisation methods by name.</summary>
public static class FactorizationCatalogue
{
    /// <summary>The methods in the order in which people choose them.</summary>
    public static IReadOnlyList<IFactorizationMethod> All { get; } = [];

    /// <summary>A method by its name.</summary>
    /// <exception cref="AnalysisException">There is none of this name; lists those there are.</exception>
    public static IFactorizationMethod Get(string name) =>
        All.FirstOrDefault(m => m.Info.Name == name)
        ?? throw new AnalysisException($"The method '{name}' is not known.", $"Choose one of: {string.Join(", ", All.Select(m => m.Info.Name))}.");
}
