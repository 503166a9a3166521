using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>How a sparse autoencoder keeps its codes sparse.</summary>
public enum SparseActivation
{
    /// <summary>ReLU; sparsity by an l1 penalty alone (Bricken et al. 2023).</summary>
    Relu,

    /// <summary>The largest codes of each row (Gao et al. 2024, arXiv 2406.04093).</summary>
    TopK,

    /// <summary>The largest codes of a whole batch, so that rows may use more or fewer (Bussmann et al. 2024, arXiv 2412.06410).</summary>
    BatchTopK,

    /// <summary>Codes above a threshold that each unit learns (Rajamanoharan et al. 2024, arXiv 2407.14435).</summary>
    JumpRelu,
}

/// <summary>Weights of a sparse autoencoder with k units on p columns.</summary>
/// <param name="Encoder">W, k×p.</param>
/// <param name="Bias">b, k.</param>
/// <param name="Dictionary">D, k×p, unit rows.</param>
/// <param name="LogThreshold">θ, k: the logarithm of JumpReLU's thresholds; null for the others.</param>
public sealed record AutoencoderWeights(Tensor Encoder, Tensor Bias, Tensor Dictionary, Tensor? LogThreshold = null)
{
    /// <summary>Those there are, in a fixed order.</summary>
    public IEnumerable<Tensor> All => LogThreshold is null ? [Encoder, Bias, Dictionary] : [Encoder, Bias, Dictionary, LogThreshold];
}

/// <summary>What a sparse autoencoder minimises.</summary>
public sealed record AutoencoderLoss
{
    /// <summary>Kind of sparsity.</summary>
    public required SparseActivation Activation { get; init; }

    /// <summary>Codes a row for TopK; on average for BatchTopK.</summary>
    public int Active { get; init; } = 1;

    /// <summary>Weight of the sum of all codes of the batch (not their mean).</summary>
    public double L1 { get; init; }

    /// <summary>
    /// Weight of the error with which the largest codes that were not taken, half as many as there are units, reconstruct the
    /// residual, for TopK and BatchTopK: units that lose narrowly still learn.
    /// </summary>
    public double Auxiliary { get; init; }

    /// <summary>Width of the kernel that stands for the derivative of JumpReLU's step.</summary>
    public double Bandwidth { get; init; } = 1e-3;

    /// <summary>Weight by which the mean pre-code of units without any code in the batch is raised.</summary>
    public double Reanimation { get; init; }
}

/// <summary>A forward and backward pass. The tensors belong to the caller's dispose scope.</summary>
/// <param name="Codes">u, B×k.</param>
/// <param name="Reconstruction">uD, B×p.</param>
/// <param name="Loss">Value of the loss.</param>
/// <param name="Threshold">Smallest code that BatchTopK kept; NaN for the others.</param>
/// <param name="Gradients">By the weights, in the order of <see cref="AutoencoderWeights.All"/>.</param>
public sealed record AutoencoderPass(Tensor Codes, Tensor Reconstruction, double Loss, double Threshold, IReadOnlyList<Tensor> Gradients);

/// <summary>
/// Forward and backward pass of sparse autoencoders, written out: pre = xWᵀ + b, u = sparse(ReLU(pre)), x̂ = uD. The
/// dictionary counts as given with unit rows: no gradient passes through the normalisation.
/// </summary>
public static class SparseAutoencoder
{
    /// <summary>Loss and gradients for a batch: mean (x − x̂)² over all entries + L1 Σu + the auxiliary and reanimation terms.</summary>
    /// <param name="x">B×p, of the weights' type and device.</param>
    /// <param name="weights">Not changed.</param>
    /// <param name="loss">What is minimised.</param>
    public static AutoencoderPass Run(Tensor x, AutoencoderWeights weights, AutoencoderLoss loss)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var entries = x.numel();
        var positive = weights.Bias.addmm(x, weights.Encoder.t()).relu_();
        var (codes, threshold) = Sparse(positive, weights.LogThreshold, loss);
        var made = codes.mm(weights.Dictionary);
        var residual = x - made;
        var value = residual.pow(Scalars.Of(2)).mean().to(ScalarType.Float64).item<double>();
        value += loss.L1 == 0 ? 0 : loss.L1 * codes.sum(ScalarType.Float64).item<double>();

