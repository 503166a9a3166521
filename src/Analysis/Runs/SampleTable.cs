using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Numerics;

namespace Analysis.Runs;

/// <summary>Makes the rows of the samples table and the list of classes from recorded logits.</summary>
internal static class SampleTable
{
    private const int Part = 4096;

    /// <summary>Creates the rows, in the order of the store.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="store">Recorded activations.</param>
    /// <param name="scan">Index into the plan's samples of each row.</param>
    /// <param name="classes">The classes with their rows. Where the data set has none: the outputs that are predicted at all.</param>
    public static SampleRow[] Create(RunPlan plan, ActivationStore store, int[] scan, out IReadOnlyList<ClassRows> classes)
    {
        var rows = new SampleRow[store.Rows];
        for (var start = 0; start < store.Rows; start += Part)
        {
            using var logits = store.ReadTensor("logits", start, Math.Min(Part, store.Rows - start));
            var matrix = DenseMatrix.FromTensor(logits);
            for (var i = 0; i < matrix.Rows; i++)
            {
                var reference = plan.Dataset.Samples[plan.Samples[scan[start + i]]];
                var (predicted, confidence) = Predict(matrix.Row(i));
                rows[start + i] = new SampleRow
                {
                    Index = start + i,
                    Path = reference.Path,
                    Class = reference.ClassName,
                    Predicted = predicted,
                    Confidence = confidence,
                    Logit = matrix[i, predicted],
                };
            }
        }

        classes = plan.ClassesArePredictions ? ByPrediction(plan, rows) : ByFolder(plan, rows);
        return rows;
    }

    private static List<ClassRows> ByFolder(RunPlan plan, SampleRow[] rows)
    {
        var members = rows.GroupBy(r => r.Class).ToDictionary(g => g.Key, g => g.Select(r => r.Index).ToArray());
        var labels = plan.Description.Classes.ToDictionary(c => c.Name, c => c.Label);
        foreach (var row in rows)
        {
            row.Label = labels[row.Class];
        }

        return [.. plan.Description.Classes.Select(c => new ClassRows(c, members.GetValueOrDefault(c.Name) ?? []))];
    }

    private static List<ClassRows> ByPrediction(RunPlan plan, SampleRow[] rows)
    {
        var groups = rows.GroupBy(r => r.Predicted).OrderBy(g => g.Key).ToList();
        foreach (var row in rows)
        {
            row.Class = OutputNames.Of(plan.Network, row.Predicted);
        }

        return [.. groups.Select((g, i) => new ClassRows(
            new ClassDescription(i, OutputNames.Of(plan.Network, g.Key), OutputNames.Of(plan.Network, g.Key), g.Key, g.Count()), [.. g.Select(r => r.Index)]))];
    }

    /// <summary>Largest logit (the lowest index among equals) and its softmax probability.</summary>
    private static (int Output, double Probability) Predict(ReadOnlySpan<double> logits)
    {
        var best = 0;
        for (var j = 1; j < logits.Length; j++)
        {
            if (logits[j] > logits[best])
            {
                best = j;
            }
        }

        double sum = 0;
        foreach (var logit in logits)
        {
            sum += Math.Exp(logit - logits[best]);
        }

        return (best, 1 / sum);
    }
}
