namespace Analysis.Probes.Backpropagation;

/// <summary>
/// Concept backpropagation where input and probe are joined by one linear map, m(x) = w·x + b: the smallest change δ in closed
/// form (METHODS 3.4). s is the logistic function. A wish for "no" is a wish for "yes" of −w and −m.
/// </summary>
public static class LinearBackpropagation
{
    private const int Halvings = 200;

    /// <summary>Minimises −log s(m + w·δ) + λ‖δ‖₂²: δ = t·w with 2λt = 1 − s(m + t‖w‖²).</summary>
    /// <param name="weights">w.</param>
    /// <param name="logit">m of the unchanged input.</param>
    /// <param name="lambda">λ, above 0.</param>
    public static double[] LogisticL2(ReadOnlySpan<double> weights, double logit, double lambda)
    {
        Check(lambda);
        double square = 0;
        foreach (var w in weights)
        {
            square += w * w;
        }

        // The left side rises with t and the right side falls: one crossing.
        double low = 0, high = 1 / (2 * lambda);
        for (var i = 0; i < Halvings && low < high; i++)
        {
            var middle = 0.5 * (low + high);
            if (middle == low || middle == high)
            {
                break;
            }

            if (2 * lambda * middle < Logistic(-(logit + (middle * square))))
            {
                low = middle;
            }
            else
            {
                high = middle;
            }
        }

        return Scaled(weights, 0.5 * (low + high));
    }

    /// <summary>Minimises −log s(m + w·δ) + λ‖δ‖₁: only the entry of the largest |w| moves, and none where |w|(1 − s(m)) ≤ λ.</summary>
    /// <param name="weights">w.</param>
    /// <param name="logit">m of the unchanged input.</param>
    /// <param name="lambda">λ, above 0.</param>
    public static double[] LogisticL1(ReadOnlySpan<double> weights, double logit, double lambda)
    {
        Check(lambda);
        var delta = new double[weights.Length];
        var place = Largest(weights);
        if (place < 0)
        {
            return delta;
        }

        var size = Math.Abs(weights[place]);
        if (size * Logistic(-logit) > lambda)
        {
            var share = lambda / size;
            delta[place] = Math.Sign(weights[place]) * (Math.Log((1 - share) / share) - logit) / size;
        }

        return delta;
    }

    /// <summary>Minimises (m + w·δ − o)² + λ‖δ‖₂²: δ = (o − m)·w / (‖w‖² + λ).</summary>
    /// <param name="weights">w.</param>
    /// <param name="value">m of the unchanged input.</param>
    /// <param name="goal">o, the wanted value.</param>
    /// <param name="lambda">λ, above 0.</param>
    public static double[] SquaredL2(ReadOnlySpan<double> weights, double value, double goal, double lambda)
    {
        Check(lambda);
        double square = 0;
        foreach (var w in weights)
        {
            square += w * w;
        }

        return Scaled(weights, (goal - value) / (square + lambda));
    }

    /// <summary>Minimises (m + w·δ − o)² + λ‖δ‖₁: only the entry of the largest |w| moves.</summary>
    /// <param name="weights">w.</param>
    /// <param name="value">m of the unchanged input.</param>
    /// <param name="goal">o, the wanted value.</param>
    /// <param name="lambda">λ, above 0.</param>
    public static double[] SquaredL1(ReadOnlySpan<double> weights, double value, double goal, double lambda)
    {
        Check(lambda);
        var delta = new double[weights.Length];
        var place = Largest(weights);
        if (place >= 0)
        {
            var size = Math.Abs(weights[place]);
            delta[place] = Math.Sign(goal - value) * Math.Sign(weights[place]) * Math.Max(0, (Math.Abs(goal - value) / size) - (lambda / (2 * size * size)));
        }

        return delta;
    }

    /// <summary>The logistic function, without overflow.</summary>
    internal static double Logistic(double x) => x >= 0 ? 1 / (1 + Math.Exp(-x)) : Math.Exp(x) / (1 + Math.Exp(x));

    private static int Largest(ReadOnlySpan<double> weights)
    {
        var best = -1;
        for (var i = 0; i < weights.Length; i++)
        {
            if (weights[i] != 0 && (best < 0 || Math.Abs(weights[i]) > Math.Abs(weights[best])))
            {
                best = i;
            }
        }

        return best;
    }

    private static double[] Scaled(ReadOnlySpan<double> weights, double factor)
    {
        var result = new double[weights.Length];
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = factor * weights[i];
        }

        return result;
    }

    private static void Check(double lambda) => ArgumentOutOfRangeException.ThrowIfNegativeOrZero(lambda);
}
