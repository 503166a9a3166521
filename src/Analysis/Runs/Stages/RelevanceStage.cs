using Analysis.Activations;
using Analysis.Concepts;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Stages;

/// <summary>
/// Scores every direction for every output of the network by the images predicted as it (METHODS 1.2). Behind a linear head
/// the directional score has a closed form, D = (w·v)(a·v) up to a constant; otherwise the head is differentiated again with
/// the directions known.
/// </summary>
internal static class RelevanceStage
{
    /// <summary>Directions that are scored at most; later ones carry next to no variance.</summary>
    public const int MostDirections = 512;

    private const int PooledPart = 2048;

    /// <summary>Computes the scores, K×J with NaN where undefined, or reads them where they are there.</summary>
    public static (DenseMatrix Scores, bool Reused) Run(
        RunPlan plan, ActivationStore store, SpatialActivations spatial, SingularDirections directions, string path, Action<int> progress, CancellationToken cancellation)
    {
        var reused = File.Exists(path);
        if (!reused)
        {
            var score = Compute(plan, store, spatial, directions, progress, cancellation);
            using var scope = NewDisposeScope();
            SafetensorsTensors.Save(path, [("z", score.ToTensor(CPU))]);
        }

        using var file = SafetensorsFile.Open(path);
        using var z = file.Load("z");
        return (DenseMatrix.FromTensor(z), reused);
    }

    private static DenseMatrix Compute(
        RunPlan plan, ActivationStore store, SpatialActivations spatial, SingularDirections directions, Action<int> progress, CancellationToken cancellation)
    {
        using var outer = NewDisposeScope();
        using var guard = no_grad();
        var device = plan.Network.Device;
        var count = Math.Min(directions.Rank, MostDirections);
        var vectors = directions.Vectors.narrow(0, 0, count).to(device);
        var score = new ClassScore(plan.Network.Outputs, count);
        var head = plan.Network.LinearHead(plan.Layer.Name);
        var closedForm = plan.Request.Relevance == "projected" || (plan.Request.Relevance == "directional" && head is not null);
        if (!closedForm)
        {
            Spatially(plan, store, spatial, vectors, score, progress, cancellation);
            return score.ZScores(ClassScore.FewestImages);
        }

        var effects = head is { } linear ? linear.Weight.to(ScalarType.Float64).mm(vectors.t()) : null;
        for (var start = 0; start < store.Rows; start += PooledPart)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var n = Math.Min(PooledPart, store.Rows - start);
            var predicted = store.ReadTensor("logits", start, n).argmax(1);
            var relevance = plan.Request.Relevance == "projected"
                ? store.ReadTensor("gradient_input.0", start, n).to(device).to(ScalarType.Float64).mm(vectors.t())
                : store.ReadTensor("pooled.0", start, n).to(device).to(ScalarType.Float64).mm(vectors.t()) * effects!.index_select(0, predicted.to(device));
            score.Add(relevance, Group(predicted));
            progress(start + n);
        }

        return score.ZScores(ClassScore.FewestImages);
    }

    private static void Spatially(
        RunPlan plan, ActivationStore store, SpatialActivations spatial, Tensor vectors, ClassScore score, Action<int> progress, CancellationToken cancellation)
    {
        var rows = Enumerable.Range(0, store.Rows).ToArray();
        foreach (var (start, activation) in spatial.Read(rows, plan.Request.BatchSize, cancellation))
        {
            using (activation)
            {
                using var scope = NewDisposeScope();
                var n = (int)activation.shape[0];
                var predicted = store.ReadTensor("logits", start, n).argmax(1);
                var relevance = plan.Request.Relevance == "official"
                    ? DirectionRelevance.Official(activation, LossGradient(plan, activation, predicted.to(activation.device)), vectors)
                    : DirectionRelevance.Directional(activation, HeadGradient.Compute(plan.Network, plan.Layer.Name, activation, predicted.to(activation.device)), vectors);
                score.Add(relevance, Group(predicted));
                progress(start + n);
            }
        }
    }

    /// <summary>Gradient of the batch's mean cross entropy of the predicted outputs, as the published code takes it.</summary>
    private static Tensor LossGradient(RunPlan plan, Tensor activation, Tensor predicted)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        var leaf = activation.detach().clone().requires_grad_(true);
        var loss = nn.functional.cross_entropy(plan.Network.Head(plan.Layer.Name, leaf), predicted);
        autograd.backward([loss], inputs: [leaf]);
        return leaf.grad!.detach().MoveToOuterDisposeScope();
    }

    private static int[] Group(Tensor predicted)
    {
        using var host = predicted.cpu();
        return Array.ConvertAll(host.data<long>().ToArray(), v => (int)v);
    }
}
