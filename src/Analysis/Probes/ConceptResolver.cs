using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using Analysis.Atlas;
using Analysis.Datasets;
using Analysis.Labels;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Analysis.Probes;

/// <summary>Finds out which samples of an analysis show a concept.</summary>
public static class ConceptResolver
{
    /// <summary>The ways to say a concept: values of <see cref="ConceptDefinition.Source"/>.</summary>
    public static IReadOnlyList<string> Sources { get; } = ["classes", "samples", "attribute", "region", "concept", "neuron"];

    /// <summary>Most paths, classes and regions that a definition may list.</summary>
    public const int MostListed = 200_000;

    private const int Fewest = 2;
    private const int FewestNumbers = 10;
    private const int Part = 4096;
    private const int Named = 12;

    /// <summary>Checks a definition without looking at data.</summary>
    /// <param name="concept">The definition.</param>
    /// <exception cref="AnalysisException">Something is missing or out of range; says what and the remedy.</exception>
    public static void Validate(ConceptDefinition concept)
    {
        if (string.IsNullOrWhiteSpace(concept.Name) || concept.Name.Length > 200)
        {
            throw new AnalysisException("The concept has no name of 1 to 200 characters.", "Give it a short name.");
        }

        if (!Sources.Contains(concept.Source))
        {
            throw new AnalysisException($"The concept {concept.Name} cannot be said by '{FileFault.Short(concept.Source)}'.", $"Choose one of: {string.Join(", ", Sources)}.");
        }

        if (concept.Classes.Count + concept.Positives.Count + concept.Negatives.Count + concept.Regions.Count > MostListed)
        {
            throw new AnalysisException($"The concept {concept.Name} lists more than {MostListed:N0} images.", "Say it by classes or by a column of attributes.");
        }

        var missing = concept.Source switch
        {
            "classes" when concept.Classes.Count == 0 => "classes by their folders",
            "samples" when concept.Positives.Count == 0 => "images that show it",
            "attribute" when string.IsNullOrWhiteSpace(concept.Attribute) => "a column of attributes",
            "region" when concept.Regions.Count == 0 => "images with a place",
            "concept" when concept.Unit is null => "the identifier of a discovered concept",
            "neuron" when concept.Unit is null => "a channel",
            _ => null,
        };
        if (missing is not null)
        {
            throw new AnalysisException($"The concept {concept.Name} says nothing about what shows it.", $"Name {missing}.");
        }

        if (concept.Source is "concept" or "neuron" && !(concept.Share is > 0 and <= 0.5))
        {
            throw new AnalysisException($"A share of {concept.Share.ToString(CultureInfo.InvariantCulture)} of the images cannot show the concept {concept.Name}.", "Choose a share above 0 and at most 0.5.");
        }

        foreach (var region in concept.Regions)
        {
            if (!(region.Left >= 0 && region.Top >= 0 && region.Width > 0 && region.Height > 0 && region.Left + region.Width <= 1 + 1e-6 && region.Top + region.Height <= 1 + 1e-6))
            {
                throw new AnalysisException($"The place in {FileFault.Short(region.Path)} does not lie in the image.", "Give left, top, width and height as shares from 0 to 1.");
            }
        }
    }

