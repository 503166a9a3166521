using System.Diagnostics;
using System.Globalization;
using Analysis.Atlas;
using Analysis.Factorization;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Evaluation.Comparison;

/// <summary>A cell with what it cost; one checkpoint.</summary>
/// <param name="Cell">The figures.</param>
/// <param name="Measurement">Its cost.</param>
internal sealed record MeasuredCell(ComparisonCell Cell, FitMeasurement Measurement);

/// <summary>Fits and scores one method with one number of concepts in every class of a comparison.</summary>
internal static class ExtractionComparer
{
    /// <summary>Computes a cell.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="rows">Classes and their rows.</param>
    /// <param name="parameters">Folds, seed.</param>
    /// <param name="name">Method.</param>
    /// <param name="components">k.</param>
    /// <param name="progress">Called with the share that is done.</param>
    /// <param name="cancellation">Honoured within fits.</param>
    public static MeasuredCell Compute(
        TaskContext context, ComparisonRows rows, ComparisonParameters parameters, string name, int components, Action<double> progress, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var figures = new List<ExtractionFigures?>();
        var seconds = new List<double>();
        string? problem = null;
        PeakMemory.Reset();
        for (var i = 0; i < rows.Classes.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var (members, done) = (rows.Classes[i], i);
            try
            {
                figures.Add(name == AnalysisRequest.UniqueMethod
                    ? Analysed(context, rows, members, components, cancellation)
                    : Fitted(FactorizationCatalogue.Get(name), rows, members, parameters, components, seconds, share => progress((done + share) / rows.Classes.Count), cancellation));
            }
            catch (AnalysisException failure)
            {
                figures.Add(null);
                problem ??= rows.Classes.Count == 1 ? failure.Message : $"{members.Description.DisplayName}: {failure.Message}";
            }
        }

        if (problem is null && name == AnalysisRequest.UniqueMethod && figures.OfType<ExtractionFigures>().Min(f => f.Components) is var found && found < components)
        {
            problem = string.Create(CultureInfo.InvariantCulture, $"The analysis holds only {found:0} unique concepts in some class. Analyse with more concepts to compare more.");
        }

        var mean = seconds.Count == 0 ? (double?)null : seconds.Average();
        return new MeasuredCell(
            new ComparisonCell { Components = components, Figures = Mean([.. figures.OfType<ExtractionFigures>()]), ByClass = figures, Problem = problem },
            new FitMeasurement(name, components, mean, PeakMemory.MiB()));
    }

    private static ExtractionFigures Analysed(TaskContext context, ComparisonRows rows, ClassRows members, int components, CancellationToken cancellation)
    {
        var (factors, stability) = AnalysedFactors.Read(context, members.Description.Index, components);
        using (factors)
        {
            // The vectors rest on the whole data set, so that nothing is held out; halves of a vector's images tell its stability.
            return Score(rows, members, factors, cancellation) with
            {
                Stability = stability.Count == 0 ? null : Rounding.Significant(stability.Average()),
                WorstStability = stability.Count == 0 ? null : Rounding.Significant(stability.Min()),
            };
        }
    }

