using System.Globalization;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// Samples far from everything: weak outputs (energy score, Liu et al. 2020), an empty neighbourhood by angle in the analysed
/// layer, and an empty neighbourhood in the early and middle layers. No single one of them suffices.
/// </summary>
internal sealed class ForeignDetector
{
    /// <summary>Rank of the neighbour whose distance counts: small, because isolated samples are sought; groups are the pattern detector's.</summary>
    public const int Neighbours = 10;

    // A part can neither outvote the others nor veto them.
    private const double LowestPart = -3;
    private const double HighestPart = 5;

    private const int RowBlock = 4096;

    private readonly OutlierInput _input;
    private readonly double[] _energy;
    private readonly double[] _late;
    private readonly double[] _early;
    private readonly int[] _highest;
    private double[] _energyShare = [];
    private double[] _lateShare = [];
    private double[] _earlyShare = [];

    private ForeignDetector(OutlierInput input)
    {
        var n = input.Class.Count;
        _input = input;
        _energy = new double[n];
        _late = new double[n];
        _early = new double[n];
        _highest = new int[n];
        Array.Fill(_energy, double.NaN);
        Array.Fill(_late, double.NaN);
        Array.Fill(_early, double.NaN);
        Strangeness = new double[n];
    }

    /// <summary>How far from everything, in standard deviations of the ordinary samples; 0 where there are too few to tell.</summary>
    public double[] Strangeness { get; private set; }

    public static ForeignDetector Run(OutlierInput input, bool[] usable, ReferenceSet references, Action<double> progress, CancellationToken cancellation)
    {
        var detector = new ForeignDetector(input);
        var n = usable.Length;
        detector.Energies(usable);
        var late = detector.AngularDistances(references, cancellation);
        progress(0.4);
        var depths = new List<double[]>();
        foreach (var grid in input.Grids)
        {
            depths.Add(detector.DepthDistances(grid, references, cancellation));
            progress(0.4 + (0.6 * depths.Count / input.Grids.Count));
        }

        var parts = new List<(double[] Values, double Weight)>
        {
            (Evidence.Standardise(detector._energy), 1),
            (Evidence.Standardise(late), 0.5),
        };
        foreach (var depth in depths)
            parts.Add((Evidence.Standardise(depth), 1.0 / depths.Count));
        var sum = new double[n];
        for (var i = 0; i < n; i++)
        {
            detector._late[i] = late[i];
            detector._early[i] = depths.Count == 0 ? double.NaN : depths.Max(depth => depth[i]);
            sum[i] = usable[i] ? parts.Sum(part => part.Weight * Math.Clamp(part.Values[i], LowestPart, HighestPart)) : double.NaN;
        }

        detector.Strangeness = Evidence.Standardise(sum);
        detector._energyShare = Evidence.Percentiles(detector._energy);
        detector._lateShare = Evidence.Percentiles(detector._late);
        detector._earlyShare = Evidence.Percentiles(detector._early);
        return detector;
    }

    /// <summary>In words what sets the sample apart.</summary>
    public string Reason(int row, bool foreign, LabelDetector labels)
    {
        var parts = new List<(double Share, string Text)>
        {
            (_energyShare[row], $"its highest output, {labels.OutputName(_highest[row])}, is weaker than that of {Share(_energyShare[row])} of the images"),
            (_lateShare[row], $"in the analysed layer its nearest images are farther than those of {Share(_lateShare[row])}"),
            (_earlyShare[row], $"in the early layers its nearest images are farther than those of {Share(_earlyShare[row])}"),
        };
        var strongest = parts.OrderByDescending(part => part.Share).Take(2).Select(part => part.Text);
        return $"{(foreign ? "Far from every class" : "Unusual")}: {string.Join(", and ", strongest)}.";
    }

