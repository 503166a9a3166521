using System.Text.Json;
using Analysis.Probes;

namespace Analysis.Runs.Tasks;

/// <summary>
/// Finds where in the network a concept can be read, and how well (docs/methods/probes.md). Parameters: <see cref="ProbeRequest"/>;
/// result: <see cref="ProbeReport"/>, with the weights beside it. A layer whose probes are fitted is a checkpoint.
/// </summary>
public sealed class ProbeTask : IAnalysisTask
{
    private const int MostSeeds = 20;
    private const int FewestSeeds = 3;

    /// <inheritdoc/>
    public string Kind => "probe";

    /// <inheritdoc/>
    public int Version => 3;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        ProbeRequest request;
        try
        {
            request = parameters.Deserialize<ProbeRequest>(AnalysisJson.Line)
                ?? throw new AnalysisException("The parameters of the probes are empty.", "Give an object with concept.");
        }
        catch (JsonException fault)
        {
            throw new AnalysisException(
                $"The parameters of the probes cannot be read: {fault.Message}", "Give an object with concept, and any of layers, penalty, strength, seeds, seed, balanced, sparsity, tcav, tcavLayer.", fault);
        }

        if (request.Seeds is < FewestSeeds or > MostSeeds)
        {
            throw new AnalysisException($"{request.Seeds} divisions were asked for.", $"Choose {FewestSeeds} to {MostSeeds} seeds.");
        }

        ProbeFitter.Validate(new ProbeOptions { Penalty = request.Penalty, Strength = request.Strength });
        return JsonSerializer.Serialize(
            request with { Concept = ConceptResolver.Normalise(request.Concept), Layers = [.. (request.Layers ?? []).Distinct(StringComparer.Ordinal)] }, AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var request = JsonSerializer.Deserialize<ProbeRequest>(parameters, AnalysisJson.Line)!;
        var report = ConceptProber.Run(context, request, folder, observer, cancellation);
        AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(report, AnalysisJson.Line));
        ConceptProber.Tidy(folder);
    }
}
