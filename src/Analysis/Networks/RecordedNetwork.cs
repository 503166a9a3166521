using System.Globalization;
using Analysis.Datasets.Recorded;
using Analysis.Imaging;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Networks;

/// <summary>
/// What stands in for the network where activations come from a file: one layer and the head behind it. The head is, in this
/// order, the one given with the activations; fitted to the recorded logits (ridge regression); fitted to the classes
/// (linear discriminant analysis, Fisher 1936, with shrinkage to the identity); or, with neither, the distance from the
/// mean, y = ‖a − m‖. The last is homogeneous of degree one, so that gradient × input shares it out completely: the share of
/// a concept is then its share of the sample's squared distance from the mean, that is, of its variance.
/// Which of them it is stands in <see cref="Architecture"/> and <see cref="Notes"/>.
/// </summary>
public sealed class RecordedNetwork : INetwork
{
    /// <summary>Architecture of a head that the file gives.</summary>
    public const string GivenHead = "activations with their head";

    /// <summary>Architecture of a head fitted to recorded logits.</summary>
    public const string FittedToLogits = "activations, head fitted to their logits";

    /// <summary>Architecture of a head fitted to the classes.</summary>
    public const string FittedToClasses = "activations, head fitted to their classes";

    /// <summary>Architecture of activations without anything to predict.</summary>
    public const string Distance = "activations, distance from their mean";

    private const int Part = 4096;
    private const int CheckedRows = 256;

    // Shares of the mean variance added to the diagonal: enough for a solution where channels repeat each other.
    private const double Ridge = 1e-4;
    private const double Shrinkage = 1e-2;

    private readonly LayerInfo _layer;
    private readonly Tensor? _weight;
    private readonly Tensor? _bias;
    private readonly Tensor? _mean;

    private RecordedNetwork(IRecordedActivations source, string architecture, int outputs, IReadOnlyList<NetworkClass> classes, List<string> notes, Device device, Tensor? weight, Tensor? bias, Tensor? mean)
    {
        Name = source.Name;
        Architecture = architecture;
        Sha256 = source.Fingerprint;
        Outputs = outputs;
        Classes = classes;
        Notes = notes;
        Device = device;
        (_weight, _bias, _mean) = (weight?.DetachFromDisposeScope(), bias?.DetachFromDisposeScope(), mean?.DetachFromDisposeScope());
        _layer = new LayerInfo(
            source.LayerName, source.Channels, source.Height, source.Width, source.Sign, LinearHead: weight is not null, Suggested: true,
            source.Height * source.Width > 1 ? "Activations from a file, with positions." : "Activations from a file. They have no spatial extent: concepts cannot be located in the sample.");
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public string Architecture { get; }

    /// <summary>Fingerprint of the file with the activations.</summary>
    public string Sha256 { get; }

    /// <summary>How pictures of samples are shown; there is nothing to prepare.</summary>
    public Preprocessing Preprocessing { get; } = new(224, 224, [0.5f, 0.5f, 0.5f], [0.5f, 0.5f, 0.5f], ResizeMode.Stretch, 0);

    /// <inheritdoc/>
    public IReadOnlyList<NetworkClass> Classes { get; }

    /// <inheritdoc/>
    public int Outputs { get; }

    /// <inheritdoc/>
    public IReadOnlyList<LayerInfo> Layers => [_layer];

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes { get; }

    /// <inheritdoc/>
    public Device Device { get; }

    /// <summary>Makes the head. Costs one pass over the activations where a head has to be fitted; memory O(C² + C·K).</summary>
    /// <exception cref="AnalysisException">Given head and recorded logits contradict each other, or all rows are unusable.</exception>
    public static RecordedNetwork Create(IRecordedActivations source, Device device)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var notes = new List<string>();
        if (source.Head is { } head)
        {
            var weight = tensor(head.Weight, [head.Outputs, source.Channels], device: device);
            var bias = tensor(head.Bias, device: device);
            CheckLogits(source, weight, bias);
            return new RecordedNetwork(source, GivenHead, head.Outputs, Named(source.OutputNames), notes, device, weight, bias, null);
        }

        if (source.LogitColumns > 0)
        {
            var (weight, bias, explained) = FitLogits(source, device);
            notes.Add(string.Create(CultureInfo.InvariantCulture, $"No head is given: importance is that of a linear head fitted to the recorded logits, which explains {explained:P1} of their variance.").Replace(" %", "%", StringComparison.Ordinal));
            return new RecordedNetwork(source, FittedToLogits, source.LogitColumns, Named(source.OutputNames), notes, device, weight, bias, null);
        }

        if (source.Classes.Count > 1)
        {
            var (weight, bias) = FitClasses(source, device);
            notes.Add("Neither a head nor logits are given: importance is that of a linear classifier (discriminant analysis) fitted to the classes. It tells what sets the classes apart in these activations, not what a network decided.");
            return new RecordedNetwork(source, FittedToClasses, source.Classes.Count, Named(source.Classes), notes, device, weight, bias, null);
        }

        notes.Add("Neither a head, logits nor classes are given: importance is the share of each sample's squared distance from the mean, that is, of the variance.");
        return new RecordedNetwork(source, Distance, 1, [new NetworkClass("distance from the mean")], notes, device, null, null, Mean(source).to(device));
    }

