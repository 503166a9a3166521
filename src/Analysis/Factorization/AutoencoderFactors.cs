using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>
/// A trained sparse autoencoder: U = sparse(ReLU((A − mean) Wᵀ + b)), Â = U V + mean, V unit rows. Codes are in activation units.
/// </summary>
public sealed class AutoencoderFactors : Factors
{
    private readonly AutoencoderWeights _weights;
    private readonly Tensor _rule;

    /// <summary>Takes over the tensors.</summary>
    /// <param name="weights">For rows of which the mean has been taken; biases and thresholds in activation units.</param>
    /// <param name="mean">The decoder's bias, length p.</param>
    /// <param name="activation">Kind of sparsity.</param>
    /// <param name="active">Codes a row of TopK.</param>
    /// <param name="threshold">Least code of BatchTopK, in activation units.</param>
    /// <param name="deadShare">Share of units that no fitted row uses; NaN where not known.</param>
    /// <param name="iterations">Epochs that the fit took.</param>
    public AutoencoderFactors(
        AutoencoderWeights weights, Tensor mean, SparseActivation activation, int active, double threshold, double deadShare = double.NaN, int iterations = 0)
        : base(weights.Dictionary, mean, iterations)
    {
        _weights = weights;
        Activation = activation;
        Active = active;
        Threshold = threshold;
        DeadShare = deadShare;
        weights.Encoder.DetachFromDisposeScope();
        weights.Bias.DetachFromDisposeScope();
        weights.LogThreshold?.DetachFromDisposeScope();
        _rule = torch.tensor([(double)activation, active, threshold, deadShare]).DetachFromDisposeScope();
    }

    /// <summary>Kind of sparsity.</summary>
    public SparseActivation Activation { get; }

    /// <summary>Codes a row of TopK.</summary>
    public int Active { get; }

    /// <summary>Least code that BatchTopK keeps, in activation units; independent of the batch, unlike in training.</summary>
    public double Threshold { get; }

    /// <summary>Share of units that no fitted row uses, in [0, 1]; NaN where not known.</summary>
    public double DeadShare { get; }

    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows) => RowParts.Map(rows, Components, part =>
    {
        using var scope = torch.NewDisposeScope();
        var codes = _weights.Bias.addmm(part - Offset!, _weights.Encoder.t()).relu_();
        return (Activation switch
        {
            SparseActivation.TopK => SparseAutoencoder.Largest(codes, Active),
            SparseActivation.BatchTopK => codes.mul_(codes >= Scalars.Of(Threshold)),
            SparseActivation.JumpRelu => codes.mul_(codes > _weights.LogThreshold!.exp()),
            _ => codes,
        }).MoveToOuterDisposeScope();
    });

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Tensor> State()
    {
        var state = new Dictionary<string, Tensor>(base.State()) { ["encoder"] = _weights.Encoder, ["bias"] = _weights.Bias, ["rule"] = _rule };
        if (_weights.LogThreshold is { } threshold)
        {
            state["logThreshold"] = threshold;
        }

        return state;
    }

    internal static AutoencoderFactors Restored(IReadOnlyDictionary<string, Tensor> state)
    {
        using var rule = state.Required("rule");
        var values = rule.to(ScalarType.Float64).cpu().data<double>().ToArray();
        var weights = new AutoencoderWeights(
            state.Required("encoder"), state.Required("bias"), state.Required("vectors"), state.GetValueOrDefault("logThreshold"));
        return new AutoencoderFactors(weights, state.Required("offset"), (SparseActivation)(int)values[0], (int)values[1], values[2], values[3]);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _weights.Encoder.Dispose();
            _weights.Bias.Dispose();
            _weights.LogThreshold?.Dispose();
            _rule.Dispose();
        }
    }
}
