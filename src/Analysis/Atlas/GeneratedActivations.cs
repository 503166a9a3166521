using System.Numerics.Tensors;
using Analysis.Networks.Files;
using Analysis.Numerics;

namespace Analysis.Atlas;

/// <summary>
/// Pooled activations that fit a generated atlas: a = 1/2 + uV + noise, V the concept vectors of the sample's class and u its
/// coefficients, scaled to one sum. Written as <c>tensors.safetensors</c> with the tensors <c>mean</c> and <c>pooled</c>, which is what searches read.
/// </summary>
internal static class GeneratedActivations
{
    private const int Side = 16;
    private const float Origin = 0.5f;
    private const float Strength = 4;
    private const double Noise = 0.3;

    /// <summary>Writes them from the classes' files.</summary>
    /// <param name="folder">Result folder.</param>
    /// <param name="options">Sizes and seed.</param>
    /// <param name="cancellation">Checked between classes.</param>
    public static void Write(string folder, GeneratedAtlasOptions options, CancellationToken cancellation)
    {
        const int channels = GeneratedWorld.Channels;
        var samples = options.Classes * options.Samples;
        var mean = new double[channels];
        using var writer = SafetensorsWriter.Create(Path.Combine(folder, "tensors.safetensors"),
        [
            ("pooled", new TensorHeader(ElementType.Float32, [samples, channels])),
            ("mean", new TensorHeader(ElementType.Float64, [channels])),
        ]);
        var parts = new float[Side][];
        for (var first = 0; first < options.Classes; first += Side)
        {
            cancellation.ThrowIfCancellationRequested();
            var start = first;
            var count = Math.Min(Side, options.Classes - first);
            Parallel.For(0, count, at => parts[at] = OfClass(folder, options, start + at));
            for (var at = 0; at < count; at++)
            {
                writer.Write<float>("pooled", parts[at]);
                for (var i = 0; i < parts[at].Length; i++)
                {
                    mean[i % channels] += parts[at][i];
                }
            }
        }

        writer.Write<double>("mean", Array.ConvertAll(mean, sum => sum / samples));
        writer.Complete();
    }

    private static float[] OfClass(string folder, GeneratedAtlasOptions options, int index)
    {
        const int channels = GeneratedWorld.Channels;
        var random = new SplitMix64(GeneratedWorld.Mix(options.Seed ^ 0x504F4F4C, index));
        using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(folder, index));
        var codes = file.Span<float>("coefficients");
        var vectors = file.Span<float>("concept_vectors");
        var pooled = new float[options.Samples * channels];
        for (var i = 0; i < options.Samples; i++)
        {
            var row = pooled.AsSpan(i * channels, channels);
            foreach (ref var value in row)
            {
                value = Origin + (float)(Noise * random.NextDouble());
            }

            // Of equal sum: else the images of high scores would be the strongest in every concept.
            var used = codes.Slice(i * options.Concepts, options.Concepts);
            var scale = Strength / Math.Max(float.Epsilon, TensorPrimitives.Sum(used));
            for (var c = 0; c < options.Concepts; c++)
            {
                TensorPrimitives.MultiplyAdd(vectors.Slice(c * channels, channels), scale * used[c], row, row);
            }
        }

        return pooled;
    }
}