    /// <summary>Not possible: pixels have no way to the activations.</summary>
    /// <exception cref="AnalysisException">Always.</exception>
    public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers) => throw new AnalysisException(
        $"{Name} holds activations, not a network that could look at other images.", "Give the network itself with --network and its images as the data set.");

    /// <inheritdoc/>
    public Tensor Head(string layer, Tensor activation)
    {
        Require(layer);
        using var pooled = activation.mean([2, 3]);
        if (_weight is not null)
        {
            return nn.functional.linear(pooled, _weight, _bias!);
        }

        // The square root has no slope at zero; a sample at the mean shares out nothing.
        using var difference = pooled - _mean!;
        using var squares = difference.pow(Scalars.Of(2));
        using var sum = squares.sum(1, keepdim: true);
        using var shifted = sum.add(Scalars.Of(1e-12), Scalars.One);
        return shifted.sqrt();
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor Bias)? LinearHead(string layer)
    {
        Require(layer);
        return _weight is null ? null : (_weight, _bias!);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _weight?.Dispose();
        _bias?.Dispose();
        _mean?.Dispose();
    }

    private static List<NetworkClass> Named(IReadOnlyList<string> names) => [.. names.Select(n => new NetworkClass(n))];

    /// <summary>Pooled activations in parts, without rows that hold NaN or infinity; those are left out of every fit.</summary>
    private static IEnumerable<(int[] Samples, Tensor Pooled)> Parts(IRecordedActivations source)
    {
        var positions = Math.Max(1, source.Height * source.Width);
        var part = Math.Max(16, Part / positions);
        for (var start = 0; start < source.Samples.Count; start += part)
        {
            var (samples, pooled) = Usable(source, [.. Enumerable.Range(start, Math.Min(part, source.Samples.Count - start))]);
            if (samples.Length > 0)
            {
                yield return (samples, pooled);
            }

            pooled.Dispose();
        }
    }

    // A scope must not stay open across a yield: the caller's own tensors would fall into it.
    private static (int[] Samples, Tensor Pooled) Usable(IRecordedActivations source, int[] samples)
    {
        using var scope = NewDisposeScope();
        var pooled = source.Activations(samples).mean([2, 3]);
        var finite = pooled.isfinite().all(1);
        if (source.LogitColumns > 0)
        {
            finite = finite.logical_and(source.Logits(samples)!.isfinite().all(1));
        }

        if (!finite.all().item<bool>())
        {
            var kept = finite.nonzero().flatten().data<long>().ToArray();
            samples = [.. kept.Select(i => samples[i])];
            pooled = pooled.index_select(0, tensor(kept));
        }

        return (samples, pooled.to(ScalarType.Float64).MoveToOuterDisposeScope());
    }

    private static Tensor Mean(IRecordedActivations source)
    {
        var (sum, count) = (zeros(source.Channels, ScalarType.Float64), 0L);
        foreach (var (samples, pooled) in Parts(source))
        {
            using var part = pooled.sum([0L]);
            sum.add_(part, Scalars.One);
            count += samples.Length;
        }

        return count == 0 ? throw Unusable(source) : (sum / Scalars.Of(count)).to(ScalarType.Float32);
    }

    private static AnalysisException Unusable(IRecordedActivations source) =>
        new($"Every row of {source.Name} holds NaN or infinite values.", "Check how the activations were computed, and write the file again.");

    private static void CheckLogits(IRecordedActivations source, Tensor weight, Tensor bias)
    {
        using var scope = NewDisposeScope();
        var rows = Math.Min(CheckedRows, source.Samples.Count);
        var samples = Enumerable.Range(0, rows).Select(i => (int)((long)i * source.Samples.Count / rows)).ToArray();
        if (source.Logits(samples) is not { } recorded)
        {
            return;
        }

        var computed = nn.functional.linear(source.Activations(samples).to(weight.device).mean([2, 3]), weight, bias).cpu();
        var error = (computed - recorded).abs().nan_to_num(0, 0, 0).max().item<float>();
        var scale = recorded.abs().nan_to_num(0, 0, 0).max().item<float>();
        if (error > 0.01 * (1 + scale))
        {
            throw new AnalysisException(
                FormattableString.Invariant($"The head of {source.Name} does not give its logits: they differ by up to {error:0.###} where the largest is {scale:0.###}."),
                "The head must be linear behind the average over positions. Leave out 'weight' and 'bias', or 'logits', or give the activations of the layer right before the head.");
        }
    }

    /// <summary>W = (XᵀX/N + λI)⁻¹ XᵀY/N on centred values, b = ȳ − W x̄, and the explained share of the variance of the logits.</summary>
    private static (Tensor Weight, Tensor Bias, double Explained) FitLogits(IRecordedActivations source, Device device)
    {
        var (c, k) = (source.Channels, source.LogitColumns);
        var gram = zeros([c, c], ScalarType.Float64);
        var cross = zeros([c, k], ScalarType.Float64);
        var (sumX, sumY, squareY) = (zeros(c, ScalarType.Float64), zeros(k, ScalarType.Float64), zeros(k, ScalarType.Float64));
        var count = 0L;
        foreach (var (samples, x) in Parts(source))
        {
            using var scope = NewDisposeScope();
            var y = source.Logits(samples)!.to(ScalarType.Float64);
            gram.add_(x.t().mm(x), Scalars.One);
            cross.add_(x.t().mm(y), Scalars.One);
            sumX.add_(x.sum([0L]), Scalars.One);
            sumY.add_(y.sum([0L]), Scalars.One);
            squareY.add_(y.pow(Scalars.Of(2)).sum([0L]), Scalars.One);
            count += samples.Length;
        }

        if (count == 0)
        {
            throw Unusable(source);
        }

        var (meanX, meanY) = (sumX / Scalars.Of(count), sumY / Scalars.Of(count));
        var covariance = (gram / Scalars.Of(count)) - outer(meanX, meanX);
        var both = (cross / Scalars.Of(count)) - outer(meanX, meanY);
        var solved = linalg.solve(Regularised(covariance, Ridge), both);
        var variance = ((squareY / Scalars.Of(count)) - meanY.pow(Scalars.Of(2))).sum().item<double>();
        var left = variance - (2 * (solved * both).sum().item<double>()) + (solved * covariance.mm(solved)).sum().item<double>();
        var bias = meanY - solved.t().mv(meanX);
        return (solved.t().contiguous().to(ScalarType.Float32).to(device), bias.to(ScalarType.Float32).to(device), variance > 0 ? 1 - (left / variance) : 1);
    }

    /// <summary>y_c = μ_cᵀ Σ⁻¹ a − ½ μ_cᵀ Σ⁻¹ μ_c + ln π_c with Σ the shrunk covariance within classes.</summary>
    private static (Tensor Weight, Tensor Bias) FitClasses(IRecordedActivations source, Device device)
    {
        var (c, k) = (source.Channels, source.Classes.Count);
        var number = source.Classes.Select((name, i) => (name, i)).ToDictionary(p => p.name, p => (long)p.i, StringComparer.Ordinal);
        var gram = zeros([c, c], ScalarType.Float64);
        var sums = zeros([k, c], ScalarType.Float64);
        var counts = new double[k];
        foreach (var (samples, x) in Parts(source))
        {
            using var scope = NewDisposeScope();
            var labels = Array.ConvertAll(samples, s => number[source.Samples[s].ClassName]);
            gram.add_(x.t().mm(x), Scalars.One);
            sums.index_add_(0, tensor(labels), x, Scalars.Of(1));
            foreach (var label in labels)
            {
                counts[label]++;
            }
        }

        var total = counts.Sum();
        if (total == 0)
        {
            throw Unusable(source);
        }

        var count = tensor(counts).unsqueeze(1);
        var means = sums / count.clamp_min(Scalars.Of(1));
        var within = (gram - (means * count).t().mm(means)) / Scalars.Of(total);
        var weight = linalg.solve(Regularised(within, Shrinkage), means.t()).t().contiguous();
        var bias = (count.squeeze(1).clamp_min(Scalars.Of(0.5)) / Scalars.Of(total)).log() - (Scalars.Of(0.5) * (weight * means).sum(1));
        return (weight.to(ScalarType.Float32).to(device), bias.to(ScalarType.Float32).to(device));
    }

    private static Tensor Regularised(Tensor covariance, double share)
    {
        var c = covariance.shape[0];
        var scale = Math.Max(covariance.diagonal().mean().item<double>(), 1e-12);
        return covariance.add(eye(c, c, ScalarType.Float64) * Scalars.Of(share * scale), Scalars.One);
    }

    private void Require(string layer)
    {
        if (layer != _layer.Name)
        {
            throw NativeNetwork.UnknownLayer(layer, Layers);
        }
    }
}
