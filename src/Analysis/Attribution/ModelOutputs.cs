using Analysis.Numerics;
using Analysis.Probes;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>Outputs f(z) whose gradients are attributed (METHODS 4.2).</summary>
public static class ModelOutputs
{
    /// <summary>
    /// Margin log(p/(1 − p)) of one output: its logit less the log-sum-exp of the others, which does not vanish or overflow for sure
    /// predictions. Differentiable.
    /// </summary>
    /// <param name="logits">N×K, K ≥ 2.</param>
    /// <param name="outputs">N int64, the output of each sample.</param>
    public static Tensor Margin(Tensor logits, Tensor outputs)
    {
        using var scope = NewDisposeScope();
        var index = outputs.unsqueeze(1);
        var own = logits.gather(1, index).squeeze(1);
        var mask = nn.functional.one_hot(outputs, logits.shape[1]).to(ScalarType.Bool);
        var rest = logits.masked_fill(mask, Scalars.Of(double.NegativeInfinity)).logsumexp(1L);
        return (own - rest).MoveToOuterDisposeScope();
    }

    /// <summary>1 − p = 1 / (1 + exp(margin)), from the margin, so that sure predictions keep their small numbers.</summary>
    public static Tensor OneMinusP(Tensor margin)
    {
        using var scope = NewDisposeScope();
        return margin.neg().sigmoid().MoveToOuterDisposeScope();
    }

    /// <summary>Logit of a probe on a layer's activation: w·mean over positions + b. Differentiable; the probe is frozen.</summary>
    /// <param name="activation">N×C×H×W.</param>
    /// <param name="probe">The probe.</param>
    public static Tensor ProbeLogit(Tensor activation, LinearProbe probe)
    {
        using var scope = NewDisposeScope();
        var (weights, bias) = probe.Raw();
        var w = tensor(weights, dtype: activation.dtype, device: activation.device).unsqueeze(1);
        var pooled = activation.flatten(2).mean([2L]);
        return pooled.mm(w).squeeze(1).add(Scalars.Of(bias), Scalars.One).MoveToOuterDisposeScope();
    }
}
