namespace Analysis.Datasets.Sample;

/// <summary>
/// Counter-based generator (the mixing function of SplitMix64, Steele, Lea and Flood 2014) and functions that use basic
/// arithmetic only, so that the sample has the same bytes on every machine and version of the run time.
/// </summary>
internal sealed class SampleRandom(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A generator of its own for each purpose or image.</summary>
    public static SampleRandom For(int seed, int stream) => new(Mix(((ulong)(uint)seed << 32) | (uint)stream));

    public ulong Next()
    {
        _state += 0x9E3779B97F4A7C15;
        return Mix(_state);
    }

    /// <summary>Uniform in [0, 1).</summary>
    public double Unit() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform in [low, high).</summary>
    public double Between(double low, double high) => low + ((high - low) * Unit());

    /// <summary>Uniform integer in [0, count).</summary>
    public int Below(int count) => (int)(Unit() * count);

    /// <summary>Roughly normal with mean 0 and standard deviation 1: the sum of four uniforms, scaled.</summary>
    public double Normal() => (Unit() + Unit() + Unit() + Unit() - 2) * 1.7320508075688772;

    public T Pick<T>(IReadOnlyList<T> items) => items[Below(items.Count)];

    /// <summary>Fisher–Yates.</summary>
    public void Shuffle<T>(T[] items)
    {
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = Below(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>Sine and cosine of an angle in turns (1 is a full circle), with an error below 1e-6.</summary>
    public static (double Sin, double Cos) Turn(double turns)
    {
        var within = turns - (long)turns;
        within = within < 0 ? within + 1 : within;
        var quarter = (int)((within * 4) + 0.5);
        var x = (within - (quarter * 0.25)) * 6.283185307179586;
        var s = x * x;
        var sin = x * (1 - (s / 6 * (1 - (s / 20 * (1 - (s / 42 * (1 - (s / 72))))))));
        var cos = 1 - (s / 2 * (1 - (s / 12 * (1 - (s / 30 * (1 - (s / 56 * (1 - (s / 90)))))))));
        return (quarter & 3) switch
        {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        };
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