    private static ExtractionFigures Fitted(
        IFactorizationMethod method, ComparisonRows rows, ClassRows members, ComparisonParameters parameters, int components,
        List<double> seconds, Action<double> progress, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var matrix = rows.Of(members, cancellation);
        var options = new FactorizationOptions { Components = components, Seed = parameters.Seed };
        var fits = parameters.Folds + 1.0;
        var clock = Stopwatch.StartNew();
        using var factors = method.Fit(matrix, options, share => progress(share / fits), cancellation);
        seconds.Add(clock.Elapsed.TotalSeconds);
        var figures = Score(rows, members, factors, cancellation);
        if (parameters.Folds == 0)
        {
            return figures;
        }

        var n = (int)matrix.shape[0];
        var order = Enumerable.Range(0, n).ToArray();
        new SplitMix64(unchecked((ulong)parameters.Seed)).Shuffle(order);
        var vectors = new List<Tensor>();
        var heldOut = new List<double>();
        for (var fold = 0; fold < parameters.Folds; fold++)
        {
            cancellation.ThrowIfCancellationRequested();
            var before = fold + 1;
            using var part = method.Fit(Take(f => f != fold), options, share => progress((before + share) / fits), cancellation);
            vectors.Add(part.Vectors.to(ScalarType.Float64).clone());
            using var left = Take(f => f == fold);
            heldOut.Add(ExtractionMetrics.RSquared(left, part.Decode(part.Encode(left))));

            Tensor Take(Func<int, bool> chosen)
            {
                long[] places = [.. order.Where((_, i) => chosen(i % parameters.Folds)).Order().Select(i => (long)i)];
                return matrix.index_select(0, tensor(places, ScalarType.Int64, matrix.device));
            }
        }

        var stability = DictionaryStability.Compare(vectors, method.Info.SignIsArbitrary, cancellation);
        return figures with
        {
            HeldOutRSquared = Defined(heldOut.Average()),
            Stability = Defined(stability.Mean),
            WorstStability = Defined(stability.Worst),
        };
    }

    private static ExtractionFigures Score(ComparisonRows rows, ClassRows members, Factors factors, CancellationToken cancellation)
    {
        var scores = ExtractionMetrics.Score(rows.Of(members, cancellation), factors, null, rows.Reference(members, cancellation), cancellation);
        return new ExtractionFigures
        {
            Components = scores.Components,
            RelativeError = Defined(scores.RelativeError),
            FrobeniusError = Defined(scores.FrobeniusError),
            RSquared = Defined(scores.RSquared),
            ActiveShare = Defined(scores.ActiveShare),
            Hoyer = Defined(scores.Hoyer),
            Kappa4 = Defined(scores.Kappa4),
            DeadShare = Defined(scores.DeadShare),
            Frechet = Defined(scores.Frechet),
            OutOfDistribution = Defined(scores.OutOfDistribution),
        };
    }

    private static ExtractionFigures? Mean(IReadOnlyList<ExtractionFigures> all)
    {
        return all.Count == 0 ? null : new ExtractionFigures
        {
            Components = all.Average(f => f.Components),
            RelativeError = Of(f => f.RelativeError),
            FrobeniusError = Of(f => f.FrobeniusError),
            RSquared = Of(f => f.RSquared),
            HeldOutRSquared = Of(f => f.HeldOutRSquared),
            ActiveShare = Of(f => f.ActiveShare),
            Hoyer = Of(f => f.Hoyer),
            Kappa4 = Of(f => f.Kappa4),
            DeadShare = Of(f => f.DeadShare),
            Stability = Of(f => f.Stability),
            WorstStability = all.Min(f => f.WorstStability),
            Frechet = Of(f => f.Frechet),
            OutOfDistribution = Of(f => f.OutOfDistribution),
        };

        double? Of(Func<ExtractionFigures, double?> figure)
        {
            var values = all.Select(figure).OfType<double>().ToArray();
            return values.Length == 0 ? null : Rounding.Significant(values.Average());
        }
    }

    private static double? Defined(double value) => double.IsFinite(value) ? Rounding.Significant(value) : null;
}

/// <summary>Largest resident memory of this process since it was last asked for; Linux only.</summary>
internal static class PeakMemory
{
    /// <summary>Starts anew, where the system lets a process do so.</summary>
    public static void Reset()
    {
        try
        {
            File.WriteAllText("/proc/self/clear_refs", "5");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Then the figure counts from the start of the process, as anywhere else.
        }
    }

    /// <summary>In MiB; null where the system does not tell.</summary>
    public static double? MiB()
    {
        try
        {
            var line = File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? null : Math.Round(long.Parse(line["VmHWM:".Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture) / 1024.0, 1);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or FormatException)
        {
            return null;
        }
    }
}
