namespace Analysis.Probes;

/// <summary>
/// A linear read-out of a concept at a layer (METHODS 3.1; Hammersborg and Strümke 2023, arXiv 2307.12601): the logit is
/// w·((a − mean) / scale) + b of the pooled activation a, the answer its logistic function, or the logit itself where the
/// concept is continuous.
/// </summary>
/// <param name="Layer">Layer that is read.</param>
/// <param name="Continuous">True where the logit itself is the answer.</param>
/// <param name="Weights">w, C; 0 for channels that are constant.</param>
/// <param name="Bias">b.</param>
/// <param name="Mean">Mean pooled activation of the samples it was fitted to, C.</param>
/// <param name="Scale">Standard deviation of the same, C; 1 for channels that are constant.</param>
public sealed record LinearProbe(string Layer, bool Continuous, double[] Weights, double Bias, double[] Mean, double[] Scale)
{
    /// <summary>The same probe on activations that were not standardised: logit = weights·a + bias.</summary>
    public (double[] Weights, double Bias) Raw()
    {
        var weights = new double[Weights.Length];
        var bias = Bias;
        for (var c = 0; c < weights.Length; c++)
        {
            weights[c] = Weights[c] / Scale[c];
            bias -= weights[c] * Mean[c];
        }

        return (weights, bias);
    }
}
