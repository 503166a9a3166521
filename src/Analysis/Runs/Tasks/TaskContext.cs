using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs.Stages;
using static TorchSharp.torch;

namespace Analysis.Runs.Tasks;

/// <summary>
/// A finished analysis opened for a task: its plan, network, data set and recorded activations. Activations that were
/// cleaned away from the store are recorded again. Everything is opened when it is first asked for. For one thread.
/// </summary>
/// <param name="request">The analysis's request.</param>
/// <param name="storeFolder">Where artefacts are kept.</param>
/// <param name="resultFolder">Its result folder.</param>
/// <param name="cancellation">Honoured while activations are recorded again.</param>
/// <param name="instrument">Wraps the loaded network; null to use it as it is.</param>
public sealed class TaskContext(
    AnalysisRequest request, string storeFolder, string resultFolder, CancellationToken cancellation, Func<INetwork, INetwork>? instrument = null) : IDisposable
{
    private RunPlan? _plan;
    private ActivationStore? _store;
    private SpatialActivations? _spatial;
    private LayerActivations? _layers;
    private SampleRow[]? _samples;
    private IReadOnlyList<ClassRows>? _classes;
    private (SingularDirections Directions, Tensor Mean)? _directions;

    /// <summary>The analysis's request.</summary>
    public AnalysisRequest Request => request;

    /// <summary>Where artefacts are kept: <c>store/KEY/…</c>.</summary>
    public string StoreFolder => storeFolder;

    /// <summary>The analysis's result folder; only read by tasks.</summary>
    public string ResultFolder => resultFolder;

    /// <summary>The request resolved: network, data set, layer, samples.</summary>
    public RunPlan Plan => _plan ??= RunPlan.Create(request, instrument: instrument);

    /// <summary>Recorded activations.</summary>
    public ActivationStore Store => _store ??= OpenStore();

    /// <summary>Spatial activations of any rows.</summary>
    public SpatialActivations Spatial =>
        _spatial ??= new SpatialActivations(Store, Plan.Dataset, Plan.Network, Plan.Layer.Name, [.. Store.ScanIndices().Select(s => Plan.Samples[s])]);

    /// <summary>Pooled activations at any layer of the network.</summary>
    public LayerActivations Layers => _layers ??= new LayerActivations(this);

    /// <summary>Honoured by what is computed with the context.</summary>
    public CancellationToken Cancellation => cancellation;

    /// <summary>The samples in the order of the store, with predictions and without outlier scores.</summary>
    public IReadOnlyList<SampleRow> Samples => _samples ??= List();

    /// <summary>The classes with their rows.</summary>
    public IReadOnlyList<ClassRows> Classes
    {
        get
        {
            _ = Samples;
            return _classes!;
        }
    }

    /// <summary>Singular directions and mean pooled activation (C float64 on the CPU) of the whole data set; owned by the context.</summary>
    public (SingularDirections Directions, Tensor Mean) Directions => _directions ??= Decompose();

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_directions is { } directions)
        {
            directions.Directions.Dispose();
            directions.Mean.Dispose();
        }

        _layers?.Dispose();
        _store?.Dispose();
        _plan?.Dispose();
    }

    private ActivationStore OpenStore()
    {
        var folder = Path.Combine(storeFolder, Plan.ActivationsKey);
        ActivationExtractor.Run(Plan.Dataset, Plan.Samples, Plan.Network, Plan.Extraction, folder, (_, _) => { }, cancellation);
        return new ActivationStore(folder, ActivationExtractor.ShardCount(Plan.Samples.Count, Plan.Extraction));
    }

    private SampleRow[] List()
    {
        var rows = SampleTable.Create(Plan, Store, Store.ScanIndices(), out var classes);
        _classes = classes;
        return rows;
    }

    private (SingularDirections Directions, Tensor Mean) Decompose()
    {
        var path = Path.Combine(storeFolder, Plan.DirectionsKey, "moments.safetensors");
        var (directions, mean, _) = DirectionsStage.Run(Store, path, Plan.Network.Device, _ => { }, cancellation);
        return (directions, mean);
    }
}
