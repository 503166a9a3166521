using Analysis.Numerics;

namespace Analysis.Importance;

/// <summary>What the network says of each image of a class.</summary>
/// <param name="Rows">Rows of the images in the samples table. Length n.</param>
/// <param name="Logits">n×K.</param>
/// <param name="Predicted">Largest logit; the lowest index among equals. Length n.</param>
/// <param name="Target">Output that contributions add up to: the class's own, or the predicted one. Length n.</param>
/// <param name="RunnerUp">Best output other than the target; the target itself for a single output. Length n.</param>
public sealed record ImageOutputs(int[] Rows, DenseMatrix Logits, int[] Predicted, int[] Target, int[] RunnerUp)
{
    /// <summary>Reads predictions off the logits.</summary>
    /// <param name="rows">Rows of the images.</param>
    /// <param name="logits">n×K.</param>
    /// <param name="label">The class's own output; null for none.</param>
    public static ImageOutputs From(int[] rows, DenseMatrix logits, int? label)
    {
        var predicted = new int[logits.Rows];
        var target = new int[logits.Rows];
        var runnerUp = new int[logits.Rows];
        for (var i = 0; i < logits.Rows; i++)
        {
            var row = logits.Row(i);
            predicted[i] = Best(row, -1);
            target[i] = label ?? predicted[i];
            runnerUp[i] = logits.Columns > 1 ? Best(row, target[i]) : target[i];
        }

        return new ImageOutputs(rows, logits, predicted, target, runnerUp);
    }

    /// <summary>The same of consecutive images.</summary>
    /// <param name="start">First image.</param>
    /// <param name="count">Images.</param>
    public ImageOutputs Slice(int start, int count)
    {
        if (start == 0 && count == Rows.Length)
        {
            return this;
        }

        var range = start..(start + count);
        return new ImageOutputs(Rows[range], Logits.Take([.. Enumerable.Range(start, count)]), Predicted[range], Target[range], RunnerUp[range]);
    }

    private static int Best(ReadOnlySpan<double> row, int except)
    {
        var best = -1;
        for (var j = 0; j < row.Length; j++)
        {
            if (j != except && (best < 0 || row[j] > row[best]))
            {
                best = j;
            }
        }

        return best;
    }
}
