using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Importance;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>
/// Unique concept vectors of a class: candidate directions by relevance, their refinement by clustering, contrasts with
/// similar classes; of these the strongest by contribution. Safe for concurrent use where <see cref="NeedsNetwork"/> is false.
/// </summary>
public sealed class UniqueConceptFinder : IConceptFinder
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

    private const int FewImages = 20;

    private readonly INetwork _network;
    private readonly LayerInfo _layer;
    private readonly AnalysisRequest _request;
    private readonly ActivationStore _store;
    private readonly SpatialActivations _spatial;
    private readonly SingularDirections _directions;
    private readonly Tensor _mean;
    private readonly DenseMatrix _scores;
    private readonly ILookup<(int Direction, int End), BankVector> _bank;
    private readonly IReadOnlyList<ClassMean> _classMeans;

    /// <summary>Creates a finder.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="request">Number of concepts and seed.</param>
    /// <param name="store">Recorded activations.</param>
    /// <param name="spatial">Spatial activations.</param>
    /// <param name="directions">Singular directions of the whole data set.</param>
    /// <param name="mean">Mean pooled activation m of the whole data set, C float64 on the CPU; not owned.</param>
    /// <param name="scores">z score of every direction for every output, K×J with J ≤ r; NaN where undefined.</param>
    /// <param name="bank">Concept vectors of the whole data set.</param>
    /// <param name="classMeans">Mean activation of each class that has images.</param>
    public UniqueConceptFinder(
        INetwork network, LayerInfo layer, AnalysisRequest request, ActivationStore store, SpatialActivations spatial, SingularDirections directions, Tensor mean,
        DenseMatrix scores, IReadOnlyList<BankVector> bank, IReadOnlyList<ClassMean> classMeans)
    {
        _network = network;
        _layer = layer;
        _request = request;
        _store = store;
        _spatial = spatial;
        _directions = directions;
        _mean = mean;
        _scores = scores;
        _bank = bank.ToLookup(b => (b.Direction, b.End));
        _classMeans = classMeans;
    }

    /// <inheritdoc/>
    public bool NeedsNetwork => _network.LinearHead(_layer.Name) is null || !_store.Has("maps");

    /// <inheritdoc/>
    public FoundConcepts Find(ClassRows members, Tensor pooled, ImageOutputs outputs, List<string> notes, CancellationToken cancellation)
    {
        var output = members.Description.Label ?? MostFrequent(outputs.Predicted);
        var candidates = Candidates(members, pooled, _scores.Row(Math.Max(0, output)), notes);
        cancellation.ThrowIfCancellationRequested();
        var contributions = Contributions.Create(_network, _layer.Name, _spatial, _request.Importance, _request.Seed);
        if (candidates.Count > _request.Concepts)
        {
            using var all = Encoder(candidates);
            candidates = Keep(candidates, contributions.Compute(pooled, all, members.Rows, outputs, cancellation).ByStrength());
        }

        var encoder = Encoder(candidates);
        var encoded = contributions.Compute(pooled, encoder, members.Rows, outputs, cancellation);
        var order = encoded.ByStrength();
        if (!order.SequenceEqual(Enumerable.Range(0, candidates.Count)))
        {
            candidates = [.. order.Select(i => candidates[i])];
            encoded = encoded.Reorder(order);
            encoder.Dispose();
            encoder = Encoder(candidates);
        }

        return new FoundConcepts([.. candidates.Select(Found)], encoder, encoded);
    }

    private FoundConcept Found(Candidate candidate)
    {
        var notes = new List<string>();
        if (candidate.Direction is { } d && _directions.NearDegenerate[d])
        {
            notes.Add("Its direction has a neighbour with almost the same singular value: only the plane of the two is certain.");
        }

        if (candidate.Rival is not null)
        {
            notes.Add($"Sets the class apart from {candidate.Rival}.");
        }

        return new FoundConcept(candidate.Vector)
        {
            Direction = candidate.Direction,
            Cluster = candidate.Cluster,
            Relevance = candidate.Relevance,
            Stability = candidate.Stability,
            Notes = notes,
        };
    }

    private static int MostFrequent(int[] predicted) => predicted.GroupBy(p => p).OrderByDescending(g => g.Count()).ThenBy(g => g.Key).First().Key;

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

            var refined = ConceptRefinement.Refine(pooled, v * Scalars.Of(end), new RefinementOptions { Top = top, Seed = _request.Seed });
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

    private ContrastEncoder Encoder(List<Candidate> candidates) => new(
        tensor(candidates.SelectMany(c => c.Vector).ToArray(), [candidates.Count, _layer.Channels], ScalarType.Float64, _network.Device), _mean);

    private sealed record Candidate(double[] Vector, int? Direction, int? Cluster, double? Relevance, double? Stability, string? Rival = null);
}
