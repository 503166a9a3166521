using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>TCAV score of one concept with its significance.</summary>
/// <param name="Score">Share of images whose logit rises along the concept vector, in [0, 1].</param>
/// <param name="PSign">Two-sided exact binomial p value against one half: does the class lean to or from the concept at all?</param>
/// <param name="PRandom">
/// Two-sided p value of a t test of the score against those of random directions (one new observation against R of them):
/// is it more than any direction has? NaN where the random scores do not vary.
/// </param>
public sealed record TcavScore(double Score, double PSign, double PRandom);

/// <summary>
/// Testing with concept activation vectors (Kim et al. 2018, arXiv 1711.11279) for concept vectors of any origin. The published
/// test compares concepts learnt again and again from labelled images; where there is one vector a concept, its score is
/// compared with those of random directions.
/// </summary>
public static class Tcav
{
    /// <summary>Random directions where none are asked for.</summary>
    public const int DefaultDirections = 50;

    /// <summary>Scores concept vectors.</summary>
    /// <param name="gradients">Gradient of each image's logit with respect to the activation, summed over positions, n×C.</param>
    /// <param name="vectors">V, k×C.</param>
    /// <param name="seed">Seed of the random directions.</param>
    /// <param name="directions">Number of random directions R, at least 2.</param>
    public static IReadOnlyList<TcavScore> Test(Tensor gradients, Tensor vectors, int seed = 0, int directions = DefaultDirections)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(directions, 2);
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var g = gradients.to(ScalarType.Float64);
        var n = (int)g.shape[0];
        var random = new SplitMix64(unchecked((ulong)seed));
        var drawn = new DenseMatrix(directions, (int)g.shape[1]);
        for (var i = 0; i < drawn.Values.Length; i++)
        {
            drawn.Values[i] = random.NextNormal();
        }

        var (positive, moved) = Shares(g, vectors.to(ScalarType.Float64).to(g.device));
        var (chance, _) = Shares(g, drawn.ToTensor(g.device));
        var scores = Array.ConvertAll(chance, c => c / (double)Math.Max(1, n));
        var mean = RobustStatistics.Mean(scores);
        var deviation = Math.Sqrt(scores.Sum(s => (s - mean) * (s - mean)) / (directions - 1));
        var degenerate = RobustStatistics.IsDegenerate(deviation, mean);
        return
        [
            .. positive.Select((count, i) =>
            {
                var score = count / (double)Math.Max(1, n);
                var t = (score - mean) / (deviation * Math.Sqrt(1 + (1.0 / directions)));
                return new TcavScore(score, TailProbability.SignTest(count, moved[i]), degenerate ? double.NaN : TailProbability.StudentT(t, directions - 1));
            }),
        ];
    }

    /// <summary>Images whose derivative along each vector is positive, and those where it is not zero.</summary>
    /// <param name="gradients">n×C, of one dtype and device with the vectors.</param>
    /// <param name="vectors">k×C.</param>
    internal static (int[] Positive, int[] Moved) Shares(Tensor gradients, Tensor vectors)
    {
        var along = gradients.mm(vectors.t());
        return (Counts(along > Scalars.Of(0)), Counts(along != Scalars.Of(0)));

        static int[] Counts(Tensor where)
        {
            using var host = where.sum([0L]).cpu();
            return Array.ConvertAll(host.data<long>().ToArray(), v => (int)v);
        }
    }
}
