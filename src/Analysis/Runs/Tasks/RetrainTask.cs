using System.Globalization;
using System.Text.Json;
using Analysis.Attribution.Retraining;
using Analysis.Datasets.Sample;
using Analysis.Networks.Files;
using Analysis.Probes;

namespace Analysis.Runs.Tasks;

/// <summary>
/// Remove and retrain (METHODS 4.4): networks of the analysis's architecture are trained on its images, again without those that
/// teach a concept most, and the concept's probes are compared. The images that the concept keeps for testing are never trained on.
/// </summary>
public sealed class RetrainTask : IAnalysisTask
{
    private const string Live = "live.json";
    private const double MeasuredSeconds = 2;
    private const double LargestShare = 0.5;
    private const int MostShares = 5;
    private const int MostNetworks = 20;

    /// <inheritdoc/>
    public string Kind => "retrain";

    /// <inheritdoc/>
    public int Version => 2;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        RetrainRequest request;
        try
        {
            request = parameters.Deserialize<RetrainRequest>(AnalysisJson.Line) ?? new RetrainRequest();
        }
        catch (JsonException fault)
        {
            throw new AnalysisException(
                $"The parameters of the retraining cannot be read: {fault.Message}", "Give an object with concept, ranking, layer, layers, sets, shares, networks, epochs, batchSize, rate, augment, seed, measure.");
        }

        if (request.Concept is not { } concept)
        {
            throw new AnalysisException("No concept was named.", "Give the parameter concept: a name, a source and what belongs to it.");
        }

        request = request with { Concept = ConceptResolver.Normalise(concept), Sets = request.Sets ?? [], Shares = request.Shares ?? [], Layers = request.Layers ?? [] };
        if (request.Ranking is not ("attribution" or "probe"))
        {
            throw new AnalysisException($"Training images cannot be ranked by '{FileFault.Short(request.Ranking)}'.", "Choose attribution or probe.");
        }

        if (request.Augment is not ("auto" or "yes" or "no"))
        {
            throw new AnalysisException($"The parameter augment cannot be '{FileFault.Short(request.Augment)}'.", "Choose auto, yes or no.");
        }

        if (request.Sets.Count == 0 || request.Sets.Except(RemovalSets.All).Any())
        {
            throw new AnalysisException(
                request.Sets.Count == 0 ? "No set of images to remove was chosen." : $"The set '{FileFault.Short(request.Sets.Except(RemovalSets.All).First())}' is not known.",
                $"Choose among: {string.Join(", ", RemovalSets.All)}.");
        }

        if (request.Shares.Count is 0 or > MostShares || request.Shares.Any(s => !(s is >= 0.001 and <= LargestShare)))
        {
            throw new AnalysisException(
                $"The shares {string.Join(", ", request.Shares.Take(9).Select(s => s.ToString(CultureInfo.InvariantCulture)))} cannot be removed.", $"Give 1 to {MostShares} shares from 0.001 to {LargestShare.ToString(CultureInfo.InvariantCulture)}.");
        }

        if (request.Networks is < 1 or > MostNetworks)
        {
            throw new AnalysisException($"{request.Networks} networks a condition are not possible.", $"Choose 1 to {MostNetworks}; at least 3 tell chance from effect.");
        }

