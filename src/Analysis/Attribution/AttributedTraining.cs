using Analysis.Datasets;
using Analysis.Datasets.Recorded;
using Analysis.Networks;
using Analysis.Runs.Tasks;

namespace Analysis.Attribution;

/// <summary>The training images of an attribution.</summary>
/// <param name="Dataset">Data set that holds them.</param>
/// <param name="Positions">Their positions in it.</param>
/// <param name="Labels">Output of the network that each was trained for; −1 for the one that it predicts.</param>
/// <param name="Same">True where it is the analysis's own data set.</param>
/// <param name="Unlabelled">Images left out because their class is no output.</param>
internal sealed record AttributedTraining(IDataset Dataset, int[] Positions, int[] Labels, bool Same, int Unlabelled)
{
    /// <summary>Finds the training images that a wish means.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="wish">The wish.</param>
    /// <param name="notes">Receives doubts and assumptions, in words.</param>
    /// <param name="cancellation">Honoured while the data set is listed.</param>
    /// <exception cref="AnalysisException">The data set cannot be read, or has no image of a class that the network knows.</exception>
    public static AttributedTraining Open(TaskContext context, AttributionRequest wish, List<string> notes, CancellationToken cancellation)
    {
        var plan = context.Plan;
        var same = wish.Dataset is null;
        var dataset = same ? plan.Dataset : DatasetLoader.Open(wish.Dataset!, cancellation);
        if (dataset is IRecordedActivations)
        {
            throw new AnalysisException($"{dataset.Name} holds activations, not images.", "Give the images that the network was trained on.");
        }

        if (!same && dataset.Fingerprint == plan.Dataset.Fingerprint)
        {
            same = true;
        }

        IReadOnlyList<int> all = wish.Dataset is null ? plan.Samples : [.. Enumerable.Range(0, dataset.Samples.Count)];
        var (positions, labels, unlabelled) = (new List<int>(), new List<int>(), 0);
        if (dataset.Classes.Count == 0)
        {
            notes.Add("The training images have no classes: each counts for the class that the network predicts.");
            (positions, labels) = ([.. all], [.. Enumerable.Repeat(-1, all.Count)]);
        }
        else
        {
            var outputs = dataset.Classes.Zip(ClassMapping.Map(dataset.Classes, plan.Network.Classes)).ToDictionary(p => p.First, p => p.Second, StringComparer.Ordinal);
            foreach (var position in all)
            {
                if (outputs.GetValueOrDefault(dataset.Samples[position].ClassName, -1) is >= 0 and var output)
                {
                    positions.Add(position);
                    labels.Add(output);
                }
                else
                {
                    unlabelled++;
                }
            }

            if (unlabelled > 0)
            {
                notes.Add($"{unlabelled:N0} training images are left out: their class is no output of the network.");
            }
        }

        if (positions.Count == 0)
        {
            throw new AnalysisException(
                $"None of the classes of {dataset.Name} is an output of {plan.Network.Name}.", "Give the images that the network was trained on, in folders named by its outputs; a sidecar names outputs.");
        }

        if (same && wish.Dataset is null)
        {
            notes.Add("The images of the analysis stand for the training images. Where the network was trained on others, give those: scores of images that it never saw tell what would have taught it.");
        }

        if (wish.Limit is { } limit && limit < positions.Count)
        {
            // As many of each class as fit, the first ones of each: the choice does not depend on chance.
            var chosen = Enumerable.Range(0, positions.Count).GroupBy(i => labels[i]).SelectMany(g => g.Select((i, round) => (Index: i, Round: round)))
                .OrderBy(c => c.Round).ThenBy(c => c.Index).Take(limit).Select(c => c.Index).Order().ToArray();
            notes.Add($"{limit:N0} of {positions.Count:N0} training images are used.");
            (positions, labels) = ([.. chosen.Select(i => positions[i])], [.. chosen.Select(i => labels[i])]);
        }

        return new AttributedTraining(dataset, [.. positions], [.. labels], same, unlabelled);
    }
}
