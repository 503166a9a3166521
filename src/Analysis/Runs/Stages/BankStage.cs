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
        var chosen = outputs.SelectMany(o => ClassAtlasBuilder.RelevantDirections(scores.Row(o))).Distinct().Order().ToList();
        reporter.Begin("bank", 2 * chosen.Count);
        var reused = File.Exists(path);
        if (!reused)
        {
            var bank = ConceptBank.Build(store, directions, chosen, mean, plan.Network.Device, plan.Request.Seed, done => reporter.Advance("bank", done), cancellation);
            ConceptBank.Save(path, bank, plan.Layer.Channels);
        }

        reporter.End("bank", reused);
        return ConceptBank.Read(path);
    }
}
