using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Evaluation;

/// <summary>How a method is fitted again to see whether it finds the same concepts.</summary>
public sealed record StabilityOptions
{
    /// <summary>Number of fits F, at least 2.</summary>
    public int Fits { get; init; } = 4;

    /// <summary>
    /// False: each fit leaves out another F-th of the rows, all with one seed. True: every fit sees all rows and has a seed of
    /// its own, which says nothing for a method without randomness.
    /// </summary>
    public bool VarySeed { get; init; }

    /// <summary>At most so many rows are used, spread evenly; 0 for all.</summary>
    public int MaximumRows { get; init; } = 20_000;
}

/// <summary>Agreement of the concept vectors of several fits.</summary>
/// <param name="Mean">Mean over pairs of fits of the mean matched cosine. Higher is better.</param>
/// <param name="Worst">The least over pairs.</param>
/// <param name="Pairs">One value for each pair (0,1), (0,2), ..., (1,2), ...</param>
/// <param name="Concepts">
/// For each concept vector of the first fit, its matched cosine averaged over the other fits: which concepts can be relied on.
/// </param>
public sealed record StabilityResult(double Mean, double Worst, IReadOnlyList<double> Pairs, IReadOnlyList<double> Concepts);

/// <summary>
/// Stability of a factorisation: concept vectors of repeated fits, matched one to one by the Hungarian method on cosine
/// (Fel et al. 2023, arXiv 2306.07304, section 4.1), |cosine| for methods whose sign is arbitrary.
/// </summary>
public static class DictionaryStability
{
    /// <summary>Fits a method several times and compares the results; F fits and F(F−1)/2 matchings of O(k² p + k³).</summary>
    /// <param name="method">Fitted F times.</param>
    /// <param name="rows">n×p, at least 2F rows.</param>
    /// <param name="fit">Number of components, seed, parameters.</param>
    /// <param name="options">How it is repeated; null for the defaults.</param>
    /// <param name="progress">Share of the work that is done; null for none.</param>
    /// <param name="cancellation">Honoured between and within fits.</param>
    /// <exception cref="AnalysisException">A fit is not possible, for instance with fewer rows than components.</exception>
    public static StabilityResult Measure(
        IFactorizationMethod method,
        Tensor rows,
        FactorizationOptions fit,
        StabilityOptions? options = null,
        Action<double>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new StabilityOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Fits, 2);
        if (rows.shape[0] < 2L * options.Fits)
        {
            throw new AnalysisException(
                $"{rows.shape[0]} rows are too few to fit {options.Fits} times.", "Give more rows, or ask for fewer fits.");
        }

        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var used = Spread((int)Math.Min(rows.shape[0], int.MaxValue), options.MaximumRows);
        var order = (int[])used.Clone();

        // Rows often come sorted by class: folds are drawn at random, the same for every method and number of components.
        new SplitMix64(unchecked((ulong)fit.Seed)).Shuffle(order);
        var vectors = new List<Tensor>();
        for (var f = 0; f < options.Fits; f++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            var done = (double)f / options.Fits;
            var kept = options.VarySeed ? used : [.. order.Where((_, i) => i % options.Fits != f).Order()];
            var sample = kept.Length == rows.shape[0] ? rows : rows.index_select(0, torch.tensor(kept, ScalarType.Int64, rows.device));
            using var factors = method.Fit(
                sample,
                options.VarySeed ? fit with { Seed = unchecked(fit.Seed + f) } : fit,
                progress is null ? null : share => progress(done + (share / options.Fits)),
                cancellation);
            vectors.Add(factors.Vectors.to(ScalarType.Float64).clone().MoveToOuterDisposeScope());
        }

        var result = Compare(vectors, method.Info.SignIsArbitrary, cancellation);
        progress?.Invoke(1);
        return result;
    }

    /// <summary>Compares concept vectors that were fitted elsewhere.</summary>
    /// <param name="fits">At least two matrices k×p; k may differ.</param>
    /// <param name="ignoreSign">Match by |cosine|.</param>
    /// <param name="cancellation">Honoured between pairs.</param>
    public static StabilityResult Compare(IReadOnlyList<Tensor> fits, bool ignoreSign, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(fits.Count, 2);
        var pairs = new List<double>();
        var concepts = new double[fits[0].shape[0]];
        for (var a = 0; a < fits.Count; a++)
        {
            for (var b = a + 1; b < fits.Count; b++)
            {
                cancellation.ThrowIfCancellationRequested();
                var (match, cosines) = Match(fits[a], fits[b], ignoreSign);

                // With fewer vectors on one side, only as many pairs exist.
                pairs.Add(cosines.Where((_, i) => match[i] >= 0).Average());
                for (var i = 0; a == 0 && i < concepts.Length; i++)
                {
                    concepts[i] += cosines[i] / (fits.Count - 1);
                }
            }
        }

        return new StabilityResult(pairs.Average(), pairs.Min(), pairs, concepts);
    }

    /// <summary>Matches the rows of two dictionaries one to one so that the sum of cosines is largest.</summary>
    /// <param name="a">m×p.</param>
    /// <param name="b">n×p, same device.</param>
    /// <param name="ignoreSign">By |cosine|.</param>
    /// <returns>For each row of a, the row of b or −1 where b has too few, and the (absolute) cosine, 0 for rows of zeros and for those without a partner.</returns>
    public static (int[] Match, double[] Cosines) Match(Tensor a, Tensor b, bool ignoreSign)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var cosine = Unit(a).mm(Unit(b).t());
        cosine = ignoreSign ? cosine.abs() : cosine;
        var (m, n) = ((int)a.shape[0], (int)b.shape[0]);
        var table = DenseMatrix.FromTensor(cosine);
        var match = new int[m];
        if (m <= n)
        {
            match = Assignment.Minimize(DenseMatrix.FromTensor(Scalars.Of(1) - cosine));
        }
        else
        {
            Array.Fill(match, -1);
            var columns = Assignment.Minimize(DenseMatrix.FromTensor(Scalars.Of(1) - cosine.t()));
            for (var j = 0; j < n; j++)
            {
                match[columns[j]] = j;
            }
        }

        return (match, [.. match.Select((j, i) => j < 0 ? 0 : table[i, j])]);
    }

    private static Tensor Unit(Tensor vectors)
    {
        var v = vectors.to(ScalarType.Float64);
        var norm = v.norm(1, keepdim: true);
        return v / norm.masked_fill(norm == Scalars.Of(0), Scalars.Of(1));
    }

    private static int[] Spread(int count, int most) =>
        most <= 0 || count <= most ? [.. Enumerable.Range(0, count)] : [.. Enumerable.Range(0, most).Select(i => (int)((long)i * count / most))];
}
