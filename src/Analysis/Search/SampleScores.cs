using System.Numerics.Tensors;
using Analysis.Networks.Files;

namespace Analysis.Search;

/// <summary>
/// Scores of all samples of a finished analysis along directions of the activation space, from the pooled activations a in
/// its <c>tensors.safetensors</c>. The file is mapped and read once, in parts, whatever the number of directions: memory is
/// the scores alone, cost O(N·C·Q). Needs no tensor library. Safe for concurrent use.
/// </summary>
/// <param name="resultFolder">Result folder of the analysis.</param>
public sealed class SampleScores(string resultFolder)
{
    private const int Part = 2048;

    private string FilePath => Path.Combine(resultFolder, "tensors.safetensors");

    /// <summary>True where the analysis kept its pooled activations.</summary>
    public bool Exist => File.Exists(FilePath);

    /// <summary>Projections v · a of every sample, NaN where a holds one. They differ from v · (a − m), m the mean of the data set, by one number for all samples, so that the order is the same.</summary>
    /// <param name="vectors">Q directions of length C each.</param>
    /// <param name="cancellation">Checked between parts.</param>
    /// <returns>Q arrays of length N.</returns>
    /// <exception cref="AnalysisException">The file is missing or damaged, or a direction has another length.</exception>
    public float[][] Project(IReadOnlyList<float[]> vectors, CancellationToken cancellation = default)
    {
        using var file = Open(out var samples, out var channels);
        foreach (var vector in vectors)
        {
            RequireLength(vector.Length, channels);
        }

        var scores = vectors.Select(_ => GC.AllocateUninitializedArray<float>(samples)).ToArray();
        Parts(samples, cancellation, (start, count) =>
            RowProducts.Compute(file.Rows<float>("pooled", start, count), channels, vectors, scores, start));
        return scores;
    }

    /// <summary>Activations v · (a − m) of every sample, m the mean of the data set; NaN where a holds one.</summary>
    /// <param name="vector">v, length C.</param>
    /// <param name="cancellation">Checked between parts.</param>
    /// <returns>Length N.</returns>
    /// <exception cref="AnalysisException">The file is missing or damaged, or the direction has another length.</exception>
    public float[] Activations(float[] vector, CancellationToken cancellation = default)
    {
        var scores = Project([vector], cancellation)[0];
        using var file = Open(out _, out var channels);
        var mean = file.Span<double>("mean");
        RequireLength(mean.Length, channels);
        var offset = 0.0;
        for (var c = 0; c < channels; c++)
        {
            offset += mean[c] * vector[c];
        }

        TensorPrimitives.Subtract(scores, (float)offset, scores);
        return scores;
    }

    /// <summary>
    /// Likeness of every sample to an image: the cosine of a − m and q − m in [−1, 1], m the mean of the data set; 0 where one of
    /// the two has no length.
    /// </summary>
    /// <param name="pooled">q, the image's pooled activation. Length C.</param>
    /// <param name="cancellation">Checked between parts.</param>
    /// <returns>Length N.</returns>
    /// <exception cref="AnalysisException">The file is missing or damaged, or q has another length.</exception>
    public float[] Likeness(ReadOnlySpan<float> pooled, CancellationToken cancellation = default)
    {
        using var file = Open(out var samples, out var channels);
        RequireLength(pooled.Length, channels);
        var mean = Array.ConvertAll(file.Span<double>("mean").ToArray(), value => (float)value);
        RequireLength(mean.Length, channels);
        var wanted = new float[channels];
        TensorPrimitives.Subtract(pooled, mean, wanted);
        var length = TensorPrimitives.Norm<float>(wanted);
        var scores = new float[samples];
        Parts(samples, cancellation, (start, count) =>
        {
            var rows = file.Rows<float>("pooled", start, count);
            var centred = new float[channels];
            for (var i = 0; i < count; i++)
            {
                TensorPrimitives.Subtract(rows.Slice(i * channels, channels), mean, centred);
                var product = length * TensorPrimitives.Norm<float>(centred);
                scores[start + i] = product > 0 ? TensorPrimitives.Dot<float>(centred, wanted) / product : 0;
            }
        });
        return scores;
    }

    /// <summary>Pooled activation of one sample, length C; null where there is no such sample.</summary>
    /// <param name="sample">Row of samples.parquet.</param>
    /// <exception cref="AnalysisException">The file is missing or damaged.</exception>
    public float[]? Pooled(int sample)
    {
        using var file = Open(out var samples, out _);
        return sample >= 0 && sample < samples ? file.Rows<float>("pooled", sample, 1).ToArray() : null;
    }

    private SafetensorsFile Open(out int samples, out int channels)
    {
        if (!Exist)
        {
            throw new AnalysisException("The analysis has no recorded activations to search.", "Wait for its end, or run it again.");
        }

        var file = SafetensorsFile.Open(FilePath);
        try
        {
            var shape = file.Entry("pooled").Shape;
            if (shape.Count != 2 || shape[0] > Array.MaxLength || shape[1] is < 1 or > int.MaxValue / sizeof(float) / Part)
            {
                throw new AnalysisException("The recorded activations of the analysis cannot be read.", "Run the analysis again.");
            }

            (samples, channels) = ((int)shape[0], (int)shape[1]);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static void Parts(int samples, CancellationToken cancellation, Action<int, int> part) => Parallel.For(
        0,
        (samples + Part - 1) / Part,
        new ParallelOptions { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount },
        index => part(index * Part, Math.Min(Part, samples - (index * Part))));

    private static void RequireLength(int length, int channels)
    {
        if (length != channels)
        {
            throw new AnalysisException(
                FormattableString.Invariant($"A direction has {length} numbers and the analysed layer {channels} channels."), "Take a concept or an image of the same analysis.");
        }
    }
}
