using Analysis.Datasets.Sample;
using Analysis.Numerics;
using Analysis.Runs;

namespace Analysis.Atlas;

/// <summary>What all classes of a generated atlas have in common: groups, and the prototypes that they share.</summary>
internal sealed class GeneratedWorld
{
    /// <summary>Channels of the layer that never was.</summary>
    public const int Channels = 128;

    private const int Prototypes = 32;
    private const double GroupRadius = 10;
    private const double Separation = 0.8;

    public GeneratedWorld(GeneratedAtlasOptions options)
    {
        Options = options;
        var random = new SplitMix64(Mix(options.Seed, -1));
        Groups = [.. Enumerable.Range(0, SampleClasses.Shapes.Count).Select(_ => Direction(ref random))];
        var count = SampleClasses.Shapes.Count * Prototypes;
        Shared = new (float[], double, double)[count];
        for (var number = 0; number < count; number++)
        {
            var group = number / Prototypes;
            var (x, y) = CentreOf(group);
            Shared[number] = (Near(Groups[group], ref random), x + (3 * random.NextNormal()), y + (3 * random.NextNormal()));
        }
    }

    /// <summary>The layer.</summary>
    public static ManifestLayer Layer { get; } = new("generated", Channels, 1, 1);

    public GeneratedAtlasOptions Options { get; }

    /// <summary>One direction a group.</summary>
    public IReadOnlyList<float[]> Groups { get; }

    /// <summary>Shared concepts: vector and place; their index is the number of the shared concept.</summary>
    public (float[] Vector, double X, double Y)[] Shared { get; }

    /// <summary>Seed of one class.</summary>
    public static ulong Mix(int seed, int stream) => new SplitMix64(((ulong)(uint)seed << 32) | (uint)stream).Next();

    /// <summary>Group of a class: its shape.</summary>
    public static int GroupOf(int index) => index % SampleClasses.Shapes.Count;

    /// <summary>A shared concept of a group.</summary>
    public static int SharedOf(int group, ref SplitMix64 random) => (group * Prototypes) + random.NextInt(Prototypes);

    public static (double X, double Y) CentreOf(int group)
    {
        var angle = 2 * Math.PI * group / SampleClasses.Shapes.Count;
        return (GroupRadius * Math.Cos(angle), GroupRadius * Math.Sin(angle));
    }

    /// <summary>A vector of unit length without negative entries, like one but not the same.</summary>
    public static float[] Near(float[] centre, ref SplitMix64 random, double weight = Separation)
    {
        var own = Direction(ref random);
        for (var c = 0; c < Channels; c++)
        {
            own[c] = (float)((weight * own[c]) + centre[c]);
        }

        return Unit(own);
    }

    private static float[] Direction(ref SplitMix64 random)
    {
        var vector = new float[Channels];
        for (var c = 0; c < Channels; c++)
        {
            // A few strong channels and many weak ones, as rectified layers have.
            var value = random.NextDouble();
            vector[c] = (float)(value * value * value);
        }

        return Unit(vector);
    }

    private static float[] Unit(float[] vector)
    {
        var norm = Math.Sqrt(vector.Sum(static v => (double)v * v));
        for (var c = 0; c < vector.Length; c++)
        {
            vector[c] = (float)(vector[c] / norm);
        }

        return vector;
    }
}
