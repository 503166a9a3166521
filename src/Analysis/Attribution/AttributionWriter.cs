using System.Globalization;
using System.Text;
using Analysis.Atlas;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>Writes what an attribution found (docs/file-formats.md).</summary>
/// <param name="context">The analysis.</param>
/// <param name="wish">The wish.</param>
/// <param name="folder">The task's folder.</param>
internal sealed class AttributionWriter(TaskContext context, AttributionRequest wish, string folder)
{
    private const int Shown = 48;
    private const int ThumbnailSize = 128;
    private const long MostInfluences = 1L << 25;

    /// <summary>Writes scores, table and thumbnails, and makes the report.</summary>
    /// <param name="outcome">The scores.</param>
    /// <param name="notes">Doubts and assumptions, in words.</param>
    /// <exception cref="AnalysisException">No image has a score, or the folder cannot be written.</exception>
    public AttributionReport Write(AttributionOutcome outcome, IReadOnlyList<string> notes)
    {
        var (training, classes, scores) = (outcome.Training, outcome.Classes, outcome.Scores);
        int[] known = [.. Enumerable.Range(0, scores.Length).Where(i => double.IsFinite(scores[i]))];
        if (known.Length == 0)
        {
            throw new AnalysisException("No training image is left beside the target itself.", "Give a larger training set.");
        }

        int[] order = [.. Ranks.Descending(scores).Take(known.Length)];
        var samples = SampleOf(outcome);
        Save(outcome, samples);
        var topCount = Math.Min(known.Length, Math.Max(20, (int)Math.Ceiling(AttributionScores.TopShare * known.Length)));
        var shown = Math.Min(Shown, known.Length);
        var names = DisplayNames();
        var positive = known.Sum(i => Math.Max(0, scores[i]));
        var top = order.Take(topCount).GroupBy(i => classes[i], StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);
        return new AttributionReport
        {
            Request = wish,
            Target = outcome.Target,
            Training = new TrainingSet(training.Same ? context.Plan.Description.DatasetName : training.Dataset.Name, known.Length, training.Same, outcome.Skipped, training.Unlabelled),
            Checkpoints = outcome.Checkpoints,
            Parameters = outcome.Parameters,
            Projection = outcome.Projection,
            Top = [.. order.Take(shown).Select(Image)],
            Bottom = [.. order.Reverse().Take(shown).Select(Image)],
            Diffuseness = Diffuseness.Of(Array.ConvertAll(known, i => scores[i])),
            Classes =
            [
                .. known.GroupBy(i => classes[i], StringComparer.Ordinal)
                    .Select(g => new AttributedClass(
                        g.Key,
                        names.GetValueOrDefault(g.Key, g.Key),
                        g.Count(),
                        top.GetValueOrDefault(g.Key),
                        Rounding.Significant(g.Average(i => scores[i])),
                        Rounding.Significant(positive > 0 ? g.Sum(i => Math.Max(0, scores[i])) / positive : 0)))
                    .OrderByDescending(c => c.Top).ThenByDescending(c => c.Share).ThenBy(c => c.Name, StringComparer.Ordinal),
            ],
            TopCount = topCount,
            Agreement = outcome.Agreement,
            Check = outcome.Check,
            TrakAgainstExact = outcome.TrakAgainstExact,
            Notes = notes,
        };

        AttributedImage Image(int i) => new(
            i, samples[i], outcome.Paths[i], classes[i], Rounding.Significant(scores[i]), samples[i] is null ? Thumbnail(training, i, outcome.Positions[i]) : null);
    }

    /// <summary>Row of each training image in the analysis, by path or else by content; null where it is none of its images.</summary>
    private int?[] SampleOf(AttributionOutcome outcome)
    {
        var byPath = outcome.Training.Same ? context.Samples.ToDictionary(s => s.Path, s => s.Index, StringComparer.Ordinal) : null;
        var own = byPath is null ? AttributionTargets.Hashes(context, [.. Enumerable.Range(0, context.Samples.Count)]) : [];
        var byHash = own.Select((h, i) => (h, i)).GroupBy(p => p.h, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.First().i, StringComparer.Ordinal);
        return [.. Enumerable.Range(0, outcome.Paths.Length).Select(i => byPath is not null
            ? byPath.TryGetValue(outcome.Paths[i], out var index) ? index : (int?)null
            : byHash.TryGetValue(outcome.Hashes[i], out var same) ? same : null)];
    }

    private Dictionary<string, string> DisplayNames()
    {
        var network = context.Plan.Network;
        var folders = context.Plan.Dataset.Classes.ToList();
        var outputs = ClassMapping.Map(folders, network.Classes);
        return folders.Zip(outputs).Where(p => p.Second >= 0).ToDictionary(p => p.First, p => OutputNames.Of(network, p.Second), StringComparer.Ordinal);
    }

    private string? Thumbnail(AttributedTraining training, int row, int position)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"image-{row}.webp");
        var path = Path.Combine(folder, name);
        if (!File.Exists(path))
        {
            try
            {
                var bytes = ThumbnailMaker.Square(training.Dataset.Read(training.Positions[position]), ThumbnailSize);
                AtomicFile.Write(path, stream => stream.Write(bytes));
            }
            catch (AnalysisException)
            {
                // The picture only illustrates the score.
                return null;
            }
        }

        return name;
    }

    private void Save(AttributionOutcome outcome, int?[] samples)
    {
        using var scope = NewDisposeScope();
        var tensors = new List<(string, Tensor)>
        {
            ("scores", tensor(outcome.Scores)),
            ("row", tensor(Array.ConvertAll(outcome.Positions, p => (long)outcome.Training.Positions[p]))),
            ("sample", tensor(Array.ConvertAll(samples, s => (long)(s ?? -1)))),
            ("targets", tensor(Array.ConvertAll([.. outcome.Target.Samples], (int t) => (long)t))),
        };
        if (outcome.Influence.Values.LongLength <= MostInfluences)
        {
            tensors.Add(("tau", outcome.Influence.ToTensor()));
        }

        if (outcome.OneMinusP.Count > 0)
        {
            tensors.Add(("one_minus_p", stack([.. outcome.OneMinusP.Select(l => tensor(l))], 0)));
        }

        if (outcome.Single.Count > 0)
        {
            tensors.Add(("checkpoint_scores", stack([.. outcome.Single.Select(s => tensor(s))], 0)));
        }

        try
        {
            SafetensorsTensors.Save(Path.Combine(folder, AttributeTask.ScoresFile), tensors);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(folder, failure);
        }

        var table = new StringBuilder("row,path,class,sample,score\n");
        for (var i = 0; i < outcome.Paths.Length; i++)
        {
            table.Append(CultureInfo.InvariantCulture, $"{i},{Quoted(outcome.Paths[i])},{Quoted(outcome.Classes[i])},{samples[i]},");
            table.Append(double.IsNaN(outcome.Scores[i]) ? "" : outcome.Scores[i].ToString("R", CultureInfo.InvariantCulture)).Append('\n');
        }

        AtomicFile.WriteText(Path.Combine(folder, AttributeTask.TableFile), table.ToString());
    }

    private static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\n\r") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
