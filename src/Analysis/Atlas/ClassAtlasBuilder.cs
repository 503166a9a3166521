using Analysis.Activations;
using Analysis.Concepts;
using Analysis.Importance;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Strategies;
using Analysis.Visualization;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Atlas;

/// <summary>A class to analyse.</summary>
/// <param name="Description">Name, output and index.</param>
/// <param name="Rows">Rows of its images, ascending.</param>
public sealed record ClassRows(ClassDescription Description, int[] Rows);

/// <summary>Mean activation of a class.</summary>
/// <param name="Class">Index of the class.</param>
/// <param name="Name">Name for display.</param>
/// <param name="Mean">Mean pooled activation. Length C.</param>
public sealed record ClassMean(int Class, string Name, double[] Mean);

/// <summary>Everything that is written for one class.</summary>
/// <param name="Atlas">What pages show.</param>
/// <param name="Arrays">Per-image arrays.</param>
/// <param name="Coefficients">U, n×k row by row.</param>
/// <param name="Vectors">V, k×C row by row.</param>
/// <param name="Residual">||(a − m) − uV|| / ||a||, length n.</param>
public sealed record ClassResult(ClassAtlas Atlas, ClassArrays Arrays, float[] Coefficients, float[] Vectors, float[] Residual);

/// <summary>
/// Builds the atlas of one class: candidate directions by relevance, their refinement into unique concept vectors, the
/// encoding of its images, contributions to the logit, maps, exemplars, the strategic cluster graph. Classes do not depend
/// on each other, so each is a checkpoint. Safe for concurrent use where <see cref="NeedsNetwork"/> is false.
/// </summary>
public sealed class ClassAtlasBuilder
{
    /// <summary>Relevant directions whose concept vectors a class may use.</summary>
    public const int DirectionsPerClass = 10;

    /// <summary>Relevant directions that are refined on the images of the class alone as well.</summary>
    public const int OwnDirections = 5;

    /// <summary>Concept vectors of one class closer than this are one concept.</summary>
    public const double DuplicateCosine = 0.9;

    /// <summary>Vectors whose two halves agree less than this are noise, not concepts, and left out.</summary>
    public const double LeastStability = 0.5;

    /// <summary>Most similar classes that a class is contrasted with.</summary>
    public const int Rivals = 2;

    /// <summary>Fewest concepts asked for that leave room for the contrasts with rivals whatever their contribution.</summary>
    private const int RoomForRivals = 5;

    /// <summary>Share of a class's images that are clustered when a direction is refined on the class alone.</summary>
    public const double OwnShare = 0.15;

    /// <summary>Largest side of a stored concept map; finer layers are averaged down to it.</summary>
    public const int MapSide = 28;

    private const int FewImages = 20;
    private const int SpatialPart = 64;

    private readonly INetwork _network;
    private readonly LayerInfo _layer;
    private readonly AnalysisRequest _request;
    private readonly ActivationStore _store;
    private readonly SpatialActivations _spatial;
    private readonly SingularDirections _directions;
    private readonly Tensor _mean;
    private readonly ILookup<(int Direction, int End), BankVector> _bank;
    private readonly IReadOnlyList<ClassMean> _classMeans;

    /// <summary>Creates a builder.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="request">Number of concepts and seed.</param>
    /// <param name="store">Recorded activations.</param>
    /// <param name="spatial">Spatial activations.</param>
    /// <param name="directions">Singular directions of the whole data set.</param>
    /// <param name="mean">Mean pooled activation m of the whole data set, C float64 on the CPU; not owned.</param>
    /// <param name="bank">Concept vectors of the whole data set.</param>
    /// <param name="classMeans">Mean activation of each class that has images.</param>
    public ClassAtlasBuilder(
        INetwork network, LayerInfo layer, AnalysisRequest request, ActivationStore store, SpatialActivations spatial, SingularDirections directions, Tensor mean,
        IReadOnlyList<BankVector> bank, IReadOnlyList<ClassMean> classMeans)
    {
        _network = network;
        _layer = layer;
        _request = request;
        _store = store;
        _spatial = spatial;
        _directions = directions;
        _mean = mean;
        _bank = bank.ToLookup(b => (b.Direction, b.End));
        _classMeans = classMeans;
    }

    /// <summary>True where building a class runs the network: its head is not linear, or spatial activations were not kept.</summary>
    public bool NeedsNetwork => _network.LinearHead(_layer.Name) is null || !_store.Has("maps");

    /// <summary>Builds one class.</summary>
    /// <param name="members">The class.</param>
    /// <param name="relevance">z score of every direction for the class's output; NaN where undefined. Length J ≤ r.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    public ClassResult Build(ClassRows members, ReadOnlySpan<double> relevance, CancellationToken cancellation)
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

