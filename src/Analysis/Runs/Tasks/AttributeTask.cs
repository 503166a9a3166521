using System.Globalization;
using System.Text.Json;
using Analysis.Attribution;
using Analysis.Datasets.Recorded;
using Analysis.Networks.Files;
using Analysis.Probes;

namespace Analysis.Runs.Tasks;

/// <summary>
/// Which training images taught a concept, a class or the answer on a sample (TRAK, METHODS 4). Results: <c>result.json</c>,
/// <c>scores.safetensors</c> and <c>training.csv</c> (docs/file-formats.md). Features of each network are kept in the store under keys of
/// their own, shard by shard, so that an interrupted task goes on and other targets cost little.
/// </summary>
public sealed class AttributeTask : IAnalysisTask
{
    /// <summary>Name of the file with the scores.</summary>
    public const string ScoresFile = "scores.safetensors";

    /// <summary>Name of the table of training images.</summary>
    public const string TableFile = "training.csv";

    private const string TaskKind = "attribute";
    private const int MostNetworks = 50;
    private static readonly string[] Known =
    [
        "target", "concept", "class", "sample", "output", "variant", "layer", "dataset", "networks", "projection", "dimensions", "entries", "lambda", "threshold", "from", "limit", "targets", "seed",
    ];

    /// <inheritdoc/>
    public string Kind => TaskKind;

    /// <inheritdoc/>
    public int Version => 3;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        _ = new TaskParameters(Kind, parameters, Known);
        AttributionRequest wish;
        try
        {
            wish = parameters.Deserialize<AttributionRequest>(AnalysisJson.Line) ?? new AttributionRequest();
        }
        catch (JsonException fault)
        {
            throw new AnalysisException($"The parameters of the attribution cannot be read: {fault.Message}", $"Give an object with {string.Join(", ", Known)}.");
        }

        Choose("target", wish.Target, "concept", "class", "sample");
        Choose("output", wish.Output, "predicted", "label");
        Choose("variant", wish.Variant, "representation", "probe");
        Choose("projection", wish.Projection, "auto", "dense", "factorised");
        Choose("entries", wish.Entries, "rademacher", "normal");
        Between("dimensions", wish.Dimensions, 8, 4096);
        Between("lambda", wish.Lambda ?? 1, 0, 1000);
        Between("threshold", wish.Threshold, 0, 0.99);
        Between("targets", wish.Targets, 1, 1024);
        Between("limit", wish.Limit ?? 1, 1, int.MaxValue);
        if (wish.Target == "concept")
        {
            wish = wish with
            {
                Concept = ConceptResolver.Normalise(wish.Concept ?? throw new AnalysisException("No concept was named.", "Give a definition as the parameter concept, or attribute a class or a sample.")),
            };
        }

        if ((wish.Target == "class" && wish.Class is not >= 0) || (wish.Target == "sample" && wish.Sample is not >= 0))
        {
            throw new AnalysisException($"No {wish.Target} was named.", $"Give its number as the parameter {wish.Target}.");
        }

        wish = wish with { Networks = wish.Networks ?? [] };
        if (wish.Networks.Count >= MostNetworks || wish.Networks.Any(string.IsNullOrWhiteSpace))
        {
            throw new AnalysisException($"{wish.Networks.Count} networks were named.", $"Give paths of at most {MostNetworks - 1} weights files.");
        }

        if (wish.Variant == "probe" && wish.Target != "concept")
        {
            throw new AnalysisException("Only a concept has a probe.", "Choose the variant representation for a class or a sample.");
        }

        // What has no meaning for a target does not tell equal wishes apart.
        var concept = wish.Target == "concept";
        return JsonSerializer.Serialize(
            wish with
            {
                Concept = concept ? wish.Concept : null,
                Lambda = wish.Ridge,
                Layer = concept ? wish.Layer : null,
                Class = wish.Target == "class" ? wish.Class : null,
                Sample = wish.Target == "sample" ? wish.Sample : null,
                Output = wish.Target == "sample" ? wish.Output : "predicted",
                Dataset = string.IsNullOrWhiteSpace(wish.Dataset) ? null : wish.Dataset,
            },
            AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var wish = JsonSerializer.Deserialize<AttributionRequest>(parameters, AnalysisJson.Line)!;
        // Opened first: what the context keeps must not belong to a scope of this method.
        var samples = context.Samples;
        if (context.Plan.Dataset is IRecordedActivations)
        {
            throw new AnalysisException(
                "The analysis was made from recorded activations: there is no network whose gradients could be taken.", "Analyse images with the network's weights as safetensors or .pth.");
        }

        if (wish.Sample >= samples.Count)
        {
            throw new AnalysisException($"The analysis has no sample {wish.Sample}.", $"Choose 0 to {samples.Count - 1}.");
        }

        if (wish.Class >= context.Classes.Count)
        {
            throw new AnalysisException($"The analysis has no class {wish.Class}.", $"Choose 0 to {context.Classes.Count - 1}.");
        }

        var notes = new List<string>();
        var outcome = wish.Variant == "probe" ? new ProbeAttribution(context, wish, observer).Run(notes) : new RepresentationAttribution(context, wish, observer, cancellation).Run(notes);
        var report = new AttributionWriter(context, wish, folder).Write(outcome, notes);
        AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(report, AnalysisJson.Line));
    }

    private static void Choose(string name, string value, params string[] known)
    {
        if (!known.Contains(value))
        {
            throw new AnalysisException($"The parameter {name} cannot be '{FileFault.Short(value)}'.", $"Choose one of: {string.Join(", ", known)}.");
        }
    }

    private static void Between(string name, double value, double least, double most)
    {
        if (!(value >= least && value <= most))
        {
            throw new AnalysisException(
                string.Create(CultureInfo.InvariantCulture, $"The parameter {name} cannot be {value}."), string.Create(CultureInfo.InvariantCulture, $"Give a number from {least} to {most}."));
        }
    }
}
