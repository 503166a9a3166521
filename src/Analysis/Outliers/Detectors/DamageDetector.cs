using System.Globalization;
using Analysis.Numerics;
using TorchSharp;

namespace Analysis.Outliers.Detectors;

/// <summary>Blank, grey where others are coloured, or noisy, from the pixel statistics; by the spread of their logarithms.</summary>
internal sealed class DamageDetector
{
    // In standard deviations of the ordinary images' logarithm.
    private const double Far = 3.8;
    private const double FarFlat = 4.5;
    private const double Slope = 2;

    // Pictures with less are grey, or flat, for a person too, whatever the rest of the data set looks like.
    private const double GreySaturation = 0.01;
    private const double FlatContrast = 0.02;

    // Where more are grey, grey is ordinary.
    private const double OrdinaryShare = 0.2;

    // Statistics are at least one tenth of a grey level apart.
    private const double Smallest = 1e-3;
    private const double SmallestSpread = 0.15;

    private readonly double[]? _noise;
    private readonly double[]? _saturation;
    private readonly double[]? _contrast;
    private readonly double[]? _brightness;
    private readonly double _medianNoise;
    private readonly double _medianSaturation;
    private readonly double[] _noisy;
    private readonly double[] _grey;
    private readonly double[] _flat;

    private DamageDetector(OutlierInput input)
    {
        var n = input.Class.Count;
        _noise = Column(input, PixelStatistics.Noise);
        _saturation = Column(input, PixelStatistics.Saturation);
        _contrast = Column(input, PixelStatistics.Contrast);
        _brightness = Column(input, PixelStatistics.Brightness);
        _medianNoise = _noise is null ? 0 : RobustStatistics.Median(_noise);
        _medianSaturation = _saturation is null ? 0 : RobustStatistics.Median(_saturation);
        _noisy = Distance(_noise, n, upper: true);
        _grey = Distance(_saturation, n, upper: false);
        _flat = Distance(_contrast, n, upper: false);
        LogOdds = new double[n];

        var greyIsOrdinary = _saturation is not null && _saturation.Count(s => s < GreySaturation) > OrdinaryShare * n;
        var flatIsOrdinary = _contrast is not null && _contrast.Count(c => c < FlatContrast) > OrdinaryShare * n;
        for (var i = 0; i < n; i++)
        {
            // In a small set the spread says little; what is plain in absolute terms is said all the same.
            var few = n < Evidence.FewestSamples;
            var noisy = Slope * (_noisy[i] - Far);
            var grey = _saturation is null || _saturation[i] >= GreySaturation || greyIsOrdinary ? Evidence.Absent : Slope * (_grey[i] - Far);
            var flat = _contrast is null || _contrast[i] >= FlatContrast || flatIsOrdinary ? Evidence.Absent
                : few ? 2 : Slope * (_flat[i] - FarFlat);
            LogOdds[i] = Math.Max(Evidence.Absent, Math.Max(noisy, Math.Max(grey, flat)));
        }
    }

    /// <summary>Log-odds that the image is damaged; 0 at the threshold.</summary>
    public double[] LogOdds { get; }

    public static DamageDetector Run(OutlierInput input) => new(input);

    /// <summary>In words what is wrong with the image.</summary>
    public string Reason(int row)
    {
        if (_contrast is not null && _contrast[row] < FlatContrast)
        {
            var brightness = _brightness?[row] ?? 0.5;
            var what = brightness < 0.1 ? "Almost black" : brightness > 0.9 ? "Almost white" : "Almost one flat colour";
            return string.Create(CultureInfo.InvariantCulture, $"{what}: brightness {brightness:0.00}, contrast {_contrast[row]:0.00}.");
        }

        if (_saturation is not null && _saturation[row] < GreySaturation && _grey[row] - Far >= _noisy[row] - Far)
            return string.Create(CultureInfo.InvariantCulture, $"Grey: saturation {_saturation[row]:0.000}, where half of the images have {_medianSaturation:0.00} or more.");
        return string.Create(CultureInfo.InvariantCulture, $"Noisy: even its calmest parts flicker by {_noise?[row] ?? 0:0.000}, {(_noise?[row] ?? 0) / Math.Max(_medianNoise, 1e-6):0} times as much as usual here.");
    }

    private static double[] Distance(double[]? values, int n, bool upper) =>
        values is null ? new double[n] : Evidence.Standardise([.. values.Select(v => Math.Log(Math.Max(v, 0) + Smallest))], upper, SmallestSpread);

    private static double[]? Column(OutlierInput input, int column)
    {
        var at = input.PixelStatisticNames.ToList().IndexOf(PixelStatistics.Names[column]);
        if (at < 0)
            return null;
        using var values = input.PixelStatistics.select(1, at).to(torch.ScalarType.Float64).cpu().contiguous();
        return values.data<double>().ToArray();
    }
}
