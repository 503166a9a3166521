using System.Globalization;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Factorization;
using Analysis.Importance;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>
/// Concepts of a class by a factorisation: of the class by itself, or of the whole data set, of which the class keeps those
/// that contribute most on its images. Safe for concurrent use where <see cref="NeedsNetwork"/> is false.
/// </summary>
public sealed class FactorConceptFinder : IConceptFinder, IDisposable
{
    // As the encoder divides rows: a block's coefficients are those of all rows at once, bit by bit.
    private const int Block = FactorEncoder.Part;

    // Coefficients of all components that are kept for those that are chosen, 8 bytes each.
    private const long MostKnown = 4L << 20;

    private readonly INetwork _network;
    private readonly LayerInfo _layer;
    private readonly AnalysisRequest _request;
    private readonly ActivationStore _store;
    private readonly SpatialActivations _spatial;
    private readonly CropActivations? _crops;
    private readonly Func<int?, string> _pathOf;
    private readonly (Factors Factors, FitRecord Record)? _dictionary;

    /// <summary>Creates a finder.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="request">Scope, granularity and number of concepts.</param>
    /// <param name="store">Recorded activations.</param>
    /// <param name="spatial">Spatial activations.</param>
    /// <param name="crops">Recorded crops; null for another granularity.</param>
    /// <param name="pathOf">File of the factors of a class, or of the data set for null.</param>
    public FactorConceptFinder(
        INetwork network, LayerInfo layer, AnalysisRequest request, ActivationStore store, SpatialActivations spatial, CropActivations? crops, Func<int?, string> pathOf)
    {
        _network = network;
        _layer = layer;
        _request = request;
        _store = store;
        _spatial = spatial;
        _crops = crops;
        _pathOf = pathOf;
        _dictionary = request.Scope == "dataset" ? FactorsFile.Read(pathOf(null), network.Device) : null;
    }

    /// <inheritdoc/>
    public bool NeedsNetwork => _network.LinearHead(_layer.Name) is null || !_store.Has("maps");

    /// <inheritdoc/>
    public void Dispose() => _dictionary?.Factors.Dispose();

    /// <inheritdoc/>
    public FoundConcepts Find(ClassRows members, Tensor pooled, ImageOutputs outputs, List<string> notes, CancellationToken cancellation)
    {
        var byPositions = _request.Granularity == "positions";
        var (factors, record) = _dictionary ?? FactorsFile.Read(_pathOf(members.Description.Index), _network.Device);
        notes.AddRange(record.Notes);
        var owns = _dictionary is null;
        using var all = FactorEncoder.Create(factors, byPositions);
        if (all.Kept.Count < factors.Components)
        {
            notes.Add($"{factors.Components - all.Kept.Count} of {factors.Components} concept vectors are empty and left out.");
        }

        if (owns && members.Rows.Length < 5 * all.Kept.Count)
        {
            notes.Add($"Only {members.Rows.Length} images for {all.Kept.Count} concepts: with fewer than five each they are uncertain.");
        }

        var (kept, known) = all.Kept.Count > _request.MostPerClass ? Strongest(all, members, pooled, outputs, cancellation) : (all.Kept, null);
        using var codes = known;
        using var unordered = FactorEncoder.Create(factors, byPositions, kept);
        var encoded = Contributions.Create(_network, _layer.Name, _spatial, _request.Importance, _request.Seed)
            .Compute(pooled, unordered, members.Rows, outputs, cancellation, codes);
        var order = encoded.ByStrength();
        encoded = encoded.Reorder(order);
        if (_request.Importance != Contributions.Automatic && ImportanceCatalogue.Get(_request.Importance).Info is { InLogitUnits: false } info)
        {
            notes.Add($"Importance is {info.Title}: its values are not parts of the logit and need not add up to it.");
        }

        var encoder = FactorEncoder.Create(factors, byPositions, [.. order.Select(i => kept[i])], owns);
        return new FoundConcepts(Describe(encoder, encoded, owns), encoder, encoded)
        {
            Crops = Crops(members, encoder),
            FitMetrics = record.Metrics,
        };
    }

    /// <summary>
    /// The components that contribute most on the images of a class, by the automatic way to weigh them, which is affordable for
    /// a large dictionary; images in blocks, so that contributions of all components never stand side by side. With them come the images'
    /// coefficients, n×kept float64 outside any dispose scope, where those of all components are few enough to be kept until then, else null:
    /// encoding by a large dictionary is what takes long.
    /// </summary>
    private (IReadOnlyList<int> Kept, Tensor? Codes) Strongest(FactorEncoder all, ClassRows members, Tensor pooled, ImageOutputs outputs, CancellationToken cancellation)
    {
        var contributions = Contributions.Create(_network, _layer.Name, _spatial);
        var strength = new double[all.Kept.Count];
        // Behind other heads the coefficients of every position are needed, which are many more.
        var blocks = _network.LinearHead(_layer.Name) is not null && (long)members.Rows.Length * strength.Length <= MostKnown ? new List<DenseMatrix>() : null;
        for (var start = 0; start < members.Rows.Length; start += Block)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(Block, members.Rows.Length - start);
            var part = contributions.Compute(pooled.narrow(0, start, count), all, members.Rows[start..(start + count)], outputs.Slice(start, count), cancellation);
            blocks?.Add(part.Coefficients);
            var more = part.Strength();
            for (var i = 0; i < strength.Length; i++)
            {
                strength[i] += more[i];
            }
        }

        int[] chosen = [.. Ranks.Descending(strength).Take(_request.MostPerClass)];
        return ([.. chosen.Select(i => all.Kept[i])], blocks is null ? null : Columns(blocks, members.Rows.Length, chosen, pooled.device));
    }

    private static Tensor Columns(List<DenseMatrix> blocks, int rows, int[] columns, Device device)
    {
        var result = new DenseMatrix(rows, columns.Length);
        var row = 0;
        foreach (var block in blocks)
        {
            for (var i = 0; i < block.Rows; i++, row++)
            {
                for (var j = 0; j < columns.Length; j++)
                {
                    result[row, j] = block[i, columns[j]];
                }
            }
        }

        return result.ToTensor(device).DetachFromDisposeScope();
    }

    private FoundConcept[] Describe(FactorEncoder encoder, ContributionResult encoded, bool owns)
    {
        var vectors = DenseMatrix.FromTensor(encoder.Vectors);
        var result = new FoundConcept[vectors.Rows];
        for (var i = 0; i < result.Length; i++)
        {
            var notes = new List<string>();
            if (encoded.Coefficients.Column(i).All(u => u == 0))
            {
                notes.Add("No image of the class uses it.");
            }

            for (var j = 0; j < i; j++)
            {
                var cosine = Vectors.Cosine(vectors.Row(i), vectors.Row(j));
                if (cosine > 0.99)
                {
                    notes.Add(string.Create(CultureInfo.InvariantCulture, $"Points the same way as c{j} (cosine {cosine:0.000}): fewer concepts would do."));
                    break;
                }
            }

            result[i] = new FoundConcept(vectors.Row(i).ToArray()) { Component = encoder.Kept[i], Shared = owns ? null : encoder.Kept[i], Notes = notes };
        }

        return result;
    }

    private CropCodes? Crops(ClassRows members, FactorEncoder encoder)
    {
        if (_crops is null)
        {
            return null;
        }

        using var scope = NewDisposeScope();
        var codes = encoder.Encode(_crops.Read(members.Description.Index).to(ScalarType.Float64)).to(ScalarType.Float32).cpu();
        return new CropCodes(_crops.Geometry, encoder.Kept.Count, codes.data<float>().ToArray());
    }
}
