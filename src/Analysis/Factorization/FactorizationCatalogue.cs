namespace Analysis.Factorization;

/// <summary>
/// All factorisation methods by name. Unique concept vectors (singular directions refined by clustering, Graziani et al. 2023) are no
/// factorisation of this form, as the number of vectors follows from the data: they are made by <see cref="Concepts.ConceptRefinement"/>
/// from <see cref="Numerics.SingularDirections"/>.
/// </summary>
public static class FactorizationCatalogue
{
    /// <summary>The methods in the order in which people choose them.</summary>
    public static IReadOnlyList<IFactorizationMethod> All { get; } =
    [
        new NmfFactorization(),
        new SemiNmfFactorization(),
        new ConvexNmfFactorization(),
        new SvdFactorization(),
        new PcaFactorization(),
        new KMeansFactorization(),
        new IcaFactorization(),
        new DictionaryFactorization(),
        new AutoencoderFactorization(SparseActivation.TopK),
        new AutoencoderFactorization(SparseActivation.BatchTopK),
        new AutoencoderFactorization(SparseActivation.JumpRelu),
        new AutoencoderFactorization(SparseActivation.Relu),
        new MultiplicativeNmfFactorization(),
    ];

    /// <summary>A method by its name.</summary>
    /// <exception cref="AnalysisException">There is none of this name; lists those there are.</exception>
    public static IFactorizationMethod Get(string name) =>
        All.FirstOrDefault(m => m.Info.Name == name)
        ?? throw new AnalysisException($"The method '{name}' is not known.", $"Choose one of: {string.Join(", ", All.Select(m => m.Info.Name))}.");
}
