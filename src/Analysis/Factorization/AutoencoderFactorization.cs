using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>
/// Sparse autoencoders, trained by Adam on batches of rows. Rows are centred and scaled to a root mean square length of 1 for
/// training, so that rates, penalties and thresholds mean the same for every layer; the result is in activation units.
/// </summary>
public sealed class AutoencoderFactorization : IFactorizationMethod
{
    private const int BatchRows = 1024;
    private const int DefaultSteps = 1500;
    private const int LeastEpochs = 4;
    private const int MostEpochs = 1500;
    private const int StepsBetweenTrims = 32;
    private const double Clip = 1;
    private const double ThresholdMomentum = 0.9;
    private const double FirstLogThreshold = -3;

    // Rows by which the dead units of the result are counted.
    private const int CountedRows = 20_000;
    private readonly SparseActivation _activation;

    /// <summary>The method of one kind of sparsity.</summary>
    /// <param name="activation">Kind.</param>
    public AutoencoderFactorization(SparseActivation activation)
    {
        _activation = activation;
        Info = Describe(activation);
    }

    /// <inheritdoc/>
    public MethodInfo Info { get; }

    /// <inheritdoc/>
    /// <remarks>
    /// <see cref="FactorizationOptions.MaximumIterations"/> is the number of epochs (by default so many that about 1,500 batches are
    /// seen, at least 4). Units that no row of an epoch uses start again at what the worst reconstructed rows lack, in the first half.
    /// </remarks>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var (n, p, k) = (rows.shape[0], rows.shape[1], options.Components);
        var mean = RowParts.Mean(rows).to(rows.dtype);
        var length = Length(rows, mean, cancellation);
        if (!(length > 0))
        {
            throw new AnalysisException("All rows of activations are equal, so that there is nothing to tell apart.", "Give more rows, or another layer.");
        }

        var batch = (int)Math.Min(n, BatchRows);
        var epochs = options.MaximumIterations > 0
            ? options.MaximumIterations
            : (int)Math.Clamp((long)DefaultSteps * batch / n, LeastEpochs, MostEpochs);
        var random = new SplitMix64(unchecked((ulong)options.Seed));
        var order = Enumerable.Range(0, (int)n).ToArray();
        random.Shuffle(order);
        var weights = Start(rows, mean, length, order, k, ref random);
        using var adam = new Adam(weights.All);
        var active = ActiveOf(options, k);
        var loss = new AutoencoderLoss
        {
            Activation = _activation,
            Active = active,
            L1 = Has("l1") ? options.Value(Info, "l1") / ((double)batch * p) : 0,
            Auxiliary = Has("auxiliary") ? options.Value(Info, "auxiliary") : 0,
            Bandwidth = Has("bandwidth") ? options.Value(Info, "bandwidth") : 1,
            Reanimation = 1e-3 / p,
        };
        var rate = options.Value(Info, "rate") / Math.Sqrt(p);
        var threshold = double.NaN;
        var steps = epochs * ((n + batch - 1) / batch);
        long step = 0;
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            using var pass = torch.NewDisposeScope();
            random.Shuffle(order);
            var used = torch.zeros([k], ScalarType.Bool, rows.device);
            Tensor? lacking = null;
            foreach (var (start, count) in RowParts.Of(n, batch))
            {
                cancellation.ThrowIfCancellationRequested();
                using var inner = torch.NewDisposeScope();
                var x = Take(rows, order.AsSpan((int)start, (int)count)).sub_(mean).div_(Scalars.Of(length));
                var result = SparseAutoencoder.Run(x, weights, loss);
                if (!double.IsFinite(result.Loss))
                {
                    throw new AnalysisException("Training of the sparse autoencoder diverged.", "Choose a smaller rate.");
                }

                // Of the loss summed over columns rather than averaged: clipping then means the same for every width.
                foreach (var gradient in result.Gradients)
                {
                    gradient.mul_(Scalars.Of(p));
                }

                // The rate falls to zero over the last third, so that the result does not hang on the last batches.
                adam.Step(result.Gradients, rate * Math.Min(1, 3 * (1 - ((double)step / steps))), Clip);
                Normalise(weights.Dictionary);
                threshold = double.IsNaN(threshold) ? result.Threshold : (ThresholdMomentum * threshold) + ((1 - ThresholdMomentum) * result.Threshold);
                used.logical_or_((result.Codes > Scalars.Of(0)).any(0));
                if (start + batch >= n)
                {
                    lacking = Worst(x - result.Reconstruction, k).MoveToOuterDisposeScope();
                }

                step++;
                if (step % StepsBetweenTrims == 0)
                {
                    NativeHeap.Trim();
                }

                progress?.Invoke((double)step / steps);
            }