        // By the reconstruction; what follows adds to it.
        var byMade = residual * Scalars.Of(-2.0 / entries);
        Tensor? rest = null;
        Tensor? byRest = null;
        var next = (int)positive.shape[1] / 2;
        if (loss.Auxiliary > 0 && next > 0 && loss.Activation is SparseActivation.TopK or SparseActivation.BatchTopK)
        {
            rest = Largest(positive - codes, next);
            var left = residual - rest.mm(weights.Dictionary);
            value += loss.Auxiliary * left.pow(Scalars.Of(2)).mean().to(ScalarType.Float64).item<double>();
            byRest = left.mul_(Scalars.Of(-2 * loss.Auxiliary / entries));
            byMade.add_(byRest, Scalars.One);
        }

        var byDictionary = codes.t().mm(byMade);
        var byCodes = byMade.mm(weights.Dictionary.t());
        var used = codes > Scalars.Of(0);
        if (loss.L1 != 0)
        {
            byCodes.add_(used, Scalars.Of(loss.L1));
        }

        var byThreshold = weights.LogThreshold is null ? null : ByLogThreshold(positive, byCodes, weights.LogThreshold.exp(), loss.Bandwidth);
        var byPre = byCodes.mul_(used);
        if (rest is not null)
        {
            byDictionary.addmm_(rest.t(), byRest!);
            byPre.add_(byRest!.mm(weights.Dictionary.t()).mul_(rest > Scalars.Of(0)), Scalars.One);
        }

        if (loss.Reanimation > 0)
        {
            var dead = used.any(0).logical_not();
            if (dead.any().item<bool>())
            {
                var weight = loss.Reanimation / codes.numel();
                var pre = weights.Bias.addmm(x, weights.Encoder.t());
                value -= weight * pre.mul_(dead).sum(ScalarType.Float64).item<double>();
                byPre.sub_(dead.to(x.dtype).mul_(Scalars.Of(weight)));
            }
        }

        List<Tensor> gradients = [byPre.t().mm(x), byPre.sum([0L]), byDictionary];
        if (byThreshold is not null)
        {
            gradients.Add(byThreshold);
        }

        foreach (var gradient in gradients)
        {
            gradient.MoveToOuterDisposeScope();
        }

        return new AutoencoderPass(codes.MoveToOuterDisposeScope(), made.MoveToOuterDisposeScope(), value, threshold, gradients);
    }

    /// <summary>Codes of ReLU'd pre-codes, and the threshold of BatchTopK (NaN for the others).</summary>
    private static (Tensor Codes, double Threshold) Sparse(Tensor positive, Tensor? logThreshold, AutoencoderLoss loss)
    {
        switch (loss.Activation)
        {
            case SparseActivation.TopK:
                return (Largest(positive, loss.Active), double.NaN);
            case SparseActivation.BatchTopK:
            {
                var count = Math.Min(positive.numel(), loss.Active * positive.shape[0]);
                var (values, _) = positive.reshape(-1).topk((int)count, sorted: false);
                var threshold = values.min();
                return (positive * (positive >= threshold), threshold.to(ScalarType.Float64).item<double>());
            }

            case SparseActivation.JumpRelu:
                return (positive * (positive > logThreshold!.exp()), double.NaN);
            default:
                return (positive, double.NaN);
        }
    }

    /// <summary>The largest entries of each row, the others 0.</summary>
    internal static Tensor Largest(Tensor positive, int count)
    {
        using var scope = torch.NewDisposeScope();
        var (values, at) = positive.topk((int)Math.Min(count, positive.shape[1]), 1, sorted: false);
        return torch.zeros_like(positive).scatter_(1, at, values).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The step of JumpReLU has no derivative; a kernel K around it stands for one (Silverman's, of half the bandwidth h):
    /// ∂u/∂t = −(t/h) K(ReLU(pre) − t), and ∂t/∂θ = t.
    /// </summary>
    private static Tensor ByLogThreshold(Tensor positive, Tensor byCodes, Tensor threshold, double bandwidth)
    {
        using var scope = torch.NewDisposeScope();
        var half = bandwidth / 2;
        var a = (positive - threshold).abs_().mul_(Scalars.Of(1 / (half * Math.Sqrt(2))));
        var kernel = a.add(Scalars.Of(Math.PI / 4), Scalars.One).sin_().mul_(a.neg_().exp_());
        return (kernel.mul_(byCodes).sum([0L]) * threshold.pow(Scalars.Of(2)) * Scalars.Of(-1 / (half * bandwidth))).MoveToOuterDisposeScope();
    }
}
