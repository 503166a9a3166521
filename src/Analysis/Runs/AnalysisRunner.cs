using System.Text.Json;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Datasets.Recorded;
using Analysis.Concepts;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Runs.Stages;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs;

/// <summary>
/// Runs an analysis from a request to a result folder. Each stage writes an immutable artefact under its key in the store;
/// what is there already is not computed again, so that a run that was killed goes on from its last checkpoint and ends with
/// the same bytes. Synchronous: call it on a thread of its own and do nothing else with tensors there.
/// </summary>
/// <param name="storeFolder">Where artefacts are kept: <c>store/KEY/…</c>, shared between runs.</param>
/// <param name="instrument">Wraps the loaded network, for example to measure it; null to use it as it is.</param>
public sealed class AnalysisRunner(string storeFolder, Func<INetwork, INetwork>? instrument = null)
{
    private static (string Name, string Title, string Unit, double Weight)[] StagesOf(AnalysisRequest request) =>
    [
        ("scan", "Listing images", "images", 0.01),
        ("activations", "Reading images and recording activations", "images", 1),
        ("directions", "Finding directions", "images", 0.01),
        .. (request.Method, request.Granularity) switch
        {
            (AnalysisRequest.UniqueMethod, _) => UniqueStages,
            (_, "crops") => [("crops", "Recording crops", "images", 16), FactorsStageEntry],
            _ => new[] { FactorsStageEntry },
        },
        ("concepts", "Building the classes", "classes", 0.25),
        ("outliers", "Looking for odd samples", "steps", 0.2),
        ("atlas", "Writing the atlas", "parts", 0.02),
    ];

    private static readonly (string Name, string Title, string Unit, double Weight)[] UniqueStages =
    [
        ("relevance", "Scoring directions for classes", "images", 0.02),
        ("bank", "Refining directions into unique concepts", "ends of directions", 0.05),
    ];

    private static readonly (string Name, string Title, string Unit, double Weight) FactorsStageEntry = ("factors", "Finding concept vectors", "steps", 0.2);

    /// <summary>Runs it.</summary>
    /// <param name="request">What to do.</param>
    /// <param name="resultFolder">Result folder; created. A finished class can be read from it while the run goes on.</param>
    /// <param name="observer">Receives progress.</param>
    /// <param name="cancellation">Honoured between batches and classes.</param>
    /// <returns>The manifest, also written to the folder.</returns>
    /// <exception cref="AnalysisException">Nothing sensible can be computed; says why and what to do.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what is done is kept.</exception>
    public Manifest Run(AnalysisRequest request, string resultFolder, IRunObserver observer, CancellationToken cancellation)
    {
        using var trims = NativeHeap.TrimRegularly();
        var reporter = new RunReporter(observer, StagesOf(request));
        reporter.Begin("scan", 0);
        using var plan = RunPlan.Create(request, instrument: instrument);
        reporter.Device = plan.Description.Device;
        Prepare(plan, resultFolder);
        observer.OnDescribed();
        var scanSkipped = plan.Dataset.Skipped.Select(s => new ManifestSkipped(s.Path, s.Reason)).ToList();
        reporter.Skipped(scanSkipped.Count);
        reporter.Begin("scan", plan.Samples.Count);
        reporter.End("scan");
        reporter.Log($"{plan.Samples.Count} images in {plan.Description.Classes.Count} classes; {plan.Network.Name} ({plan.Network.Architecture}), layer {plan.Layer.Name}, {plan.Description.Device}");
        foreach (var note in plan.Network.Notes.Where(_ => plan.Dataset is IRecordedActivations))
        {
            // How samples are weighed without a network is no detail.
            reporter.Log(note);
        }

        cancellation.ThrowIfCancellationRequested();

        reporter.Begin("activations", plan.Samples.Count);
        var reused = ActivationExtractor.Run(
            plan.Dataset,
            plan.Samples,
            plan.Network,
            plan.Extraction,
            Artifact(plan.ActivationsKey),
            (done, skipped) =>
            {
                reporter.Skipped(scanSkipped.Count + skipped);
                reporter.Advance("activations", done);
            },
            cancellation);
        reporter.End("activations", reused);

        using var store = new ActivationStore(Artifact(plan.ActivationsKey), ActivationExtractor.ShardCount(plan.Samples.Count, plan.Extraction));
        var scan = store.ScanIndices();
        var skipped = scanSkipped
            .Concat(store.Skipped().Select(s => new ManifestSkipped(plan.Dataset.Samples[plan.Samples[s.Scan]].Path, s.Reason)))
            .OrderBy(s => s.Path, StringComparer.Ordinal).ToList();
        if (store.Rows == 0)
        {
            throw new AnalysisException(
                $"None of the {plan.Samples.Count} images of {plan.Dataset.Name} can be read; the first: {skipped[0].Path}: {skipped[0].Reason}", "Check the files, or choose another data set.");
        }

        var samples = SampleTable.Create(plan, store, scan, out var classes);
        if (plan.ClassesArePredictions)
        {
            WriteDescription(plan.Description with { Classes = [.. classes.Select(c => c.Description)] }, resultFolder);
            observer.OnDescribed();
        }

        AtomicFile.WriteText(Path.Combine(resultFolder, "atlas", "skipped.json"), JsonSerializer.Serialize(skipped, AnalysisJson.Line));
        // The first table costs the time to prepare for writing tables at all; the next stages need no disk.
        using var listing = Background.Start(() => ResultTables.Write(Path.Combine(resultFolder, "atlas"), "samples", "parquet", samples));

        var spatial = new SpatialActivations(store, plan.Dataset, plan.Network, plan.Layer.Name, [.. scan.Select(s => plan.Samples[s])]);
        reporter.Begin("directions", store.Rows);
        var (directions, mean, directionsReused) = DirectionsStage.Run(
            store, Path.Combine(Artifact(plan.DirectionsKey), "moments.safetensors"), plan.Network.Device, done => reporter.Advance("directions", done), cancellation);
        reporter.End("directions", directionsReused);
        using (directions)
        using (mean)
        {
            IConceptFinder finder = plan.FactorsKey is null
                ? Unique(plan, store, spatial, classes, samples, directions, mean, reporter, cancellation)
                : Factorise(plan, store, spatial, classes, [.. scan.Select(s => plan.Samples[s])], reporter, cancellation);
            using var owned = finder as IDisposable;
            listing.Complete();
            reporter.SamplesListed(samples.Length);
            reporter.Begin("concepts", classes.Count);
            var builder = new ClassAtlasBuilder(plan.Network, plan.Layer, plan.Request, store, spatial, mean, finder);
            // Classes are many small problems: one thread for each serves them better than several threads for one.
            var parallel = builder.NeedsNetwork || plan.Network.Device.type != DeviceType.CPU ? 1 : plan.Request.Threads;
            set_num_threads(parallel > 1 ? 1 : plan.Request.Threads);
            var conceptsReused = ConceptsStage.Run(
                classes,
                builder,
                Artifact(plan.ConceptsKey),
                resultFolder,
                parallel,
                (index, done) =>
                {
                    reporter.ClassReady(index);
                    reporter.Advance("concepts", done);
                },
                cancellation);
            reporter.End("concepts", conceptsReused);
            set_num_threads(plan.Request.Threads);

            const int OutlierSteps = 100;
            reporter.Begin("outliers", OutlierSteps);
            var (outliers, outliersReused) = OutliersStage.Run(
                plan, store, classes, Artifact(plan.OutliersKey), resultFolder, share => reporter.Advance("outliers", (long)(share * OutlierSteps)), cancellation);
            reporter.End("outliers", outliersReused);

            reporter.Begin("atlas", 5);
            var manifest = ResultStage.Run(
                new ResultStage.Inputs(plan, store, classes, directions, mean, samples, outliers, skipped),
                resultFolder,
                reporter.Stages,
                done => reporter.Advance("atlas", done),
                cancellation);
            reporter.End("atlas");
            return manifest;
        }
    }

