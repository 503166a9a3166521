using Analysis.Datasets;
using Analysis.Labels;
using Analysis.Networks.Files;
using Analysis.Numerics;

namespace Analysis.Probes;

/// <summary>What has to be known of an analysis to find the samples that show a concept.</summary>
public interface IConceptSamples
{
    /// <summary>Path of each sample.</summary>
    IReadOnlyList<string> Paths { get; }

    /// <summary>Class folder of each sample.</summary>
    IReadOnlyList<string> ClassNames { get; }

    /// <summary>Columns of the data set's attributes; null where it has no table.</summary>
    /// <exception cref="AnalysisException">The table cannot be read.</exception>
    IReadOnlyList<(string Name, string?[] Values)>? Attributes { get; }

    /// <summary>Activation of each sample along a discovered concept or a channel.</summary>
    /// <param name="concept">The definition; its source is <c>concept</c> or <c>neuron</c>.</param>
    /// <exception cref="AnalysisException">The analysis has no such unit.</exception>
    double[] Activation(ConceptDefinition concept);
}

/// <summary>Which samples show a concept.</summary>
/// <param name="Targets">For each sample: 1 shows it, 0 does not; a number where continuous; NaN takes no part.</param>
/// <param name="Continuous">True where targets are numbers.</param>
/// <param name="Order">Samples by activation, strongest first; null where the concept is not said by a unit.</param>
/// <param name="Missing">Paths that the definition names and the analysis does not have.</param>
public sealed record ConceptTargets(double[] Targets, bool Continuous, int[]? Order, IReadOnlyList<string> Missing);

/// <summary>
/// The rules by which a definition means samples. The engine and the preview of a draft both ask here, so that a person sees
/// the samples that a probe is then fitted to.
/// </summary>
public static class ConceptRules
{
    /// <summary>Fewest different images on each side of a concept of yes and no.</summary>
    public const int FewestImages = 2;

    /// <summary>Fewest different images with a number for a continuous concept.</summary>
    public const int FewestNumbers = 10;

    private const int Named = 12;

    /// <summary>Finds the samples that a definition means.</summary>
    /// <param name="samples">The analysis.</param>
    /// <param name="concept">The definition; checked by <see cref="ConceptResolver.Validate"/>.</param>
    /// <exception cref="AnalysisException">It names a class, column, value or unit that the analysis does not have, or contradicts itself.</exception>
    public static ConceptTargets Resolve(IConceptSamples samples, ConceptDefinition concept) => concept.Source switch
    {
        "classes" => Classes(samples, concept),
        "samples" => Tagged(samples, concept, concept.Positives),
        "region" => Tagged(samples, concept, [.. concept.Regions.Select(r => r.Path).Distinct(StringComparer.Ordinal)]),
        "attribute" => Attribute(samples, concept),
        _ => Strongest(samples.Activation(concept), concept.Share),
    };

    /// <summary>Counts different images: those with a number where continuous, else those that show the concept and those that do not.</summary>
    /// <param name="targets">What the samples show.</param>
    /// <param name="groups">Group of each sample: equal for exact duplicates.</param>
    /// <returns>Different images on either side (all with a number and 0 where continuous), and whether a probe can be fitted.</returns>
    public static (int Positive, int Negative, bool Enough) Sides(ConceptTargets targets, ReadOnlySpan<ulong> groups)
    {
        var (yes, no, different) = (new HashSet<ulong>(), new HashSet<ulong>(), new HashSet<double>());
        for (var i = 0; i < groups.Length; i++)
        {
            var target = targets.Targets[i];
            if (targets.Continuous && double.IsFinite(target))
            {
                yes.Add(groups[i]);
                different.Add(target);
            }
            else if (!targets.Continuous && target is 0 or 1)
            {
                (target == 1 ? yes : no).Add(groups[i]);
            }
        }

        return (yes.Count, no.Count, targets.Continuous ? yes.Count >= FewestNumbers && different.Count > 1 : yes.Count >= FewestImages && no.Count >= FewestImages);
    }

    /// <summary>A unit vector along a channel.</summary>
    /// <param name="layer">Name of the layer.</param>
    /// <param name="channel">The channel.</param>
    /// <param name="channels">Channels of the layer.</param>
    /// <exception cref="AnalysisException">The layer has no such channel.</exception>
    public static double[] Channel(string layer, int channel, int channels)
    {
        if (channel < 0 || channel >= channels)
        {
            throw new AnalysisException($"The layer {layer} has no channel {channel}.", $"Choose 0 to {channels - 1}.");
        }

        var vector = new double[channels];
        vector[channel] = 1;
        return vector;
    }