    /// <summary>Checks a definition and empties the fields that its source does not use, so that equal concepts have equal texts.</summary>
    /// <param name="concept">The definition, perhaps just read from JSON.</param>
    /// <exception cref="AnalysisException">Something is missing or out of range; says what and the remedy.</exception>
    public static ConceptDefinition Normalise(ConceptDefinition? concept)
    {
        if (concept is null)
        {
            throw new AnalysisException("No concept was given.", "Give an object with name and source.");
        }

        // JSON may hold null where the type does not.
        var (positives, negatives, classes, regions) = (concept.Positives ?? [], concept.Negatives ?? [], concept.Classes ?? [], concept.Regions ?? []);
        if (positives.Concat(negatives).Concat(classes).Any(t => t is null) || regions.Any(r => r?.Path is null))
        {
            throw new AnalysisException($"A list of the concept {concept.Name} holds null.", "Write paths, classes and regions as texts and objects.");
        }

        var source = concept.Source;
        var result = new ConceptDefinition
        {
            Name = concept.Name?.Trim() ?? "",
            Source = source ?? "",
            Classes = source == "classes" ? [.. classes.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)] : [],
            Positives = source == "samples" ? [.. positives.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)] : [],
            Negatives = source is "samples" or "region" ? [.. negatives.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)] : [],
            Regions = source == "region" ? [.. regions] : [],
            Attribute = source == "attribute" ? concept.Attribute?.Trim() : null,
            Value = source == "attribute" ? concept.Value : null,
            Unit = source is "concept" or "neuron" ? concept.Unit : null,
            Share = source is "concept" or "neuron" ? concept.Share : 0.05,
        };
        Validate(result);
        return result;
    }

    /// <summary>Resolves a concept.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="concept">The concept.</param>
    /// <param name="seed">Seed of the choice of samples for testing; equal seeds give equal choices.</param>
    /// <exception cref="AnalysisException">
    /// The definition names something that the analysis does not have, or no probe can be fitted: fewer than two different images
    /// on one side, or fewer than ten numbers.
    /// </exception>
    public static ConceptLabels Resolve(TaskContext context, ConceptDefinition concept, int seed = 0)
    {
        Validate(concept);
        var (targets, continuous) = concept.Source switch
        {
            "classes" => (Classes(context, concept), false),
            "samples" => (Tagged(context, concept, concept.Positives), false),
            "region" => (Tagged(context, concept, [.. concept.Regions.Select(r => r.Path).Distinct(StringComparer.Ordinal)]), false),
            "attribute" => Attribute(context, concept),
            "concept" => (Strongest(context, concept, DiscoveredVector(context, concept)), false),
            _ => (Strongest(context, concept, ChannelVector(context, concept)), false),
        };
        var groups = Groups(context);
        Check(concept, targets, continuous, groups);
        return new ConceptLabels { Targets = targets, Continuous = continuous, HeldOut = ConceptSplit.HeldOut(targets, continuous, groups, seed) };
    }

    /// <summary>The same labels with another choice of samples for testing.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="labels">Labels.</param>
    /// <param name="seed">Seed of the choice.</param>
    public static ConceptLabels Split(TaskContext context, ConceptLabels labels, int seed) =>
        labels with { HeldOut = ConceptSplit.HeldOut(labels.Targets, labels.Continuous, Groups(context), seed) };

    private static double[] Classes(TaskContext context, ConceptDefinition concept)
    {
        var known = context.Classes.Select(c => c.Description.Name).ToHashSet(StringComparer.Ordinal);
        if (concept.Classes.FirstOrDefault(c => !known.Contains(c)) is { } unknown)
        {
            throw new AnalysisException($"The analysis has no class '{FileFault.Short(unknown)}'.", $"It has: {List(known.Order(StringComparer.Ordinal))}.");
        }

        var wanted = concept.Classes.ToHashSet(StringComparer.Ordinal);
        return [.. context.Samples.Select(s => wanted.Contains(s.Class) ? 1.0 : 0)];
    }

    private static double[] Tagged(TaskContext context, ConceptDefinition concept, IReadOnlyList<string> positives)
    {
        var place = new Dictionary<string, int>(context.Samples.Count, StringComparer.Ordinal);
        foreach (var sample in context.Samples)
        {
            place[sample.Path] = sample.Index;
        }

        var targets = new double[context.Samples.Count];
        if (concept.Negatives.Count > 0)
        {
            Array.Fill(targets, double.NaN);
        }

        var unknown = positives.Concat(concept.Negatives).Where(p => !place.ContainsKey(p)).Distinct(StringComparer.Ordinal).ToList();
        if (unknown.Count > 0)
        {
            throw new AnalysisException(
                $"{unknown.Count} of the images that {concept.Name} names are not in the analysis: {List(unknown.Select(u => FileFault.Short(u)))}.",
                $"Write paths as the data set does, for example {context.Samples[0].Path}; images that could not be read do not count.");
        }

        foreach (var path in concept.Negatives)
        {
            targets[place[path]] = 0;
        }

        var negative = concept.Negatives.ToHashSet(StringComparer.Ordinal);
        foreach (var path in positives)
        {
            if (negative.Contains(path))
            {
                throw new AnalysisException($"{path} is said to show {concept.Name} and not to show it.", "Take it out of one of the two.");
            }

            targets[place[path]] = 1;
        }

        return targets;
    }

    private static (double[] Targets, bool Continuous) Attribute(TaskContext context, ConceptDefinition concept)
    {
        var table = LabelSources.Beside(context.Plan.Dataset.Root, AnnotationFiles.Attributes)
            ?? throw new AnalysisException($"The data set {context.Plan.Dataset.Name} has no {AnnotationFiles.Attributes}.", "Put the table into its folder: a column 'path' and any number of others.");
        var columns = LabelSources.Columns(table, [.. context.Samples.Select(s => s.Path)]);
        var place = columns.ToList().FindIndex(c => string.Equals(c.Name, concept.Attribute!.Trim(), StringComparison.OrdinalIgnoreCase));
        if (place < 0)
        {
            throw new AnalysisException($"{AnnotationFiles.Attributes} has no column '{FileFault.Short(concept.Attribute!)}'.", $"It has: {List(columns.Select(c => c.Name))}.");
        }

        var values = columns[place].Values;
        var distinct = values.Where(v => v is not null).Select(v => v!).Distinct(StringComparer.OrdinalIgnoreCase).ToList();
        if (concept.Value is { } value)
        {
            return distinct.Contains(value, StringComparer.OrdinalIgnoreCase)
                ? (Array.ConvertAll(values, v => v is null ? double.NaN : string.Equals(v, value, StringComparison.OrdinalIgnoreCase) ? 1 : 0), false)
                : throw new AnalysisException($"The column {columns[place].Name} never holds '{FileFault.Short(value)}'.", $"It holds: {List(distinct.Order(StringComparer.OrdinalIgnoreCase))}.");
        }

        if (distinct.All(v => LabelSources.YesOrNo(v) is not null))
        {
            return (Array.ConvertAll(values, v => v is null ? double.NaN : LabelSources.YesOrNo(v) == true ? 1 : 0), false);
        }

        // Nothing written is an unknown number, and a no in a column of yes and no.
        var numbers = Array.ConvertAll(values, v => double.TryParse(v, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : double.NaN);
        return values.Zip(numbers).All(p => string.IsNullOrEmpty(p.First) || double.IsFinite(p.Second))
            ? (numbers, true)
            : throw new AnalysisException(
                $"The column {columns[place].Name} holds words, and no value was named.", $"Name the value that means {concept.Name}: {List(distinct.Where(v => v.Length > 0).Order(StringComparer.OrdinalIgnoreCase))}.");
    }

    private static double[] ChannelVector(TaskContext context, ConceptDefinition concept)
    {
        var channels = context.Plan.Layer.Channels;
        if (concept.Unit!.Value < 0 || concept.Unit.Value >= channels)
        {
            throw new AnalysisException($"The layer {context.Plan.Layer.Name} has no channel {concept.Unit}.", $"Choose 0 to {channels - 1}.");
        }

        var vector = new double[channels];
        vector[concept.Unit.Value] = 1;
        return vector;
    }

    private static double[] DiscoveredVector(TaskContext context, ConceptDefinition concept)
    {
        foreach (var index in context.Classes.Select(c => c.Description.Index))
        {
            var path = ClassArraysFile.AtlasPathOf(context.ResultFolder, index);
            if (!File.Exists(path))
            {
                continue;
            }

            var atlas = JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllText(path), AnalysisJson.Line)!;
            for (var rank = 0; rank < atlas.Concepts.Count; rank++)
            {
                if (atlas.Concepts[rank].Id == concept.Unit)
                {
                    using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(context.ResultFolder, index));
                    var width = (int)file.Entry("concept_vectors").Shape[1];
                    return Array.ConvertAll(file.Span<float>("concept_vectors").Slice(rank * width, width).ToArray(), v => (double)v);
                }
            }
        }

        throw new AnalysisException($"The analysis has no concept with the identifier {concept.Unit}.", "Take the identifier (id) from the table of concepts.");
    }

    /// <summary>1 for the share of the samples with the largest activation along a direction of the analysis's layer.</summary>
    private static double[] Strongest(TaskContext context, ConceptDefinition concept, double[] vector)
    {
        var store = context.Store;
        var activation = new double[store.Rows];
        for (var start = 0; start < store.Rows; start += Part)
        {
            context.Cancellation.ThrowIfCancellationRequested();
            using var pooled = store.ReadTensor("pooled.0", start, Math.Min(Part, store.Rows - start));
            var rows = DenseMatrix.FromTensor(pooled);
            for (var i = 0; i < rows.Rows; i++)
            {
                activation[start + i] = Vectors.Dot(rows.Row(i), vector);
            }
        }

        var order = Ranks.Descending(activation);
        var count = (int)Math.Ceiling(concept.Share * activation.Length);
        var targets = new double[activation.Length];
        var least = activation.Length > 0 ? activation[order[^1]] : 0;
        foreach (var row in order.Take(count))
        {
            // Behind a ReLU many samples may be exactly silent; those never show it.
            targets[row] = activation[row] > least ? 1 : 0;
        }

        return targets;
    }

    /// <summary>Group of each sample: equal for exact duplicates.</summary>
    private static ulong[] Groups(TaskContext context)
    {
        var rows = Enumerable.Range(0, context.Store.Rows).ToArray();
        var bytes = context.Store.Gather<byte>("hash", rows);
        return Array.ConvertAll(rows, i => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(i * 8, 8)));
    }

    private static void Check(ConceptDefinition concept, double[] targets, bool continuous, ulong[] groups)
    {
        int Different(Func<double, bool> which) => targets.Select((t, i) => (t, i)).Where(p => which(p.t)).Select(p => groups[p.i]).Distinct().Count();
        if (continuous)
        {
            var known = Different(double.IsFinite);
            if (known < FewestNumbers || targets.Where(double.IsFinite).Distinct().Count() < 2)
            {
                throw new AnalysisException(
                    $"The column {concept.Attribute} gives {known} different images a number, or the same number to all.", $"A probe needs numbers for at least {FewestNumbers} images.");
            }

            return;
        }

        var (positive, negative) = (Different(t => t == 1), Different(t => t == 0));
        if (positive < Fewest || negative < Fewest)
        {
            throw new AnalysisException(
                $"{concept.Name} is shown by {positive} different images and not by {negative}: there is nothing to tell apart.",
                $"Name at least {Fewest} different images that show it, and {Fewest} that do not.");
        }
    }

    private static string List(IEnumerable<string> names)
    {
        var all = names.Take(Named + 1).ToList();
        return string.Join(", ", all.Take(Named)) + (all.Count > Named ? ", …" : "");
    }
}