        request.Recipe(augment: false, 32).Validate();
        return JsonSerializer.Serialize(
            request.Measure
                ? new RetrainRequest { Concept = concept, Measure = true, BatchSize = request.BatchSize }
                : request with
                {
                    Sets = [.. RemovalSets.All.Where(request.Sets.Contains)],
                    Shares = [.. request.Shares.Distinct().Order()],
                },
            AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var request = JsonSerializer.Deserialize<RetrainRequest>(parameters, AnalysisJson.Line)!;
        var plan = context.Plan;
        if (context.Request.Network.Length == 0)
        {
            throw new AnalysisException("The analysis is one of recorded activations: there is no network to train.", "Use an analysis of images with a network's weights.");
        }

        if (plan.ClassesArePredictions)
        {
            throw new AnalysisException($"The data set {plan.Dataset.Name} has no classes to train a network for.", "Use a data set with a folder for each class.");
        }

        if (context.Samples.All(s => s.Label is null))
        {
            throw new AnalysisException(
                $"None of the classes of {plan.Dataset.Name} is an output of {plan.Network.Name}, so that there is nothing to train it for.", "Name the data set's folders by the network's outputs; a sidecar names outputs.");
        }

        TrainableNetwork Create(int seed) => TrainableNetwork.Like(context.Request.Network, context.Request.Architecture, seed, plan.Network.Device);
        using (var first = Create(request.Seed))
        {
            observer.OnProgress(new TaskProgress(0, 0, $"Reading {context.Samples.Count.ToString("N0", CultureInfo.InvariantCulture)} images"));
        }

        var labels = ConceptResolver.Resolve(context, request.Concept!, request.Seed);
        var augment = request.Augment == "yes" || (request.Augment == "auto" && !IsSample(plan.Dataset.Root));
        var recipe = request.Recipe(augment, plan.Network.Preprocessing.Width);
        var layers = Layers(context, request);
        var images = TrainingImages.Load(
            plan.Dataset,
            [.. context.Store.ScanIndices().Select(s => plan.Samples[s])],
            [.. context.Samples.Select(s => s.Label ?? -1)],
            plan.Network.Preprocessing,
            done => observer.OnProgress(new TaskProgress(0, 0, $"Reading images: {done.ToString("N0", CultureInfo.InvariantCulture)} of {context.Samples.Count.ToString("N0", CultureInfo.InvariantCulture)}")),
            cancellation);
        var result = new RetrainResult { Request = request, Architecture = plan.Network.Architecture, Recipe = recipe };
        if (request.Measure)
        {
            observer.OnProgress(new TaskProgress(0, 0, "Measuring a few training steps"));
            result = result with { Cost = Measure(Create, images, labels, recipe, layers, cancellation) };
        }
        else
        {
            var options = new RemovalOptions
            {
                Sets = request.Sets,
                Shares = request.Shares,
                Networks = request.Networks,
                Recipe = recipe,
                Layers = layers,
                RankingLayer = request.Layer ?? Nearest(layers, plan.Layer.Name),
                Seed = request.Seed,
            };
            string? preview = null;
            var places = labels.Places is null ? null : PlacedActivations.Seen(context, labels, labels.Places.Keys);
            var report = new RemovalExperiment(Create, images, labels, Ranking(request), options, folder, places).Run(
                progress =>
                {
                    if (progress.Report is { } soFar)
                    {
                        AtomicFile.WriteText(Path.Combine(folder, Live), JsonSerializer.Serialize(result with { Report = soFar }, AnalysisJson.Line));
                        preview = Live;
                    }

                    observer.OnProgress(new TaskProgress(progress.Images, progress.Total, progress.Doing, preview));
                },
                cancellation);
            result = result with { Report = report };
        }

        AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(result, AnalysisJson.Line));
    }

    /// <summary>The ranking that a wish names.</summary>
    private static IRemovalRanking Ranking(RetrainRequest request) => request.Ranking == "probe" ? new ProbeRanking() : new TrakRanking(seed: request.Seed);

    private static RetrainCost Measure(
        Func<int, TrainableNetwork> create, TrainingImages images, ConceptLabels labels, TrainingRecipe recipe, IReadOnlyList<string> layers, CancellationToken cancellation)
    {
        var training = RemovalExperiment.TrainingRows(images, labels);
        if (training.Length < recipe.BatchSize)
        {
            throw new AnalysisException($"{training.Length} images are too few to train a network in batches of {recipe.BatchSize}.", "Use smaller batches, or an analysis of more images.");
        }

        using var network = create(0);
        var seconds = Trainer.MeasureSecondsPerImage(network, images, training, recipe, MeasuredSeconds, cancellation);
        bool Tested(int row) => labels.HeldOut[row] && images.Readable(row) && !double.IsNaN(labels.Targets[row]);
        int[] tested = [.. Enumerable.Range(0, images.Count).Where(Tested)];
        return new RetrainCost(
            seconds, training.Length, training.Count(r => labels.Targets[r] == 1), tested.Length, tested.Count(r => labels.Targets[r] == 1), network.Parameters, layers);
    }

    /// <summary>Layers with a probe; the one that is ranked by is always among them.</summary>
    private static IReadOnlyList<string> Layers(TaskContext context, RetrainRequest request)
    {
        var known = context.Plan.Network.Layers;
        foreach (var name in request.Layers.Concat(request.Layer is { } one ? [one] : []))
        {
            _ = context.Layers.Get(name);
        }

        var chosen = request.Layers.Count > 0 ? request.Layers : RemovalOptions.DefaultLayers(known);
        var wanted = chosen.Concat(request.Layer is { } layer ? [layer] : []).ToHashSet(StringComparer.Ordinal);
        return [.. known.Select(l => l.Name).Where(wanted.Contains)];
    }

    /// <summary>The analysis's layer where it has a probe, or else the last one that has.</summary>
    private static string Nearest(IReadOnlyList<string> layers, string layer) => layers.Contains(layer) ? layer : layers[^1];

    private static bool IsSample(string root) => Path.GetDirectoryName(root) is { } parent && File.Exists(Path.Combine(parent, SampleDataset.TruthFile));
}
