using Analysis.Activations;
using Analysis.Concepts;
using Analysis.Evaluation;
using Analysis.Importance;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Strategies;
using Analysis.Visualization;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Atlas;

/// <summary>
/// Builds the atlas of one class from the concepts that a method finds in it: maps, exemplars, alignment, proximity, the
/// strategic cluster graph. Classes do not depend on each other, so each is a checkpoint. Safe for concurrent use where
/// <see cref="NeedsNetwork"/> is false.
/// </summary>
public sealed class ClassAtlasBuilder
{
    /// <summary>Largest side of a stored concept map; finer layers are averaged down to it.</summary>
    public const int MapSide = 28;

    private const int FewImages = 20;
    private const int SpatialPart = 64;

    private readonly INetwork _network;
    private readonly LayerInfo _layer;
    private readonly AnalysisRequest _request;
    private readonly ActivationStore _store;
    private readonly SpatialActivations _spatial;
    private readonly Tensor _mean;
    private readonly IConceptFinder _finder;

    /// <summary>Creates a builder.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="request">Number of concepts and seed.</param>
    /// <param name="store">Recorded activations.</param>
    /// <param name="spatial">Spatial activations.</param>
    /// <param name="mean">Mean pooled activation m of the whole data set, C float64 on the CPU; not owned.</param>
    /// <param name="finder">Finds the concepts.</param>
    public ClassAtlasBuilder(
        INetwork network, LayerInfo layer, AnalysisRequest request, ActivationStore store, SpatialActivations spatial, Tensor mean, IConceptFinder finder)
    {
        _network = network;
        _layer = layer;
        _request = request;
        _store = store;
        _spatial = spatial;
        _mean = mean;
        _finder = finder;
    }

    /// <summary>True where building a class runs the network: its head is not linear, or spatial activations were not kept.</summary>
    public bool NeedsNetwork => _finder.NeedsNetwork || !_store.Has("maps");

    /// <summary>Builds one class.</summary>
    /// <param name="members">The class; has images.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    public ClassResult Build(ClassRows members, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var rows = members.Rows;
        var notes = new List<string>();
        if (rows.Length < FewImages)
        {
            notes.Add(rows.Length == 1 ? "Only one image: everything on this page rests on it." : $"Only {rows.Length} images: concepts and strategies are uncertain.");
        }

        if (members.Description.Label is null)
        {
            notes.Add("The folder's name matches no output of the network: contributions refer to the output predicted for each image.");
        }

        var pooled = _store.GatherTensor("pooled.0", rows).to(_network.Device).to(ScalarType.Float64);
        var outputs = Outputs(members, notes);
        cancellation.ThrowIfCancellationRequested();