    /// <summary>The first names of a list, for messages.</summary>
    internal static string List(IEnumerable<string> names)
    {
        var all = names.Take(Named + 1).ToList();
        return string.Join(", ", all.Take(Named)) + (all.Count > Named ? ", …" : "");
    }

    private static ConceptTargets Classes(IConceptSamples samples, ConceptDefinition concept)
    {
        var known = samples.ClassNames.ToHashSet(StringComparer.Ordinal);
        if (concept.Classes.FirstOrDefault(c => !known.Contains(c)) is { } unknown)
        {
            throw new AnalysisException($"The analysis has no class '{FileFault.Short(unknown)}' with images.", $"It has: {List(known.Order(StringComparer.Ordinal))}.");
        }

        var wanted = concept.Classes.ToHashSet(StringComparer.Ordinal);
        return new ConceptTargets([.. samples.ClassNames.Select(c => wanted.Contains(c) ? 1.0 : 0)], false, null, []);
    }

    private static ConceptTargets Tagged(IConceptSamples samples, ConceptDefinition concept, IReadOnlyList<string> positives)
    {
        var place = new Dictionary<string, int>(samples.Paths.Count, StringComparer.Ordinal);
        for (var i = 0; i < samples.Paths.Count; i++)
        {
            place[samples.Paths[i]] = i;
        }

        var targets = new double[samples.Paths.Count];
        if (concept.Negatives.Count > 0)
        {
            Array.Fill(targets, double.NaN);
        }

        var missing = new List<string>();
        var negative = concept.Negatives.ToHashSet(StringComparer.Ordinal);
        foreach (var path in negative)
        {
            Set(path, 0);
        }

        foreach (var path in positives.Distinct(StringComparer.Ordinal))
        {
            if (negative.Contains(path))
            {
                throw new AnalysisException($"{path} is said to show {concept.Name} and not to show it.", "Take it out of one of the two.");
            }

            Set(path, 1);
        }

        return new ConceptTargets(targets, false, null, missing);

        void Set(string path, double value)
        {
            if (place.TryGetValue(path, out var row))
            {
                targets[row] = value;
            }
            else
            {
                missing.Add(path);
            }
        }
    }

    private static ConceptTargets Attribute(IConceptSamples samples, ConceptDefinition concept)
    {
        var columns = samples.Attributes
            ?? throw new AnalysisException($"The data set's folder has no {AnnotationFiles.Attributes}.", "Put the table into it: a column 'path' and any number of others.");
        var place = columns.ToList().FindIndex(c => string.Equals(c.Name, concept.Attribute!.Trim(), StringComparison.OrdinalIgnoreCase));
        if (place < 0)
        {
            throw new AnalysisException($"{AnnotationFiles.Attributes} has no column '{FileFault.Short(concept.Attribute!)}'.", $"It has: {List(columns.Select(c => c.Name))}.");
        }

        var (name, values) = columns[place];
        var written = values.Where(v => v is not null).Select(v => v!).Distinct(StringComparer.OrdinalIgnoreCase).Order(StringComparer.OrdinalIgnoreCase);
        if (concept.Value is { } value)
        {
            return values.Contains(value, StringComparer.OrdinalIgnoreCase)
                ? new ConceptTargets(Array.ConvertAll(values, v => v is null ? double.NaN : string.Equals(v, value, StringComparison.OrdinalIgnoreCase) ? 1 : 0), false, null, [])
                : throw new AnalysisException($"The column {name} never holds '{FileFault.Short(value)}'.", $"It holds: {List(written)}.");
        }

        return AttributeValues.KindOf(values) switch
        {
            AttributeKind.YesNo => new ConceptTargets(Array.ConvertAll(values, v => v is null ? double.NaN : AttributeValues.YesOrNo(v) == true ? 1 : 0), false, null, []),
            AttributeKind.Numbers => new ConceptTargets(Array.ConvertAll(values, AttributeValues.Number), true, null, []),
            _ => throw new AnalysisException(
                $"The column {name} holds words, and no value was named.", $"Choose the value that means {concept.Name}: {List(written.Where(v => v.Length > 0))}."),
        };
    }

    /// <summary>1 for the share of the samples with the largest activation.</summary>
    private static ConceptTargets Strongest(double[] activation, double share)
    {
        var order = Ranks.Descending(activation);
        var targets = new double[activation.Length];
        var least = activation.Length > 0 ? activation[order[^1]] : 0;
        foreach (var row in order.Take((int)Math.Ceiling(share * activation.Length)))
        {
            // Behind a ReLU many samples may be exactly silent; those never show it.
            targets[row] = activation[row] > least ? 1 : 0;
        }

        return new ConceptTargets(targets, false, order, []);
    }
}