        var candidates = Candidates(members, pooled, relevance, notes);
        cancellation.ThrowIfCancellationRequested();
        var contributions = Contributions.Create(_network, _layer.Name, _mean, _spatial);
        if (candidates.Count > _request.Concepts)
        {
            var first = contributions.Compute(pooled, Stack(candidates), rows, outputs, cancellation);
            candidates = Keep(candidates, Strength(first, candidates.Count));
        }

        var encoded = contributions.Compute(pooled, Stack(candidates), rows, outputs, cancellation);
        var order = Strength(encoded, candidates.Count);
        if (!order.SequenceEqual(Enumerable.Range(0, candidates.Count)))
        {
            candidates = [.. order.Select(i => candidates[i])];
            encoded = encoded.Reorder(order);
        }

        var maps = ConceptMapSet.Compute(_spatial, rows, Stack(candidates), _layer, MapSide, SpatialPart, cancellation);
        return Assemble(members, candidates, pooled, outputs, encoded, maps, notes, cancellation);
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

    /// <summary>Directions that matter for an output, most relevant first: those with a positive score, at most <see cref="DirectionsPerClass"/>.</summary>
    /// <param name="relevance">z score of every direction; NaN where undefined.</param>
    public static IReadOnlyList<int> RelevantDirections(ReadOnlySpan<double> relevance)
    {
        var chosen = new List<int>();
        foreach (var j in Ranks.Descending(relevance))
        {
            if (relevance[j] > 0 && chosen.Count < DirectionsPerClass)
            {
                chosen.Add(j);
            }
        }

        return chosen.Count > 0 ? chosen : [.. Enumerable.Range(0, Math.Min(OwnDirections, relevance.Length))];
    }

    /// <summary>
    /// Unique concept vectors of the class's relevant directions, of each the end that raises the logit: those of the whole
    /// data set, which other classes may share, and those of the class's own images, which tell its variants apart.
    /// </summary>
    private List<Candidate> Candidates(ClassRows members, Tensor pooled, ReadOnlySpan<double> relevance, List<string> notes)
    {
        var n = members.Rows.Length;
        var top = Math.Min(n, Math.Clamp((int)(OwnShare * n), FewImages, 100));
        var gradient = _store.GatherTensor("gradient.0", members.Rows).to(_network.Device).to(ScalarType.Float64).mean([0L]);
        var found = new List<Candidate>();
        var chosen = RelevantDirections(relevance);
        if (!(relevance[chosen[0]] > 0))
        {
            notes.Add("The relevance of directions is undefined here (too few images are predicted as this class, or as others): the strongest directions of the data set are used.");
        }

        foreach (var rival in RivalContrasts(members))
        {
            Add(rival);
        }

        for (var place = 0; place < chosen.Count; place++)
        {
            using var scope = NewDisposeScope();
            var direction = chosen[place];
            var v = _directions.Vectors[direction].to(_network.Device);
            var end = v.dot(gradient).item<double>() < 0 ? -1 : 1;
            double? z = double.IsNaN(relevance[direction]) ? null : relevance[direction];
            foreach (var shared in _bank[(direction, end)])
            {
                Add(new Candidate(shared.Vector, direction, shared.Cluster < 0 ? null : shared.Cluster, z, double.IsNaN(shared.Stability) ? null : shared.Stability));
            }

            if (place >= OwnDirections)
            {
                continue;
            }

            var refined = ConceptRefinement.Refine(pooled, v * end, new RefinementOptions { Top = top, Seed = _request.Seed });
            foreach (var concept in refined.Concepts)
            {
                if (Contrast.Of(pooled, concept.Members, _mean) is { } vector)
                {
                    var stability = ConceptBank.Stability(pooled, concept.Members, _mean, _request.Seed);
                    Add(new Candidate(vector, direction, concept.Cluster, z, double.IsNaN(stability) ? null : stability));
                }
            }
        }

        if (found.Count == 0)
        {
            var all = Enumerable.Range(0, n).ToArray();
            var vector = Contrast.Of(pooled, all, _mean) ?? Vectors.Unit(DenseMatrix.FromTensor(pooled.mean([0L]).unsqueeze(0)).Row(0));
            found.Add(new Candidate(vector, null, null, null, null));
            notes.Add("No cluster of images was large enough for a concept of its own: the class is described by its mean.");
        }

        return found;

        void Add(Candidate candidate)
        {
            if (candidate.Stability is null or >= LeastStability && !found.Any(f => Vectors.Dot(f.Vector, candidate.Vector) > DuplicateCosine))
            {
                found.Add(candidate);
            }
        }
    }

    /// <summary>The strongest, among them always the contrasts with rivals: they tell what decides between similar classes.</summary>
    private List<Candidate> Keep(List<Candidate> candidates, int[] order)
    {
        var reserved = _request.Concepts >= RoomForRivals ? order.Where(i => candidates[i].Rival is not null).ToHashSet() : [];
        var free = _request.Concepts - reserved.Count;
        var kept = order.Where(i => reserved.Contains(i) || free-- > 0).ToHashSet();
        return [.. order.Where(kept.Contains).Select(i => candidates[i])];
    }