        using var found = _finder.Find(members, pooled, outputs, notes, cancellation);
        var maps = ConceptMapSet.Compute(_spatial, rows, found.Encoder, _layer, MapSide, SpatialPart, cancellation);
        return Assemble(members, found, pooled, outputs, maps, notes, cancellation);
    }

    private ImageOutputs Outputs(ClassRows members, List<string> notes)
    {
        using var logits = _store.GatherTensor("logits", members.Rows);
        if (logits.shape[1] == 1)
        {
            notes.Add("The network has a single output: there is no runner-up to compare with.");
        }

        return ImageOutputs.From(members.Rows, DenseMatrix.FromTensor(logits), members.Description.Label);
    }

    private ClassResult Assemble(
        ClassRows members,
        FoundConcepts found,
        Tensor pooled,
        ImageOutputs outputs,
        ConceptMapSet maps,
        List<string> notes,
        CancellationToken cancellation)
    {
        var (n, k, encoded) = (members.Rows.Length, found.Concepts.Count, found.Encoded);
        var shares = Shares.Of(encoded.Contributions, k);
        var vectors = new DenseMatrix(k, _layer.Channels, [.. found.Concepts.SelectMany(c => c.Vector)]);
        var projections = DenseMatrix.FromTensor((pooled - _mean.to(pooled.device)).mm(vectors.ToTensor(pooled.device).t()));
        var graph = StrategicGraph.Build(encoded.Contributions, k, shares, outputs, members.Description.Label, _request.Seed, cancellation);
        var proximity = ConceptMatching.ProximityMap(vectors);
        var (channel, cosine) = ConceptMaps.Channels(vectors);
        var alignment = Alignment(vectors);
        var entries = new List<ConceptEntry>(k);
        for (var i = 0; i < k; i++)
        {
            var concept = found.Concepts[i];
            var column = projections.Column(i);
            var codes = encoded.Coefficients.Column(i);
            var (from, to, histogram) = Histogram(column);
            var conceptNotes = concept.Notes.ToList();
            if (concept.Stability is < 0.8)
            {
                conceptNotes.Add(FormattableString.Invariant($"Two halves of its images agree only to a cosine of {concept.Stability:0.00}."));
            }

            entries.Add(new ConceptEntry
            {
                Id = (members.Description.Index * _request.MostPerClass) + i,
                Rank = i,
                Shared = concept.Shared,
                Component = concept.Component,
                Direction = concept.Direction,
                Cluster = concept.Cluster,
                Importance = Rounding.Significant(shares.Share[i]),
                ImportanceSpread = Rounding.Significant(shares.Spread[i]),
                Prevalence = Rounding.Significant(RobustStatistics.Mean(codes)),
                ActiveShare = codes.Count(c => c > 0) / (double)n,
                Reliability = Rounding.Significant(encoded.Effect[i]),
                Relevance = Round(concept.Relevance),
                Stability = Round(concept.Stability),
                Spread = ConceptMaps.ParticipationRatio(vectors.Row(i)),
                Channel = channel[i],
                ChannelCosine = cosine[i],
                StrongestFor = graph.Strongest.Count(s => s == i),
                X = proximity[i, 0],
                Y = proximity[i, 1],
                Alignment = alignment[i],
                Exemplars = ExemplarChooser.Choose(column, found.Crops?.Best(i) ?? codes, members.Rows, maps, i, found.Crops),
                Histogram = histogram,
                HistogramFrom = from,
                HistogramTo = to,
                MapThreshold = maps.Threshold(i),
                Notes = conceptNotes,
            });
        }

        var label = members.Description.Label;
        var atlas = new ClassAtlas
        {
            Class = members.Description.Index,
            Name = members.Description.Name,
            DisplayName = members.Description.DisplayName,
            Label = label,
            Accuracy = label is { } l && n > 0 ? outputs.Predicted.Count(p => p == l) / (double)n : null,
            Concepts = entries,
            UnexplainedShare = shares.Unexplained,
            Strategies = graph.Strategies,
            Embedding = graph.Embedding,
            Trustworthiness = graph.Trustworthiness,
            LeftOut = graph.LeftOut,
            ImportantFrom = graph.ImportantFrom,
            Confusions = Confusions(outputs, label),
            Metrics = Metrics(pooled, found),
            Notes = notes,
        };
        var arrays = new ClassArrays
        {
            Sample = members.Rows,
            Layout = graph.Layout,
            Strategy = graph.Assignment,
            Strongest = graph.Strongest,
            Predicted = outputs.Predicted,
            Target = outputs.Target,
            RunnerUp = outputs.RunnerUp,
            Concepts = k,
            Contributions = Array.ConvertAll(encoded.Contributions.Values, v => (float)v),
            Against = Array.ConvertAll(encoded.Against.Values, v => (float)v),
            MapHeight = maps.Height,
            MapWidth = maps.Width,
            MapScale = maps.Scale,
            Maps = maps.Bytes,
        };
        return new ClassResult(
            atlas,
            arrays,
            Array.ConvertAll(encoded.Coefficients.Values, v => (float)v),
            Array.ConvertAll(vectors.Values, v => (float)v),
            Array.ConvertAll(encoded.Residual, v => (float)v));
    }

    private static SortedDictionary<string, double> Metrics(Tensor pooled, FoundConcepts found)
    {
        using var scope = NewDisposeScope();
        var codes = found.Encoded.Coefficients.ToTensor(pooled.device);
        var decoded = codes.mm(found.Encoder.Vectors);
        var reconstruction = found.Encoder.Offset is { } offset ? decoded.add(offset, Scalars.One) : decoded;
        var metrics = new SortedDictionary<string, double>(StringComparer.Ordinal);
        Add("relativeError", Mean(ExtractionMetrics.RelativeErrors(pooled, reconstruction)));
        Add("rSquared", ExtractionMetrics.RSquared(pooled, reconstruction));
        Add("hoyer", Mean(ExtractionMetrics.Hoyer(codes)));
        Add("activeShare", (codes.abs() > Scalars.Of(ExtractionMetrics.ActiveThreshold)).to(ScalarType.Float64).mean().item<double>());
        foreach (var (name, value) in found.FitMetrics)
        {
            Add("fit" + char.ToUpperInvariant(name[0]) + name[1..], value);
        }

        return metrics;

        void Add(string name, double value)
        {
            if (double.IsFinite(value))
            {
                metrics[name] = Rounding.Significant(value);
            }
        }

        static double Mean(Tensor values)
        {
            var finite = DenseMatrix.FromTensor(values.to(ScalarType.Float64).reshape(1, -1)).Values.Where(double.IsFinite).ToArray();
            return finite.Length == 0 ? double.NaN : finite.Average();
        }
    }

    private List<ClassAlignment>[] Alignment(DenseMatrix vectors)
    {
        var result = Enumerable.Range(0, vectors.Rows).Select(_ => new List<ClassAlignment>()).ToArray();
        if (_network.LinearHead(_layer.Name) is not { } head)
        {
            return result;
        }

        var cosines = ConceptMatching.Cosines(vectors, DenseMatrix.FromTensor(head.Weight));
        for (var i = 0; i < vectors.Rows; i++)
        {
            var row = cosines.Row(i).ToArray();
            result[i].AddRange(Ranks.Descending(row).Take(5).Select(o => new ClassAlignment(o, OutputName(o), row[o])));
        }

        return result;
    }

    private List<Confusion> Confusions(ImageOutputs outputs, int? label) => label is not { } own
        ? []
        : [.. outputs.Predicted.Where(p => p != own).GroupBy(p => p)
            .Select(g => new Confusion(g.Key, OutputName(g.Key), g.Count()))
            .OrderByDescending(c => c.Count).ThenBy(c => c.Output).Take(10)];

    private string OutputName(int output) => OutputNames.Of(_network, output);

    private static double? Round(double? value) => value is { } number ? Rounding.Significant(number) : null;

    private static (double From, double To, int[] Bins) Histogram(double[] values)
    {
        var bins = new int[20];
        var (from, to) = (values.Min(), values.Max());
        var width = to > from ? (to - from) / bins.Length : 1;
        foreach (var value in values)
        {
            bins[Math.Min(bins.Length - 1, (int)((value - from) / width))]++;
        }

        return (from, to, bins);
    }
}
