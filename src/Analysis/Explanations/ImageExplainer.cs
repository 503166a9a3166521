using System.Text.Json;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Imaging;
using Analysis.Importance;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Stages;
using Analysis.Runs.Tasks;
using Analysis.Search;
using Analysis.Visualization;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Explanations;

/// <summary>
/// Explains an image that belongs to no data set by the concepts of a class of a finished analysis, by the same code and in the
/// same units as the analysis explained its own images: an image of the data set gets the contributions that its page shows.
/// Needs the result folder alone, and fitted factors for methods that have them. For one thread.
/// </summary>
/// <param name="context">The analysis, opened.</param>
public sealed class ImageExplainer(TaskContext context)
{
    private const int Shown = 5;
    private const int MostMaps = 12;
    private const int NearestImages = 12;
    private const int MapPicture = 384;
    private const double FewestFit = 0.01;

    /// <summary>Explains an image.</summary>
    /// <param name="hash">Name of the image, for the record.</param>
    /// <param name="picture">The decoded image.</param>
    /// <param name="classIndex">Class whose concepts are used; null for that of the predicted output, or of the best output that has a class.</param>
    /// <param name="progress">Told the steps done, of three, and what is done next.</param>
    /// <param name="cancellation">Honoured between steps.</param>
    /// <returns>The explanation, overlays of concept maps by rank as WebP, and the pooled activation.</returns>
    /// <exception cref="AnalysisException">The analysis has no network, or no such class; says what to do.</exception>
    public (ImageExplanation Explanation, IReadOnlyDictionary<int, byte[]> Maps, float[] Pooled) Explain(
        string hash, RgbImage picture, int? classIndex, Action<int, string> progress, CancellationToken cancellation)
    {
        var plan = context.Plan;
        if (plan.Network is RecordedNetwork)
        {
            throw new AnalysisException(
                "The analysis is of activations from a file: there is no network that could look at another image.", "Analyse the network itself on images, then bring the image there.");
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        progress(0, "The network looks at the image");
        var input = plan.Network.Preprocessing;
        var values = new float[3 * input.Height * input.Width];
        ImagePreparation.Normalise(ImagePreparation.Resize(picture, input), input, values);
        var (activations, scores) = plan.Network.Forward(tensor(values, [1, 3, input.Height, input.Width]).to(plan.Network.Device), [plan.Layer.Name]);
        var pooled = activations[0].mean([2L, 3L]);
        var logits = DenseMatrix.FromTensor(scores);
        cancellation.ThrowIfCancellationRequested();

        progress(1, "Weighing the concepts");
        var notes = new List<string>();
        var activation = HostMemory.ToArray<float>(pooled.to(ScalarType.Float32));
        var chosen = Choose(logits.Row(0), activation, classIndex, notes, cancellation);
        var atlas = ClassConcepts.Read(context, chosen.Index);
        if (atlas.Concepts.Count == 0)
        {
            throw new AnalysisException($"The class {atlas.DisplayName} has no concepts to explain the image by.", "Choose another class.");
        }

        var outputs = ImageOutputs.From([0], logits, atlas.Label);
        var spatial = new GivenActivations(activations[0]);
        using var encoder = ClassConcepts.Encoder(context, atlas, cancellation);
        var encoded = Contributions.Create(plan.Network, plan.Layer.Name, spatial, plan.Request.Importance, plan.Request.Seed)
            .Compute(pooled.to(ScalarType.Float64), encoder, [0], outputs, cancellation);
        cancellation.ThrowIfCancellationRequested();

        progress(2, "Drawing maps, comparing with the images of the class");
        var contributions = encoded.Contributions.Row(0).ToArray();
        var arrays = ClassArraysFile.Read(ClassArraysFile.PathOf(context.ResultFolder, atlas.Class), maps: false);
        var (strategy, fit) = NearestStrategy(arrays, contributions);
        if (fit < FewestFit)
        {
            notes.Add("It lies further from the middle of its strategy than nearly all images of it: the network recognises it in a way that the class does not know.");
        }

        var overlays = Maps(arrays, ConceptMapSet.Compute(spatial, [0], encoder, plan.Layer, ClassAtlasBuilder.MapSide, 1, cancellation), contributions);
        var explanation = new ImageExplanation
        {
            Image = hash,
            Width = picture.Width,
            Height = picture.Height,
            Top = Top(plan.Network, logits.Row(0)),
            Class = atlas.Class,
            Target = outputs.Target[0],
            TargetName = OutputNames.Of(plan.Network, outputs.Target[0]),
            RunnerUp = outputs.RunnerUp[0],
            Logit = Rounding.Significant(logits[0, outputs.Target[0]]),
            Coefficients = [.. encoded.Coefficients.Row(0).ToArray().Select(Rounding.Significant)],
            Contributions = [.. contributions.Select(Rounding.Significant)],
            Against = [.. encoded.Against.Row(0).ToArray().Select(Rounding.Significant)],
            Residual = double.IsFinite(encoded.Residual[0]) ? Rounding.Significant(encoded.Residual[0]) : null,
            Maps = [.. overlays.Keys.OrderByDescending(rank => contributions[rank])],
            Strategy = strategy,
            StrategyFit = fit,
            Nearest = [.. arrays.Nearest(Array.ConvertAll(contributions, c => (float)c), NearestImages).Select(pair => new NearSample(pair.Sample, Rounding.Significant(pair.Distance)))],
            Notes = notes,
        };
        return (explanation, overlays, activation);
    }

    /// <summary>
    /// The class that was asked for; else that of the largest logit among outputs that have a class with images; else that of the
    /// most alike image.
    /// </summary>
    private ClassDescription Choose(ReadOnlySpan<double> logits, float[] pooled, int? wanted, List<string> notes, CancellationToken cancellation)
    {
        var run = JsonSerializer.Deserialize<RunDescription>(File.ReadAllBytes(RunDescription.PathOf(context.ResultFolder)), AnalysisJson.Options)!;
        if (wanted is { } index)
        {
            return run.Classes.FirstOrDefault(c => c.Index == index)
                ?? throw new AnalysisException($"The analysis has no class {index}.", $"Choose 0 to {run.Classes.Count - 1}.");
        }

        ClassDescription? best = null;
        foreach (var description in run.Classes)
        {
            if (description is { Label: { } label, Images: > 0 } && label < logits.Length && (best is null || logits[label] > logits[best.Label!.Value]))
            {
                best = description;
            }
        }

        if (best is null)
        {
            notes.Add("No class of the analysis belongs to an output of the network: the class of the most alike image is used.");
            var likeness = new SampleScores(context.ResultFolder).Likeness(pooled, cancellation);
            var nearest = Array.IndexOf(likeness, likeness.Max());
            return run.Classes.First(c => Array.BinarySearch(ClassArraysFile.ReadSamples(ClassArraysFile.PathOf(context.ResultFolder, c.Index)), nearest) >= 0);
        }

        foreach (var logit in logits)
        {
            if (logit > logits[best.Label!.Value])
            {
                notes.Add($"The predicted output is none of the analysed classes: {best.DisplayName} is the best of those.");
                break;
            }
        }

        return best;
    }

    private static IReadOnlyList<OutputProbability> Top(INetwork network, ReadOnlySpan<double> logits)
    {
        var values = logits.ToArray();
        var largest = values.Max();
        var sum = values.Sum(logit => Math.Exp(logit - largest));
        return [.. Ranks.Descending(values).Take(Shown).Select(o => new OutputProbability(o, OutputNames.Of(network, o), Math.Exp(values[o] - largest) / sum))];
    }

    /// <summary>
    /// The strategy whose mean contributions are nearest, which is how k-means assigned the images of the class, and the share of
    /// its images that lie further from the mean.
    /// </summary>
    private static (int? Strategy, double? Fit) NearestStrategy(ClassArrays arrays, double[] contributions)
    {
        var (k, width, n) = (arrays.Concepts, arrays.Concepts + 1, arrays.Sample.Length);
        var count = n == 0 ? 0 : arrays.Strategy.Max() + 1;
        if (count <= 0)
        {
            return (null, null);
        }

        var (means, sizes) = (new double[count * k], new int[count]);
        for (var i = 0; i < n; i++)
        {
            sizes[arrays.Strategy[i]]++;
            for (var c = 0; c < k; c++)
            {
                means[(arrays.Strategy[i] * k) + c] += arrays.Contributions[(i * width) + c];
            }
        }

        var (best, least) = (-1, double.PositiveInfinity);
        for (var s = 0; s < count; s++)
        {
            for (var c = 0; c < k && sizes[s] > 0; c++)
            {
                means[(s * k) + c] /= sizes[s];
            }

            var distance = sizes[s] > 0 ? Distance(s, c => contributions[c]) : double.PositiveInfinity;
            (best, least) = distance < least ? (s, distance) : (best, least);
        }

        return best < 0
            ? (null, null)
            : (best, Enumerable.Range(0, n).Count(i => arrays.Strategy[i] == best && Distance(best, c => arrays.Contributions[(i * width) + c]) > least) / (double)sizes[best]);

        double Distance(int strategy, Func<int, double> value)
        {
            var sum = 0.0;
            for (var c = 0; c < k; c++)
            {
                var difference = value(c) - means[(strategy * k) + c];
                sum += difference * difference;
            }

            return sum;
        }
    }

    /// <summary>Overlays of the concepts that contribute most, on the scale of the class's own maps; none without spatial extent.</summary>
    private static Dictionary<int, byte[]> Maps(ClassArrays arrays, ConceptMapSet maps, double[] contributions)
    {
        var overlays = new Dictionary<int, byte[]>();
        if (arrays.MapHeight * arrays.MapWidth <= 1)
        {
            return overlays;
        }

        var cells = maps.Height * maps.Width;
        foreach (var rank in Ranks.Descending(contributions.AsSpan(0, maps.Scale.Length)).Take(MostMaps))
        {
            var map = Array.ConvertAll(maps.Bytes.AsSpan(rank * cells, cells).ToArray(), value => (value - 128) / 127f * maps.Scale[rank]);
            overlays[rank] = ThumbnailMaker.Overlay(map, maps.Width, maps.Height, MapPicture, MapPicture, arrays.MapScale[rank]);
        }

        return overlays;
    }
}
