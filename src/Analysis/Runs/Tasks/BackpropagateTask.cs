using System.Text.Json;
using Analysis.Probes;
using Analysis.Probes.Backpropagation;

namespace Analysis.Runs.Tasks;

/// <summary>
/// The smallest change of an input that makes a probe say yes or no (concept backpropagation, METHODS 3.2 and 3.3), with its
/// effect on other probes and on the outputs, and probes of shuffled labels as control.
/// </summary>
public sealed class BackpropagateTask : IAnalysisTask
{
    /// <summary>Name of this kind.</summary>
    public const string KindName = "backpropagate";

    private const int MostSamples = 32;
    private const int MostOthers = 7;

    private static readonly string[] Known =
    [
        "concept", "others", "samples", "layer", "probe", "direction", "goal", "space", "l1", "l2", "totalVariation", "concentrations", "lambda", "threshold", "starts", "steps", "randomProbes", "region",
        "ranges", "immutable", "seed",
    ];

    /// <inheritdoc/>
    public string Kind => KindName;

    /// <inheritdoc/>
    public int Version => 3;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        _ = new TaskParameters(Kind, parameters, Known);
        BackpropagationRequest request;
        try
        {
            request = parameters.Deserialize<BackpropagationRequest>(AnalysisJson.Line)!;
        }
        catch (JsonException fault)
        {
            throw new AnalysisException($"The parameters of the task {Kind} cannot be read: {fault.Message}", $"Give an object with a concept, samples, and any of: {string.Join(", ", Known)}.");
        }

        // JSON may hold null where the type does not.
        request = request with { Concept = ConceptResolver.Normalise(request.Concept), Others = [.. (request.Others ?? []).Select(ConceptResolver.Normalise)], Samples = request.Samples ?? [] };
        Require(request.Samples.Count is >= 1 and <= MostSamples && request.Samples.All(s => s >= 0), "samples", $"Name 1 to {MostSamples} rows of the samples table.");
        Require(request.Others.Count <= MostOthers, "others", $"Name at most {MostOthers} concepts to compare with.");
        Require(request.Direction is "yes" or "no" or "flip", "direction", "Choose yes, no or flip.");
        Require(request.Probe is "l1" or "l2", "probe", "Choose l2 or l1.");
        Require(request.Space is "pixels" or "fourier" or "latent", "space", "Choose pixels, fourier or latent.");
        foreach (var (name, weight) in new[] { ("l1", request.L1), ("l2", request.L2), ("totalVariation", request.TotalVariation) })
        {
            Require(weight is >= 0 and <= 1e6, name, "Choose a weight from 0 to 1000000.");
        }

        Require(request.L1 + request.L2 + request.TotalVariation > 0, "l1", "Give at least one of l1, l2 and totalVariation a weight above 0: without it no change is the smallest.");
        Require(request.Concentrations is 0 || (request.Concentrations is > 0 and <= 5 && request is { Space: "pixels", L1: > 0, Lambda: null }), "concentrations", "Choose 0 to 5; other than 0 only for pixels with a weight of l1 and without a fixed λ.");
        Require(request.Lambda is null or (> 0 and <= 1e9), "lambda", "Choose a number above 0, or leave it out to look for the largest that works.");
        Require(request.Threshold is > 0.5 and <= 0.999, "threshold", "Choose a probability above 0.5 and at most 0.999.");
        Require(request.Starts is >= 1 and <= 20, "starts", "Choose 1 to 20.");
        Require(request.Steps is >= 10 and <= 5000, "steps", "Choose 10 to 5000.");
        Require(request.RandomProbes is >= 0 and <= 20, "randomProbes", "Choose 0 to 20.");
        Require(request.Seed >= 0, "seed", "Choose a whole number of at least 0.");
        Require(request.Goal is null || double.IsFinite(request.Goal.Value), "goal", "Choose a number.");
        Require(
            request.Region is not { } region || (region is { Left: >= 0, Top: >= 0, Width: > 0, Height: > 0 } && region.Left + region.Width <= 1 + 1e-6 && region.Top + region.Height <= 1 + 1e-6),
            "region", "Give left, top, width and height as shares from 0 to 1.");
        Require(
            request.Ranges.Count <= 100_000 && request.Ranges.All(r => r is { Column: >= 0 } && !(r.Minimum > r.Maximum)) && request.Immutable.Count <= 100_000 && request.Immutable.All(c => c >= 0),
            "ranges", "Give columns from 0 on, each minimum at most its maximum.");
        return JsonSerializer.Serialize(request with { Samples = [.. request.Samples.Distinct()] }, AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation) =>
        new BackpropagationRun(context, JsonSerializer.Deserialize<BackpropagationRequest>(parameters, AnalysisJson.Line)!, folder, observer, cancellation).Run();

    private static void Require(bool good, string name, string remedy)
    {
        if (!good)
        {
            throw new AnalysisException($"The parameter {name} of the task {KindName} is not possible.", remedy);
        }
    }
}
