using Analysis.Activations;
using Analysis.Datasets.Recorded;
using Analysis.Networks;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes;

/// <summary>
/// Activations averaged over positions at every layer of an analysis's network. Those of the analysis's layer are in its store;
/// those of all others are recorded together in one pass over the images, once, and kept under a key of their own, so that every
/// later concept costs no forward pass. For one thread.
/// </summary>
public sealed class LayerActivations : IDisposable
{
    private readonly TaskContext _context;
    private readonly string[] _others;
    private readonly Dictionary<string, PlacedActivations> _placed = [];
    private object? _places;
    private ActivationStore? _store;

    internal LayerActivations(TaskContext context)
    {
        _context = context;
        var plan = context.Plan;
        All = plan.Network.Layers.Any(l => l.Name == plan.Layer.Name) ? plan.Network.Layers : [plan.Layer];
        _others = [.. All.Select(l => l.Name).Where(l => l != plan.Layer.Name)];
    }

    /// <summary>Layers in the order of the forward pass.</summary>
    public IReadOnlyList<LayerInfo> All { get; }

    /// <summary>Honoured while layers are recorded.</summary>
    public CancellationToken Cancellation => _context.Cancellation;

    /// <summary>A layer by name.</summary>
    /// <exception cref="AnalysisException">There is none; lists those there are.</exception>
    public LayerInfo Get(string layer) =>
        All.FirstOrDefault(l => l.Name == layer)
        ?? throw new AnalysisException($"{_context.Plan.Network.Name} has no layer '{layer}'.", $"Choose one of: {string.Join(", ", All.Select(l => l.Name))}.");

    /// <summary>Records what is missing; returns at once where everything is there.</summary>
    /// <param name="layers">Layers that will be read.</param>
    /// <param name="progress">Called with the number of images done.</param>
    /// <param name="cancellation">Honoured between batches; shards that are finished stay.</param>
    /// <exception cref="AnalysisException">A layer is not known; the images changed since the analysis.</exception>
    public void Prepare(IReadOnlyList<string> layers, Action<int> progress, CancellationToken cancellation)
    {
        if (layers.All(l => Get(l).Name == _context.Plan.Layer.Name) || _store is not null)
        {
            return;
        }

        var plan = _context.Plan;
        if (plan.Dataset is IRecordedActivations)
        {
            throw new AnalysisException("Recorded activations hold one layer.", $"Choose the layer {plan.Layer.Name}.");
        }

        var spec = plan.Extraction with { Layers = _others, Depths = [], KeepMaps = false, Gradients = false };
        var folder = Path.Combine(_context.StoreFolder, ArtifactKey.Of("layers/1", plan.ActivationsKey, _others));
        ActivationExtractor.Run(plan.Dataset, plan.Samples, plan.Network, spec, folder, (done, _) => progress(done), cancellation);
        var store = new ActivationStore(folder, ActivationExtractor.ShardCount(plan.Samples.Count, spec));
        if (!store.ScanIndices().SequenceEqual(_context.Store.ScanIndices()))
        {
            store.Dispose();
            throw new AnalysisException("Other images can be read now than when the analysis was made.", "Put the files back that were analysed, or start a new analysis.");
        }

        _store = store;
    }

    /// <summary>Pooled activations of any samples.</summary>
    /// <param name="layer">Layer; recorded first where it is not there yet.</param>
    /// <param name="rows">Rows of the samples.</param>
    /// <returns>rows.Length×C float64 on the CPU; belongs to the caller.</returns>
    /// <exception cref="AnalysisException">The layer is not known.</exception>
    public Tensor Read(string layer, ReadOnlySpan<int> rows)
    {
        var own = Get(layer).Name == _context.Plan.Layer.Name;
        if (!own)
        {
            Prepare([layer], _ => { }, _context.Cancellation);
        }

        using var values = own ? _context.Store.GatherTensor("pooled.0", rows) : _store!.GatherTensor($"pooled.{Array.IndexOf(_others, layer)}", rows);
        return values.to(ScalarType.Float64);
    }

    /// <summary>Activations at positions inside and outside the places of a concept; null where it has none, or the layer no positions.</summary>
    /// <param name="labels">What the samples show.</param>
    /// <param name="layers">Layers that will be asked for; read together where they are not there yet.</param>
    /// <param name="layer">The layer.</param>
    /// <returns>Belongs to this object, until another concept is asked for.</returns>
    internal PlacedActivations? Placed(ConceptLabels labels, IReadOnlyList<string> layers, string layer)
    {
        if (labels.Places is null || PlacedActivations.Grid(Get(layer)) is null)
        {
            return null;
        }

        if (!ReferenceEquals(_places, labels.Places))
        {
            Forget();
            _places = labels.Places;
        }

        if (!_placed.ContainsKey(layer))
        {
            List<LayerInfo> missing = [.. layers.Append(layer).Distinct(StringComparer.Ordinal).Where(l => !_placed.ContainsKey(l)).Select(Get).Where(l => PlacedActivations.Grid(l) is not null)];
            foreach (var (name, values) in PlacedActivations.Read(_context, labels, missing, _context.Cancellation))
            {
                // Kept for later fits: no scope of a caller owns it.
                values.Values.DetachFromDisposeScope();
                _placed.Add(name, values);
            }
        }

        return _placed[layer];
    }

    private void Forget()
    {
        foreach (var values in _placed.Values)
        {
            values.Dispose();
        }

        _placed.Clear();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Forget();
        _store?.Dispose();
    }
}
