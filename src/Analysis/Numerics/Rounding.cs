using System.Globalization;

namespace Analysis.Numerics;

/// <summary>Rounding of figures that are written to tables.</summary>
public static class Rounding
{
    private const int Digits = 10;
    private const int MostPlaces = 15;

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
        // Beyond the places that Math.Round knows, by way of the decimal text.
        return places is >= 0 and <= MostPlaces ? Math.Round(value, places) : Decimal(value, "E9");
    }

    /// <summary>Six significant digits of a p value, however small.</summary>
    public static double Probability(double value) =>
        double.IsFinite(value) ? Decimal(value, "E5") : value;

    private static double Decimal(double value, string format) =>
        double.Parse(value.ToString(format, CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