    private UniqueConceptFinder Unique(
        RunPlan plan,
        ActivationStore store,
        SpatialActivations spatial,
        IReadOnlyList<ClassRows> classes,
        SampleRow[] samples,
        SingularDirections directions,
        Tensor mean,
        RunReporter reporter,
        CancellationToken cancellation)
    {
        reporter.Begin("relevance", store.Rows);
        var (scores, reused) = RelevanceStage.Run(
            plan, store, spatial, directions, Path.Combine(Artifact(plan.RelevanceKey), "relevance.safetensors"), done => reporter.Advance("relevance", done), cancellation);
        reporter.End("relevance", reused);

        var bank = BankStage.Run(plan, store, classes, directions, mean, scores, Path.Combine(Artifact(plan.ConceptsKey), "bank.safetensors"), reporter, cancellation);
        var means = BankStage.ClassMeans(store, classes, Array.ConvertAll(samples, s => s.Predicted), cancellation);
        return new UniqueConceptFinder(plan.Network, plan.Layer, plan.Request, store, spatial, directions, mean, scores, bank, means);
    }

    private FactorConceptFinder Factorise(
        RunPlan plan,
        ActivationStore store,
        SpatialActivations spatial,
        IReadOnlyList<ClassRows> classes,
        IReadOnlyList<int> indices,
        RunReporter reporter,
        CancellationToken cancellation)
    {
        CropActivations? crops = null;
        if (plan.CropsKey is { } key)
        {
            crops = new CropActivations(plan.Dataset, plan.Network, plan.Layer.Name, indices, Artifact(key));
            reporter.Begin("crops", store.Rows);
            var (before, reused) = (0, true);
            foreach (var members in classes.Where(c => c.Rows.Length > 0))
            {
                reused &= crops.Record(members.Description.Index, members.Rows, plan.Request.BatchSize, done => reporter.Advance("crops", before + done), cancellation);
                before += members.Rows.Length;
            }

            reporter.End("crops", reused);
        }

        var folder = Artifact(plan.FactorsKey!);
        var input = new ConceptInput(store, spatial, crops, plan.Layer, plan.Network.Device, plan.Request.Granularity);
        // Small problems side by side are faster than each on several threads; the network serves one thread only.
        var alone = plan.Network.Device.type != DeviceType.CPU || (plan.Request.Granularity == "positions" && !store.Has("maps"));
        FactorsStage.Run(plan, input, classes, folder, alone ? 1 : plan.Request.Threads, reporter, cancellation);
        return new FactorConceptFinder(plan.Network, plan.Layer, plan.Request, store, spatial, crops, index => FactorsStage.PathOf(folder, index));
    }

    private string Artifact(string key)
    {
        var folder = Path.Combine(storeFolder, key);
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(folder, failure);
        }

        return folder;
    }

    private static void Prepare(RunPlan plan, string resultFolder)
    {
        try
        {
            Directory.CreateDirectory(Path.Combine(resultFolder, "atlas", "classes"));
            // The manifest tells that a result is complete; an old one must not vouch for a new run.
            File.Delete(Path.Combine(resultFolder, "manifest.json"));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(Path.Combine(resultFolder, "atlas"), failure);
        }

        WriteDescription(plan.Description, resultFolder);
    }

    private static void WriteDescription(RunDescription description, string resultFolder) =>
        AtomicFile.WriteText(RunDescription.PathOf(resultFolder), JsonSerializer.Serialize(description, AnalysisJson.Options));
}
