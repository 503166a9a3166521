using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>
/// Shapley values of the game "which concepts are there", absent ones being zero: the mean gain of the logit by a concept over
/// all orders in which concepts can be added. Exact over all subsets for few concepts, else over random orders and their
/// reverses. Either way they sum to f(u) − f(0).
/// </summary>
public sealed class ShapleyEstimator : IImportanceEstimator
{
    /// <summary>Largest number of concepts for which every subset is evaluated.</summary>
    public const int MostExact = 10;

    /// <summary>Orders where none are asked for.</summary>
    public const int DefaultOrders = 64;

    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "shapley", "Shapley values", "The fair share of the logit: the mean gain by a concept over all orders of adding them. Thorough and slow.",
        "φᵢ = Σ_S |S|!(k−|S|−1)!/k! (f(S∪i) − f(S))", Signed: true, "2^k evaluations up to 10 concepts, else 64 (k + 1)", "Shapley 1953; Castro, Gómez, Tejada 2009", InLogitUnits: true);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        var result = model.Concepts <= MostExact ? Exact(model, codes, options, cancellation) : Sampled(model, codes, options, cancellation);
        return result.ToTensor(codes.device);
    }

    private static DenseMatrix Exact(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation)
    {
        var k = model.Concepts;
        var scores = MaskedScores.Shared(model, codes, BinaryMasks.All(k), options.BatchRows, cancellation);
        var weights = new double[k];
        for (var size = 0; size < k; size++)
        {
            // size! (k − size − 1)! / k! = 1 / (k · (k−1 over size))
            double ways = 1;
            for (var j = 0; j < size; j++)
            {
                ways = ways * (k - 1 - j) / (j + 1);
            }

            weights[size] = 1 / (k * ways);
        }

        var result = new DenseMatrix(scores.Rows, k);
        for (var n = 0; n < result.Rows; n++)
        {
            for (var set = 0; set < scores.Columns; set++)
            {
                var weight = weights[Math.Min(k - 1, int.PopCount(set))];
                for (var i = 0; i < k; i++)
                {
                    if (((set >> i) & 1) == 0)
                    {
                        result[n, i] += weight * (scores[n, set | (1 << i)] - scores[n, set]);
                    }
                }
            }
        }

        return result;
    }

    private static DenseMatrix Sampled(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation)
    {
        var k = model.Concepts;
        var pairs = Math.Max(1, ((options.Draws > 0 ? options.Draws : DefaultOrders) + 1) / 2);
        var random = new SplitMix64(unchecked((ulong)options.Seed));
        var order = Enumerable.Range(0, k).ToArray();
        var result = new DenseMatrix((int)codes.shape[0], k);
        for (var pair = 0; pair < pairs; pair++)
        {
            random.Shuffle(order);
            foreach (var way in new[] { order, [.. order.Reverse()] })
            {
                var masks = new DenseMatrix(k + 1, k);
                for (var step = 0; step < k; step++)
                {
                    masks.Row(step).CopyTo(masks.Row(step + 1));
                    masks[step + 1, way[step]] = 1;
                }

                var scores = MaskedScores.Shared(model, codes, masks, options.BatchRows, cancellation);
                for (var n = 0; n < result.Rows; n++)
                {
                    for (var step = 0; step < k; step++)
                    {
                        result[n, way[step]] += (scores[n, step + 1] - scores[n, step]) / (2 * pairs);
                    }
                }
            }
        }

        return result;
    }
}