            if (epoch + 1 < (epochs + 1) / 2 && Revives(epoch, epochs))
            {
                Revive(weights, adam, used, lacking!);
            }
        }

        weights.Bias.mul_(Scalars.Of(length));
        weights.LogThreshold?.add_(Scalars.Of(Math.Log(length)), Scalars.One);
        progress?.Invoke(1);
        return Counted(rows, weights, mean, active, threshold * length, epochs);
    }

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => AutoencoderFactors.Restored(state);

    /// <summary>Not after every epoch where they are many and short: a unit needs some steps to be used.</summary>
    private static bool Revives(int epoch, int epochs) => epochs <= 20 || (epoch + 1) % (epochs / 10) == 0;

    private static MethodInfo Describe(SparseActivation activation)
    {
        var rate = new MethodParameter("rate", 0.04, 1e-5, 1, "Learning rate relative to the size 1/√p of a unit vector's entries: larger learns faster, and may not settle.");
        var active = new MethodParameter("active", 0, 0, 1024, "Concepts a row uses; 0 for a tenth of all, at most 32. More gives a smaller error, fewer is easier to read.");
        var auxiliary = new MethodParameter("auxiliary", 0.1, 0, 10, "Weight by which concepts that are narrowly not chosen learn from what is left; larger leaves fewer concepts unused.");
        var l1 = new MethodParameter("l1", 0.1, 0, 10, "Weight of sparsity relative to the rows' root mean square length: larger means fewer concepts an image and a larger error.");
        var shared = new MethodInfo
        {
            Name = string.Empty,
            Title = string.Empty,
            Summary = string.Empty,
            CodesConstraint = string.Empty,
            VectorsConstraint = "unit rows",
            Cost = "an epoch: time about 10 n p k; memory 4 k p and one batch",
            Source = string.Empty,
            AllowsOvercomplete = true,
        };
        return activation switch
        {
            SparseActivation.TopK => shared with
            {
                Name = "sae-topk",
                Title = "Sparse autoencoder (TopK)",
                Summary = "Many concepts of which each image uses a fixed small number; choose it for large numbers of concepts and rows.",
                CodesConstraint = "at least 0, a fixed number a row",
                Source = "Gao et al. 2024, arXiv 2406.04093",
                Parameters = [active, auxiliary, rate],
            },
            SparseActivation.BatchTopK => shared with
            {
                Name = "sae-batchtopk",
                Title = "Sparse autoencoder (BatchTopK)",
                Summary = "As TopK, but images with more to show may use more concepts; the number is fixed on average.",
                CodesConstraint = "at least 0, above a common threshold",
                Source = "Bussmann, Leask and Nanda 2024, arXiv 2412.06410",
                Parameters = [active, auxiliary, rate],
            },
            SparseActivation.JumpRelu => shared with
            {
                Name = "sae-jumprelu",
                Title = "Sparse autoencoder (JumpReLU)",
                Summary = "Each concept learns from which strength on it counts; choose it where concepts differ much in strength.",
                CodesConstraint = "at least 0, above a threshold of each concept",
                Source = "Rajamanoharan et al. 2024, arXiv 2407.14435",
                Parameters =
                [
                    l1,
                    new MethodParameter("bandwidth", 0.01, 1e-4, 10, "Width around the threshold from which it learns, relative to the rows' root mean square length: larger learns from more rows, less exactly."),
                    rate,
                ],
            },
            _ => shared with
            {
                Name = "sae",
                Title = "Sparse autoencoder (ReLU)",
                Summary = "The plain form: an encoder with a penalty on the sum of the coefficients. Its coefficients are a little too small; prefer TopK unless you compare with published work.",
                CodesConstraint = "at least 0, l1 penalty",
                Source = "Bricken et al. 2023, Towards monosemanticity",
                Parameters = [l1, rate],
            },
        };
    }

    /// <summary>Atoms at rows of the data (centred), the encoder their transpose; directions at random where rows do not suffice.</summary>
    private AutoencoderWeights Start(Tensor rows, Tensor mean, double length, int[] order, int k, ref SplitMix64 random)
    {
        using var scope = torch.NewDisposeScope();
        var p = (int)rows.shape[1];
        var atoms = torch.zeros([k, p], rows.dtype, rows.device);
        var count = Math.Min(k, order.Length);
        atoms.narrow(0, 0, count).copy_(Take(rows, order.AsSpan(0, count)).sub_(mean).div_(Scalars.Of(length)));
        var norms = atoms.norm(1).to(ScalarType.Float64).cpu().data<double>().ToArray();
        for (var j = 0; j < k; j++)
        {
            if (norms[j] > 1e-6)
            {
                continue;
            }

            var noise = new double[p];
            for (var i = 0; i < p; i++)
            {
                noise[i] = random.NextNormal();
            }

            atoms[j].copy_(torch.tensor(noise));
        }

        Normalise(atoms);
        return new AutoencoderWeights(
            atoms.clone().MoveToOuterDisposeScope(),
            torch.zeros([k], rows.dtype, rows.device).MoveToOuterDisposeScope(),
            atoms.MoveToOuterDisposeScope(),
            _activation == SparseActivation.JumpRelu ? torch.full([k], Scalars.Of(FirstLogThreshold), rows.dtype, rows.device).MoveToOuterDisposeScope() : null);
    }

    private static void Revive(AutoencoderWeights weights, Adam adam, Tensor used, Tensor lacking)
    {
        using var scope = torch.NewDisposeScope();
        var dead = used.logical_not().nonzero().squeeze(1);
        var count = Math.Min(dead.shape[0], lacking.shape[0]);
        if (count == 0)
        {
            return;
        }

        dead = dead.narrow(0, 0, count);
        var atoms = lacking.narrow(0, 0, count).clone();
        Normalise(atoms);
        weights.Dictionary.index_copy_(0, dead, atoms);
        weights.Encoder.index_copy_(0, dead, atoms);
        weights.Bias.index_fill_(0, dead, Scalars.Of(0));
        weights.LogThreshold?.index_fill_(0, dead, Scalars.Of(FirstLogThreshold));
        adam.Forget(dead);
    }

    private static Tensor Worst(Tensor residual, int most)
    {
        using var scope = torch.NewDisposeScope();
        var norms = residual.norm(1);
        var (_, at) = norms.topk((int)Math.Min(most, residual.shape[0]), sorted: true);
        return residual.index_select(0, at).MoveToOuterDisposeScope();
    }

    private static void Normalise(Tensor vectors)
    {
        using var scope = torch.NewDisposeScope();
        vectors.div_(vectors.norm(1, keepdim: true).clamp_min(Scalars.Of(1e-12)));
    }

    private static Tensor Take(Tensor rows, Span<int> indices)
    {
        using var scope = torch.NewDisposeScope();
        return rows.index_select(0, torch.tensor(indices.ToArray(), ScalarType.Int64, rows.device)).MoveToOuterDisposeScope();
    }

    private static double Length(Tensor rows, Tensor mean, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        double sum = 0;
        foreach (var (start, count) in RowParts.Of(rows.shape[0]))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            sum += (rows.narrow(0, start, count) - mean).pow(Scalars.Of(2)).sum(ScalarType.Float64).item<double>();
        }

        return Math.Sqrt(sum / rows.shape[0]);
    }

    private AutoencoderFactors Counted(Tensor rows, AutoencoderWeights weights, Tensor mean, int active, double threshold, int epochs)
    {
        var n = rows.shape[0];
        using var scope = torch.NewDisposeScope();
        using var trial = new AutoencoderFactors(
            new AutoencoderWeights(weights.Encoder.alias(), weights.Bias.alias(), weights.Dictionary.alias(), weights.LogThreshold?.alias()),
            mean.alias(), _activation, active, threshold);
        var used = torch.zeros([weights.Bias.shape[0]], ScalarType.Bool, rows.device);
        var skip = Math.Max(1, n / CountedRows);
        foreach (var (start, count) in RowParts.Of(n / skip))
        {
            using var inner = torch.NewDisposeScope();
            var at = torch.arange(Scalars.Of(start), Scalars.Of(start + count), Scalars.One, device: rows.device) * Scalars.Of(skip);
            used.logical_or_((trial.Encode(rows.index_select(0, at)) > Scalars.Of(0)).any(0));
        }

        var dead = 1 - (used.sum().item<long>() / (double)used.shape[0]);
        return new AutoencoderFactors(weights, mean, _activation, active, threshold, dead, epochs);
    }

    private int ActiveOf(FactorizationOptions options, int k)
    {
        var given = Has("active") ? (int)options.Value(Info, "active") : 0;
        return Math.Min(k, given > 0 ? given : Math.Clamp(k / 10, 1, 32));
    }

    private bool Has(string parameter) => Info.Parameters.Any(p => p.Name == parameter);
}
