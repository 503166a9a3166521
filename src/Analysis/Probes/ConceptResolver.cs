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

    private const int Part = 4096;

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
        var targets = ConceptRules.Resolve(new OfContext(context), concept);
        if (targets.Missing.Count > 0)
        {
            throw new AnalysisException(
                $"{targets.Missing.Count} of the images that {concept.Name} names are not in the analysis: {ConceptRules.List(targets.Missing.Select(u => FileFault.Short(u)))}.",
                $"Write paths as the data set does, for example {context.Samples[0].Path}; images that could not be read do not count.");
        }

        var groups = Groups(context);
        Check(concept, targets, groups);
        var labels = new ConceptLabels { Targets = targets.Targets, Continuous = targets.Continuous, HeldOut = ConceptSplit.HeldOut(targets.Targets, targets.Continuous, groups, seed) };
        if (concept.Source != "region")
        {
            return labels;
        }

        var rows = context.Samples.ToDictionary(s => s.Path, s => s.Index, StringComparer.Ordinal);
        return labels with { Places = concept.Regions.GroupBy(r => rows[r.Path]).ToDictionary(g => g.Key, g => g.ToArray()) };
    }

    /// <summary>The same labels with another choice of samples for testing.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="labels">Labels.</param>
    /// <param name="seed">Seed of the choice.</param>
    public static ConceptLabels Split(TaskContext context, ConceptLabels labels, int seed) =>
        labels with { HeldOut = ConceptSplit.HeldOut(labels.Targets, labels.Continuous, Groups(context), seed) };

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

    private static double[] Along(TaskContext context, double[] vector)
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

        return activation;
    }

    /// <summary>Group of each sample: equal for exact duplicates.</summary>
    internal static ulong[] Groups(TaskContext context)
    {
        var rows = Enumerable.Range(0, context.Store.Rows).ToArray();
        var bytes = context.Store.Gather<byte>("hash", rows);
        return Array.ConvertAll(rows, i => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(i * 8, 8)));
    }

    private static void Check(ConceptDefinition concept, ConceptTargets targets, ulong[] groups)
    {
        var (positive, negative, enough) = ConceptRules.Sides(targets, groups);
        if (enough)
        {
            return;
        }

        throw targets.Continuous
            ? new AnalysisException(
                $"The column {concept.Attribute} gives {positive} different images a number, or the same number to all.", $"A probe needs numbers for at least {ConceptRules.FewestNumbers} images.")
            : new AnalysisException(
                $"{concept.Name} is shown by {positive} different images and not by {negative}: there is nothing to tell apart.",
                $"Name at least {ConceptRules.FewestImages} different images that show it, and {ConceptRules.FewestImages} that do not.");
    }

    /// <summary>An analysis opened by the engine.</summary>
    private sealed class OfContext(TaskContext context) : IConceptSamples
    {
        public IReadOnlyList<string> Paths { get; } = [.. context.Samples.Select(s => s.Path)];

        public IReadOnlyList<string> ClassNames { get; } = [.. context.Samples.Select(s => s.Class)];

        public IReadOnlyList<(string Name, string?[] Values)>? Attributes =>
            LabelSources.Beside(context.Plan.Dataset.Root, AnnotationFiles.Attributes) is { } table ? LabelSources.Columns(table, Paths) : null;

        public double[] Activation(ConceptDefinition concept) => Along(
            context,
            concept.Source == "concept" ? DiscoveredVector(context, concept) : ConceptRules.Channel(context.Plan.Layer.Name, concept.Unit!.Value, context.Plan.Layer.Channels));
    }
}
