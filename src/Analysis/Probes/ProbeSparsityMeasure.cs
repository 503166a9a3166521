using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes;

/// <summary>Measures on how few neurons a concept can be read (METHODS 4.1).</summary>
internal static class ProbeSparsityMeasure
{
    private const int Steps = 12;
    private const double Ratio = 1.6;
    private const double Near = 0.01;

    /// <summary>What one division gives.</summary>
    /// <param name="NonZeros">Non-zero weights of the strongest l1 within 1% of the best.</param>
    /// <param name="Path">Non-zero weights and held-out score of each step.</param>
    /// <param name="Strongest">Held-out score of probes on 1, 2, 4, … neurons.</param>
    public sealed record Division(int NonZeros, IReadOnlyList<(int NonZeros, double Score)> Path, IReadOnlyList<(int Neurons, double Score)> Strongest);

    /// <summary>Strengths of the path, as shares of the smallest that leaves no weight.</summary>
    public static IReadOnlyList<double> Shares { get; } = [.. Enumerable.Range(1, Steps).Select(i => Math.Pow(Ratio, -i))];

    /// <summary>Measures one division.</summary>
    /// <param name="set">The division.</param>
    /// <param name="full">The probe on all channels.</param>
    /// <param name="options">How probes are fitted.</param>
    /// <param name="cancellation">Honoured between fits.</param>
    public static Division Measure(ProbeSet set, FittedProbe full, ProbeOptions options, CancellationToken cancellation)
    {
        var sparse = options with { Penalty = "l1" };
        var largest = set.LargestL1(set.Solver, set.TrainTargets, options.Balanced);
        var path = new List<(int NonZeros, double Score)>();
        LinearSolution? last = null;
        foreach (var share in Shares)
        {
            cancellation.ThrowIfCancellationRequested();
            last = set.Solve(set.Solver, set.TrainTargets, sparse, share * largest, last);
            path.Add((last.Weights.Count(w => w != 0), set.Test(last).Score ?? double.NaN));
        }

        var best = path.Max(p => p.Score);
        var nonZeros = path.First(p => p.Score >= best - Near || double.IsNaN(best)).NonZeros;
        var order = Ranks.Descending(Array.ConvertAll(full.Probe.Weights, Math.Abs));
        var strongest = new List<(int, double)>();
        for (var q = 1; q < order.Length; q *= 2)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] columns = [.. order.Take(q)];
            using var scope = NewDisposeScope();
            using var solver = new LinearSolver(set.Train.index_select(1, tensor(Array.ConvertAll(columns, c => (long)c))));
            var solution = set.Solve(solver, set.TrainTargets, options with { Penalty = "l2" }, full.Penalty == "l2" ? full.Strength : ProbeOptions.SmallestStrength, null);
            strongest.Add((q, set.Test(solution, columns).Score ?? double.NaN));
        }

        strongest.Add((order.Length, full.HeldOut.Score ?? double.NaN));
        return new Division(nonZeros, path, strongest);
    }

    /// <summary>The figures over divisions.</summary>
    public static ProbeSparsity Summarise(IReadOnlyList<Division> divisions) => new(
        Spread.Of(divisions.Select(d => (double?)d.NonZeros)),
        [.. Shares.Select((share, i) => new SparsityStep(
            Rounding.Significant(share),
            Rounding.Significant(divisions.Average(d => d.Path[i].NonZeros)),
            Rounding.Significant(divisions.Average(d => d.Path[i].Score))))],
        [.. divisions[0].Strongest.Select((step, i) => new NeuronStep(step.Neurons, Spread.Of(divisions.Select(d => (double?)d.Strongest[i].Score))!))]);
}
