using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Numerics;
using static TorchSharp.torch;

namespace Analysis.Runs.Stages;

/// <summary>Refines the directions that matter for any class into the concept vectors of the data set.</summary>
internal static class BankStage
{
    /// <summary>Builds the bank, or reads it where it is there.</summary>
    public static IReadOnlyList<BankVector> Run(
        RunPlan plan,
        ActivationStore store,
        IReadOnlyList<ClassRows> classes,
        SingularDirections directions,
        Tensor mean,
        DenseMatrix scores,
        string path,
        RunReporter reporter,
        CancellationToken cancellation)
    {
        var outputs = classes.Any(c => c.Description.Label is null) ? Enumerable.Range(0, scores.Rows) : classes.Select(c => c.Description.Label!.Value).Distinct();
        var chosen = outputs.SelectMany(o => UniqueConceptFinder.RelevantDirections(scores.Row(o))).Distinct().Order().ToList();
        reporter.Begin("bank", 2 * chosen.Count);
        var reused = File.Exists(path);
        if (!reused)
        {
            var parallel = plan.Request.Threads;
            set_num_threads(1);
            var bank = ConceptBank.Build(store, directions, chosen, mean, plan.Network.Device, plan.Request.Seed, parallel, done => reporter.Advance("bank", done), cancellation);
            set_num_threads(plan.Request.Threads);
            ConceptBank.Save(path, bank, plan.Layer.Channels);
        }

        reporter.End("bank", reused);
        return ConceptBank.Read(path);
    }

    /// <summary>Mean pooled activation of every class that has images: of those recognised as the class, so that wrong labels do not blur it, where there are enough.</summary>
    public static IReadOnlyList<ClassMean> ClassMeans(ActivationStore store, IReadOnlyList<ClassRows> classes, int[] predicted, CancellationToken cancellation)
    {
        const int Fewest = 5;
        var means = new List<ClassMean>();
        foreach (var members in classes.Where(c => c.Rows.Length > 0))
        {
            cancellation.ThrowIfCancellationRequested();
            var right = members.Rows.Where(r => predicted[r] == members.Description.Label).ToArray();
            using var pooled = store.GatherTensor("pooled.0", right.Length >= Fewest ? right : members.Rows);
            means.Add(new ClassMean(members.Description.Index, members.Description.DisplayName, DenseMatrix.FromTensor(pooled).ColumnMeans()));
        }

        return means;
    }
}
