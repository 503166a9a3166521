namespace Analysis.Numerics;

/// <summary>
/// The plain Halton (1960) sequence: radical inverses in the first primes. In many dimensions its first points are nearly
/// collinear (with n points, primes above n give i/p only), so that it serves to reproduce published figures, not to sample.
/// </summary>
public static class HaltonSequence
{
    /// <summary>The first points; the very first is zero.</summary>
    /// <param name="count">Number of points.</param>
    /// <param name="dimensions">Number of dimensions.</param>
    /// <returns>count×dimensions, in [0, 1).</returns>
    public static DenseMatrix Points(int count, int dimensions)
    {
        var result = new DenseMatrix(count, dimensions);
        var prime = 1;
        for (var d = 0; d < dimensions; d++)
        {
            prime = Next(prime);
            for (var i = 0; i < count; i++)
            {
                double value = 0, share = 1;
                for (var rest = i; rest > 0; rest /= prime)
                {
                    share /= prime;
                    value += rest % prime * share;
                }

                result[i, d] = value;
            }
        }

        return result;
    }

    private static int Next(int prime)
    {
        while (true)
        {
            prime++;
            var divisor = 2;
            while (divisor * divisor <= prime && prime % divisor != 0)
            {
                divisor++;
            }

            if (divisor * divisor > prime)
            {
                return prime;
            }
        }
    }
}
