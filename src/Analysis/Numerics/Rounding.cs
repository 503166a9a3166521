using System.Globalization;

namespace Analysis.Numerics;

/// <summary>Rounding of figures that are written to tables.</summary>
public static class Rounding
{
    private const int Digits = 10;

    /// <summary>
    /// Ten significant digits. The last bits of a sum depend on where its terms happen to lie in memory; written out, they
    /// would make equal runs look different.
    /// </summary>
    public static double Significant(double value)
    {
        if (value == 0 || !double.IsFinite(value))
        {
            return value;
        }

        var places = Digits - 1 - (int)Math.Floor(Math.Log10(Math.Abs(value)));
        return places is >= 0 and <= 15 ? Math.Round(value, places) : value;
    }

    /// <summary>Six significant digits of a p value, however small.</summary>
    public static double Probability(double value) =>
        double.IsFinite(value) ? double.Parse(value.ToString("E5", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) : value;
}
