namespace Analysis.Atlas;

/// <summary>Which concepts lead the network to take images of a class for another one.</summary>
public static class ConfusionPulls
{
    /// <summary>
    /// How much more each concept adds to the logit of the wrong answer than to that of the class's own output, averaged over the
    /// images of the class with that answer. Contributions add up to logits, so the pulls of all concepts, what none explains and
    /// the difference of the biases add up to how far the wrong answer is ahead.
    /// </summary>
    /// <param name="arrays">The class.</param>
    /// <param name="output">The wrong answer.</param>
    /// <returns>In units of the logit, by rank; the last is what no concept explains. Empty where no image has that answer.</returns>
    public static double[] Of(ClassArrays arrays, int output)
    {
        var width = arrays.Concepts + 1;
        var pulls = new double[width];
        var images = 0;
        for (var i = 0; i < arrays.Sample.Length; i++)
        {
            // Of an image that is mistaken, the best output other than its own is the answer.
            if (arrays.Predicted[i] != output || arrays.RunnerUp[i] != output || arrays.Target[i] == output)
            {
                continue;
            }

            images++;
            for (var c = 0; c < width; c++)
            {
                pulls[c] += (double)arrays.Against[(i * width) + c] - arrays.Contributions[(i * width) + c];
            }
        }

        return images == 0 ? [] : Array.ConvertAll(pulls, sum => sum / images);
    }
}
