using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>Influence of a probe's own training samples, exact because the probe is convex (METHODS 4.2, variant B).</summary>
public static class ProbeInfluence
{
    /// <summary>
    /// −∇f(z)ᵀ H⁻¹ ∇ℓᵢ with f the logit, ℓᵢ sample i's part of the mean loss (logistic, or squared where continuous), and H the true
    /// Hessian of Σ ℓᵢ + λ/2‖w‖². Positive: without the sample the logit of z is lower, to first order.
    /// </summary>
    /// <param name="inputs">Standardised inputs of the probe's training samples, n×C.</param>
    /// <param name="targets">Their targets: 0 or 1, or numbers. Length n.</param>
    /// <param name="sampleWeights">Weight of each sample; they are divided by their sum.</param>
    /// <param name="weights">w of the probe. Length C.</param>
    /// <param name="bias">b of the probe.</param>
    /// <param name="strength">λ.</param>
    /// <param name="continuous">True for squared loss ½(f − y)².</param>
    /// <param name="tested">Standardised inputs of the samples z, T×C.</param>
    /// <returns>n×T.</returns>
    public static DenseMatrix Exact(
        DenseMatrix inputs, double[] targets, double[] sampleWeights, double[] weights, double bias, double strength, bool continuous, DenseMatrix tested)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var (n, c) = (inputs.Rows, inputs.Columns);
        var total = sampleWeights.Sum();
        var curvature = new double[n];
        var slope = new double[n];
        for (var i = 0; i < n; i++)
        {
            var logit = Vectors.Dot(inputs.Row(i), weights) + bias;
            var answer = continuous ? logit : 1 / (1 + Math.Exp(-logit));
            curvature[i] = sampleWeights[i] / total * (continuous ? 1 : answer * (1 - answer));
            slope[i] = sampleWeights[i] / total * (answer - targets[i]);
        }

        var x = cat([inputs.ToTensor(), ones([n, 1], ScalarType.Float64)], 1);
        var z = cat([tested.ToTensor(), ones([tested.Rows, 1], ScalarType.Float64)], 1);
        var penalty = Enumerable.Repeat(strength, c).Append(0).ToArray();
        var hessian = x.t().mm(x * tensor(curvature).unsqueeze(1)).add(diag(tensor(penalty)), Scalars.One);
        // Channels that are constant have no curvature of their own without a penalty.
        var floor = 1e-12 * hessian.trace().item<double>() / (c + 1);
        hessian = hessian.add(eye(c + 1, dtype: ScalarType.Float64) * Scalars.Of(floor), Scalars.One);
        var solved = linalg.solve(hessian, z.t());
        return DenseMatrix.FromTensor((x * tensor(slope).unsqueeze(1)).mm(solved).neg());
    }
}