    /// <summary>Contrasts with the means of the classes that point most nearly the same way from the mean of the data set.</summary>
    private IEnumerable<Candidate> RivalContrasts(ClassRows members)
    {
        var own = _classMeans.FirstOrDefault(c => c.Class == members.Description.Index);
        if (own is null)
        {
            yield break;
        }

        var origin = DenseMatrix.FromTensor(_mean.unsqueeze(0)).Row(0).ToArray();
        var others = _classMeans.Where(c => c.Class != own.Class).ToArray();
        var similarity = Array.ConvertAll(others, c => Vectors.Cosine(Difference(own.Mean, origin), Difference(c.Mean, origin)));
        foreach (var i in Ranks.Descending(similarity).Take(Rivals))
        {
            var difference = Difference(own.Mean, others[i].Mean);
            if (!RobustStatistics.IsDegenerate(Vectors.Norm(difference), Vectors.Norm(own.Mean)))
            {
                yield return new Candidate(Vectors.Unit(difference), null, null, null, null, others[i].Name);
            }
        }

        static double[] Difference(double[] a, double[] b)
        {
            var result = new double[a.Length];
            for (var i = 0; i < a.Length; i++)
            {
                result[i] = a[i] - b[i];
            }

            return result;
        }
    }

    private Tensor Stack(List<Candidate> candidates) =>
        tensor(candidates.SelectMany(c => c.Vector).ToArray(), [candidates.Count, _layer.Channels], ScalarType.Float64, _network.Device);

    /// <summary>Concepts by mean |contribution|, descending, ties by number.</summary>
    private static int[] Strength(ContributionResult result, int concepts)
    {
        var strength = new double[concepts];
        for (var i = 0; i < concepts; i++)
        {
            for (var row = 0; row < result.Contributions.Rows; row++)
            {
                strength[i] += Math.Abs(result.Contributions[row, i]);
            }
        }

        return Ranks.Descending(strength);
    }

    private ClassResult Assemble(
        ClassRows members,
        List<Candidate> candidates,
        Tensor pooled,
        ImageOutputs outputs,
        ContributionResult encoded,
        ConceptMapSet maps,
        List<string> notes,
        CancellationToken cancellation)
    {
        var (n, k) = (members.Rows.Length, candidates.Count);
        var shares = Shares.Of(encoded.Contributions, k);
        var vectors = new DenseMatrix(k, _layer.Channels, [.. candidates.SelectMany(c => c.Vector)]);
        var projections = DenseMatrix.FromTensor((pooled - _mean.to(pooled.device)).mm(vectors.ToTensor(pooled.device).t()));
        var graph = StrategicGraph.Build(encoded.Contributions, k, shares, outputs, members.Description.Label, _request.Seed, cancellation);
        var proximity = ConceptMatching.ProximityMap(vectors);
        var (channel, cosine) = ConceptMaps.Channels(vectors);
        var alignment = Alignment(vectors);
        var entries = new List<ConceptEntry>(k);
        for (var i = 0; i < k; i++)
        {
            var candidate = candidates[i];
            var column = projections.Column(i);
            var codes = encoded.Coefficients.Column(i);
            var (from, to, histogram) = Histogram(column);
            var conceptNotes = new List<string>();
            if (candidate.Direction is { } d && _directions.NearDegenerate[d])
            {
                conceptNotes.Add("Its direction has a neighbour with almost the same singular value: only the plane of the two is certain.");
            }

            if (candidate.Rival is not null)
            {
                conceptNotes.Add($"Sets the class apart from {candidate.Rival}.");
            }

            if (candidate.Stability is < 0.8)
            {
                conceptNotes.Add(FormattableString.Invariant($"Two halves of its images agree only to a cosine of {candidate.Stability:0.00}."));
            }

            entries.Add(new ConceptEntry
            {
                Id = (members.Description.Index * _request.Concepts) + i,
                Rank = i,
                Direction = candidate.Direction,
                Cluster = candidate.Cluster,
                Importance = Rounding.Significant(shares.Share[i]),
                ImportanceSpread = Rounding.Significant(shares.Spread[i]),
                Prevalence = Rounding.Significant(RobustStatistics.Mean(codes)),
                ActiveShare = codes.Count(c => c > 0) / (double)n,
                Reliability = Rounding.Significant(encoded.Effect[i]),
                Relevance = Round(candidate.Relevance),
                Stability = Round(candidate.Stability),
                Spread = ConceptMaps.ParticipationRatio(vectors.Row(i)),
                Channel = channel[i],
                ChannelCosine = cosine[i],
                StrongestFor = graph.Strongest.Count(s => s == i),
                X = proximity[i, 0],
                Y = proximity[i, 1],
                Alignment = alignment[i],
                Exemplars = ExemplarChooser.Choose(column, codes, members.Rows, maps, i),
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

    private sealed record Candidate(double[] Vector, int? Direction, int? Cluster, double? Relevance, double? Stability, string? Rival = null);
}
