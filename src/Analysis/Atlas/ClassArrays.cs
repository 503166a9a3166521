namespace Analysis.Atlas;

/// <summary>
/// The per-image arrays of one class, written beside its <see cref="ClassAtlas"/> as <c>atlas/classes/NNNN.safetensors</c>.
/// n images of the class in row order, k concepts in the order of <see cref="ClassAtlas.Concepts"/>.
/// </summary>
public sealed record ClassArrays
{
    /// <summary>Rows of the images in samples.parquet, ascending. Length n.</summary>
    public required int[] Sample { get; init; }

    /// <summary>Layout of the strategic cluster graph, x and y interleaved. Length 2n.</summary>
    public required float[] Layout { get; init; }

    /// <summary>Strategy of each image. Length n.</summary>
    public required int[] Strategy { get; init; }

    /// <summary>Rank of the strongest concept of each image; −1 where nothing contributes. Length n.</summary>
    public required int[] Strongest { get; init; }

    /// <summary>Predicted output. Length n.</summary>
    public required int[] Predicted { get; init; }

    /// <summary>Output that the contributions add up to: the class's own, or the predicted one without a label. Length n.</summary>
    public required int[] Target { get; init; }

    /// <summary>The best output other than the target. Length n.</summary>
    public required int[] RunnerUp { get; init; }

    /// <summary>Number of concepts k.</summary>
    public required int Concepts { get; init; }

    /// <summary>Contributions to the target's logit, n×(k+1) row by row; the last column is what no concept explains; a row sums to the logit minus the bias.</summary>
    public required float[] Contributions { get; init; }

    /// <summary>Contributions to the runner-up's logit, as <see cref="Contributions"/>.</summary>
    public required float[] Against { get; init; }

    /// <summary>Height of the concept maps.</summary>
    public required int MapHeight { get; init; }

    /// <summary>Width of the concept maps.</summary>
    public required int MapWidth { get; init; }

    /// <summary>Largest |map value| per concept. Length k.</summary>
    public required float[] MapScale { get; init; }

    /// <summary>Concept maps, n×k×h×w bytes; value = (byte − 128) / 127 × scale of the concept.</summary>
    public required ReadOnlyMemory<byte> Maps { get; init; }

    /// <summary>Concept vectors V, k×C row by row. Filled by reading; empty where the file has none.</summary>
    public float[] Vectors { get; init; } = [];

    /// <summary>Position of a row of samples.parquet among the class's images; negative where it is none of them.</summary>
    public int PositionOf(int sample) => Array.BinarySearch(Sample, sample);

    /// <summary>Images whose contributions, the unexplained part included, are the most similar by Euclidean distance; nearest first, equal ones by row.</summary>
    /// <param name="contributions">Contributions of an image, length k + 1.</param>
    /// <param name="count">Most images to give.</param>
    /// <param name="except">Position of an image to leave out; negative for none.</param>
    public IReadOnlyList<(int Sample, double Distance)> Nearest(ReadOnlySpan<float> contributions, int count, int except = -1)
    {
        var width = Concepts + 1;
        var distances = new List<(int Sample, double Distance)>(Sample.Length);
        for (var other = 0; other < Sample.Length; other++)
        {
            var sum = 0.0;
            for (var c = 0; c < width; c++)
            {
                var difference = (double)contributions[c] - Contributions[(other * width) + c];
                sum += difference * difference;
            }

            if (other != except)
            {
                distances.Add((Sample[other], Math.Sqrt(sum)));
            }
        }

        return [.. distances.OrderBy(pair => pair.Distance).ThenBy(pair => pair.Sample).Take(count)];
    }
}