    private static string Share(double share) => string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(share * 100):0}%");

    private void Energies(bool[] usable)
    {
        for (var start = 0; start < usable.Length; start += RowBlock)
        {
            using var scope = NewDisposeScope();
            var rows = Math.Min(RowBlock, usable.Length - start);
            var logits = _input.Logits.narrow(0, start, rows).to(ScalarType.Float64);
            var energy = logits.logsumexp(1).neg().cpu().data<double>().ToArray();
            var highest = logits.argmax(1).cpu().data<long>().ToArray();
            for (var i = 0; i < rows; i++)
            {
                if (!usable[start + i])
                    continue;
                _energy[start + i] = energy[i];
                _highest[start + i] = (int)highest[i];
            }
        }
    }

    /// <summary>Logarithm of the distance to the k-th neighbour of the pooled activations on the unit sphere.</summary>
    private double[] AngularDistances(ReferenceSet references, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var unit = Unit(_input.Pooled.index_select(0, tensor(references.Rows.Select(i => (long)i).ToArray(), device: _input.Pooled.device)));
        return Distances(references, (start, rows) => Unit(_input.Pooled.narrow(0, start, rows)), unit, cancellation);
    }

    private static Tensor Unit(Tensor rows)
    {
        var values = rows.to(ScalarType.Float32).nan_to_num(0, 0, 0);
        return values / values.norm(1, keepdim: true).add(Scalars.Of(1e-9), Scalars.One);
    }

    /// <summary>The same for the channel means of an early layer, channels scaled to equal spread.</summary>
    private double[] DepthDistances(GridFeature grid, ReferenceSet references, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var means = ReadMeans(grid, references.Samples, cancellation);
        var reference = means.index_select(0, tensor(references.Rows.Select(i => (long)i).ToArray()));
        var (mean, scale) = Scaling.Of(reference);
        return Distances(references, (start, rows) => (means.narrow(0, start, rows) - mean) / scale, (reference - mean) / scale, cancellation);
    }

    /// <summary>Channel means of all samples, N×C float32; 0 where they are not finite.</summary>
    private static Tensor ReadMeans(GridFeature grid, int samples, CancellationToken cancellation)
    {
        const int Part = 512;
        var means = new float[(long)samples * grid.Channels];
        var cells = grid.Grid * grid.Grid;
        for (var start = 0; start < samples; start += Part)
        {
            cancellation.ThrowIfCancellationRequested();
            var count = Math.Min(Part, samples - start);
            var values = grid.Read([.. Enumerable.Range(start, count)]);
            for (var i = 0; i < count * grid.Channels; i++)
            {
                var mean = Vectors.Sum(values.AsSpan(i * cells, cells)) / cells;
                means[((long)start * grid.Channels) + i] = float.IsFinite(mean) ? mean : 0;
            }
        }

        return tensor(means, [samples, grid.Channels]);
    }

    private static double[] Distances(ReferenceSet references, Func<int, int, Tensor> read, Tensor reference, CancellationToken cancellation)
    {
        var n = references.Samples;
        var result = new double[n];
        var (_, distance, k) = references.Nearest(n, read, reference, Neighbours, cancellation);
        for (var i = 0; i < n; i++)
            result[i] = k == 0 ? double.NaN : Math.Log(distance[((long)i * k) + k - 1] + 1e-6);
        return result;
    }
}

/// <summary>Mean and spread of columns, safe for constant ones.</summary>
internal static class Scaling
{
    /// <summary>Mean and standard deviation over the first dimension; a tenth of the mean spread is added, so that dead channels stay small.</summary>
    public static (Tensor Mean, Tensor Scale) Of(Tensor reference)
    {
        using var scope = NewDisposeScope();
        var mean = reference.mean([0L], keepdim: true);
        var spread = (reference - mean).pow(Scalars.Of(2)).mean([0L], keepdim: true).sqrt();
        var scale = spread.add(Scalars.Of(0.1) * spread.mean(), Scalars.One).add(Scalars.Of(1e-6), Scalars.One);
        return (mean.MoveToOuterDisposeScope(), scale.MoveToOuterDisposeScope());
    }
}
