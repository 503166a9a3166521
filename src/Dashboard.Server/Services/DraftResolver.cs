using System.Buffers.Binary;
using System.Text.Json;
using Analysis;
using Analysis.Activations;
using Analysis.Datasets;
using Analysis.Labels;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>
/// Finds out which samples a draft means, from the catalogue and the files of the run, by the engine's rules
/// (<see cref="ConceptRules"/>): the same samples, and the same ones kept for testing, as a probe with seed 0 has, without opening
/// the network.
/// </summary>
internal sealed class DraftResolver(IDbContextFactory<DashboardDbContext> databases, DataFolders folders, AllowedRoots roots, ClassArraysCache arrays)
{
    private const int Shown = 48;
    private const int MostValues = 200;
    private const double Lopsided = 0.95;
    private const int FewForTesting = 10;

    // Tables can be large: the last one stays parsed.
    private (string Version, IReadOnlyList<(string Name, string?[] Values)> Columns)? _table;

    /// <summary>Which samples a draft means.</summary>
    /// <exception cref="ServiceException">The draft says nothing that can be resolved; says what to do.</exception>
    public async Task<ConceptPreview> PreviewAsync(AnalysisEntity analysis, ConceptDraft draft, CancellationToken cancellation)
    {
        var samples = await SamplesAsync(analysis, cancellation);
        if (samples.Paths.Length == 0)
        {
            throw new ServiceException("The analysis has no images yet. Wait for its end, then define concepts.");
        }

        return await Task.Run(() => Resolve(analysis, draft, samples), cancellation);
    }

    /// <summary>The samples that a draft means, and those of them that are kept for testing.</summary>
    /// <exception cref="ServiceException">The draft says nothing that can be resolved; says what to do.</exception>
    public async Task<(ConceptTargets Targets, bool[] HeldOut)> TargetsAsync(AnalysisEntity analysis, ConceptDraft draft, CancellationToken cancellation)
    {
        var samples = await SamplesAsync(analysis, cancellation);
        var (found, _, heldOut) = await Task.Run(() => Find(analysis, draft, samples, []), cancellation);
        return (found, heldOut);
    }

    /// <summary>Columns of the data set's table of attributes.</summary>
    public async Task<AttributesView> AttributesAsync(AnalysisEntity analysis, CancellationToken cancellation)
    {
        var samples = await SamplesAsync(analysis, cancellation);
        return await Task.Run(() =>
        {
            try
            {
                return Table(analysis, samples.Paths) is { } columns
                    ? new AttributesView([.. columns.Select(Describe)], null)
                    : new AttributesView([], $"The data set's folder has no {AnnotationFiles.Attributes}. Write one: a column 'path', as the data set names its images, and one for each attribute.");
            }
            catch (AnalysisException fault)
            {
                return new AttributesView([], fault.Message);
            }
        }, cancellation);
    }

    private sealed record Listed(string[] Paths, string[] ClassNames);

    private async Task<Listed> SamplesAsync(AnalysisEntity analysis, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var names = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key).ToDictionaryAsync(row => row.Index, row => row.Name, cancellation);
        var rows = await database.Samples.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key).OrderBy(row => row.Index)
            .Select(row => new { row.Path, row.Class }).ToListAsync(cancellation);
        var paths = rows.Select(row => row.Path).ToArray();
        return new Listed(paths, [.. rows.Select(row => names.GetValueOrDefault(row.Class, ""))]);
    }

    private ConceptPreview Resolve(AnalysisEntity analysis, ConceptDraft draft, Listed samples)
    {
        var notes = new List<string>();
        var (found, groups, heldOut) = Find(analysis, draft, samples, notes);
        var (targets, continuous, order, missing) = (found.Targets, found.Continuous, found.Order, found.Missing.Count);
        if (missing > 0)
        {
            notes.Add($"{missing:N0} of the tagged images are not in the analysis and do not count.");
        }

        var known = targets.Count(double.IsFinite);
        if (continuous)
        {
            var byValue = Enumerable.Range(0, targets.Length).Where(i => double.IsFinite(targets[i])).OrderByDescending(i => targets[i]).ToArray();
            var (different, _, enough) = ConceptRules.Sides(found, groups);
            return new ConceptPreview
            {
                Continuous = true,
                Known = known,
                Unused = targets.Length - known,
                HeldOutPositives = heldOut.Count(h => h),
                PositiveExamples = [.. byValue.Take(Shown)],
                NegativeExamples = [.. byValue.Reverse().Take(Shown)],
                Problem = !enough
                    ? $"The column {draft.Attribute} gives {different:N0} different images a number, or the same number to all. A probe needs numbers for at least {ConceptRules.FewestNumbers} images."
                    : null,
                Missing = missing,
                Notes = notes,
            };
        }

        var (positives, negatives) = (targets.Count(t => t == 1), targets.Count(t => t == 0));
        var problem = Problem(draft, found, groups);
        if (problem is null && Math.Max(positives, negatives) > Lopsided * known)
        {
            notes.Add($"{(positives > negatives ? "Almost all" : "Few")} of the images show it: whoever always says {(positives > negatives ? "yes" : "no")} is right in {100.0 * Math.Max(positives, negatives) / known:0.#}% of them. Read a probe's balanced accuracy, not its accuracy.");
        }

        var (testedPositives, testedNegatives) = (Count(1), Count(0));
        if (problem is null && Math.Min(testedPositives, testedNegatives) < FewForTesting)
        {
            notes.Add($"Only {Math.Min(testedPositives, testedNegatives):N0} images of one side are kept for testing: the accuracy of a probe will be uncertain. Tag more.");
        }

        return new ConceptPreview
        {
            Positives = positives,
            Negatives = negatives,
            Known = known,
            Unused = targets.Length - known,
            HeldOutPositives = testedPositives,
            HeldOutNegatives = testedNegatives,
            PositiveExamples = order is null ? Spread(1) : [.. order.Where(i => targets[i] == 1).Take(Shown)],
            NegativeExamples = Spread(0),
            Missing = missing,
            Problem = problem,
            Notes = notes,
        };

        int Count(double side) => targets.Where((t, i) => t == side && heldOut[i]).Count();

        // Spread over the list, so that all classes are seen.
        IReadOnlyList<int> Spread(double side)
        {
            var rows = Enumerable.Range(0, targets.Length).Where(i => targets[i] == side).ToArray();
            return rows.Length <= Shown ? rows : [.. Enumerable.Range(0, Shown).Select(i => rows[(int)((long)i * rows.Length / Shown)])];
        }
    }

    private (ConceptTargets Found, ulong[] Groups, bool[] HeldOut) Find(AnalysisEntity analysis, ConceptDraft draft, Listed samples, List<string> notes)
    {
        var concept = Definition(draft);
        ConceptTargets found;
        try
        {
            ConceptResolver.Validate(concept);
            found = ConceptRules.Resolve(new OfCatalogue(this, analysis, samples), concept);
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }

        var groups = Groups(analysis, found.Targets.Length, notes);
        return (found, groups, ConceptSplit.HeldOut(found.Targets, found.Continuous, groups, 0));
    }

    private static string? Problem(ConceptDraft draft, ConceptTargets targets, ulong[] groups)
    {
        const int Fewest = ConceptRules.FewestImages;
        var (positive, negative, enough) = ConceptRules.Sides(targets, groups);
        if (enough)
        {
            return null;
        }

        return (positive, negative, draft.Source) switch
        {
            ( < Fewest, _, "classes") => "No image lies in the chosen classes. Choose a class that has images.",
            (_, < Fewest, "classes") => "Every image lies in the chosen classes, so that there is nothing to tell them from. Leave at least one class out.",
            ( < Fewest, _, "samples" or "region") => $"{(positive == 0 ? "No image is" : "Only one image is")} tagged as showing it. Tag at least two different ones.",
            (_, < Fewest, "samples" or "region") => $"{(negative == 0 ? "No image is" : "Only one image is")} left that does not show it. Tag at least two different ones as not showing it.",
            ( < Fewest, _, "concept" or "neuron") => "Too few images activate it. Raise the share of images that count.",
            ( < Fewest, _, _) => $"Fewer than two different images show it. Choose another value of {draft.Attribute}.",
            _ => $"Fewer than two different images do not show it. Choose another value of {draft.Attribute}.",
        };
    }

    /// <summary>The draft as the engine takes it.</summary>
    private static ConceptDefinition Definition(ConceptDraft draft) => new()
    {
        // Only for messages: drafts are previewed before they have a name.
        Name = string.IsNullOrWhiteSpace(draft.Name) ? "that you define" : draft.Name,
        Source = draft.Source,
        Classes = draft.Classes,
        Positives = draft.Positives,
        Negatives = draft.Negatives,
        Attribute = draft.Attribute,
        Value = draft.Value,
        Regions = [.. draft.Regions.Select(r => new ConceptRegion(r.Path, r.Left, r.Top, r.Width, r.Height))],
        Unit = draft.Unit,
        Share = draft.Share,
    };

    /// <summary>Activation of each sample along a unit, from the result of the run.</summary>
    private double[] Activation(AnalysisEntity analysis, ConceptDefinition concept, int count)
    {
        var folder = folders.Run(analysis.Id);
        var path = Path.Combine(folder, "tensors.safetensors");
        if (!File.Exists(path))
        {
            throw new ServiceException("The analysis is not complete. Wait for its end, then take a concept or a neuron of it.");
        }

        using var file = SafetensorsFile.Open(path);
        var width = (int)file.Entry("pooled").Shape[1];
        var vector = concept.Source == "neuron" ? ConceptRules.Channel(analysis.Layer, concept.Unit!.Value, width) : Discovered(analysis, folder, concept.Unit!.Value, width);
        var activation = new double[count];
        for (var row = 0; row < count; row++)
        {
            activation[row] = Vectors.Dot(Array.ConvertAll(file.Rows<float>("pooled", row, 1).ToArray(), value => (double)value), vector);
        }

        return activation;
    }

    private double[] Discovered(AnalysisEntity analysis, string folder, int concept, int width)
    {
        using var database = databases.CreateDbContext();
        var row = database.Concepts.AsNoTracking().FirstOrDefault(entry => entry.AnalysisKey == analysis.Key && entry.Id == concept)
            ?? throw new ServiceException($"The analysis has no concept {concept}.");
        var vectors = arrays.Find(folder, row.Class)?.Vectors ?? [];
        return vectors.Length >= (row.Rank + 1) * width
            ? Array.ConvertAll(vectors.AsSpan(row.Rank * width, width).ToArray(), value => (double)value)
            : throw new ServiceException("The analysis kept no vector of this concept. Run it again.");
    }

    /// <summary>Group of each sample: equal for exact duplicates where the recorded activations are still kept.</summary>
    private ulong[] Groups(AnalysisEntity analysis, int count, List<string> notes)
    {
        if (RunFiles.Keys(folders.Run(analysis.Id))?.GetValueOrDefault("activations") is { } key)
        {
            var folder = Path.Combine(folders.Store, key);
            var groups = new List<ulong>(count);
            try
            {
                for (var shard = 0; groups.Count < count && File.Exists(ActivationExtractor.ShardPath(folder, shard)); shard++)
                {
                    using var file = SafetensorsFile.Open(ActivationExtractor.ShardPath(folder, shard));
                    var bytes = file.Bytes("hash");
                    for (var at = 0; at + 8 <= bytes.Length; at += 8)
                    {
                        groups.Add(BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]));
                    }
                }
            }
            catch (Exception fault) when (fault is AnalysisException or IOException)
            {
                // Recorded again by the probe; until then the division is an estimate.
            }

            if (groups.Count == count)
            {
                return [.. groups];
            }
        }

        notes.Add("The recorded activations were cleaned away: what is kept for testing is an estimate until a probe is trained.");
        return [.. Enumerable.Range(0, count).Select(i => (ulong)i)];
    }

    private IReadOnlyList<(string Name, string?[] Values)>? Table(AnalysisEntity analysis, string[] paths)
    {
        var root = JsonSerializer.Deserialize<AnalysisRequest>(analysis.Request, Json.Options)!.Dataset;
        if (!analysis.IsSample && !roots.IsBelow(AllowedRoots.Resolve(Path.GetFullPath(root)) ?? ""))
        {
            throw new AnalysisException("The data set lies outside the folders that this site may read.", "Start the site with --data-root and the folder.");
        }

        var file = new FileInfo(Path.Combine(root, AnnotationFiles.Attributes));
        if (!file.Exists)
        {
            return null;
        }

        var version = FormattableString.Invariant($"{analysis.Id}/{analysis.Version}/{file.FullName}/{file.Length}/{file.LastWriteTimeUtc.Ticks}");
        if (_table is { } known && known.Version == version)
        {
            return known.Columns;
        }

        if (LabelSources.Beside(root, AnnotationFiles.Attributes) is not { } text)
        {
            return null;
        }

        var columns = LabelSources.Columns(text, paths);
        _table = (version, columns);
        return columns;
    }

    private static AttributeColumn Describe((string Name, string?[] Values) column)
    {
        var kind = AttributeValues.KindOf(column.Values);
        var values = kind == AttributeKind.YesNo || AttributeValues.HasLevels(column.Values)
            ? AttributeValues.Levels(column.Values).Take(MostValues).Select(level => new AttributeValue(level.Value, level.Count))
            : [];
        return new AttributeColumn(
            column.Name,
            kind switch { AttributeKind.YesNo => "yesno", AttributeKind.Numbers => "numbers", _ => "words" },
            column.Values.Count(v => kind == AttributeKind.Numbers ? double.IsFinite(AttributeValues.Number(v)) : v is not null),
            [.. values]);
    }

    /// <summary>An analysis as the catalogue and the files of the run know it.</summary>
    private sealed class OfCatalogue(DraftResolver resolver, AnalysisEntity analysis, Listed samples) : IConceptSamples
    {
        public IReadOnlyList<string> Paths => samples.Paths;

        public IReadOnlyList<string> ClassNames => samples.ClassNames;

        public IReadOnlyList<(string Name, string?[] Values)>? Attributes => resolver.Table(analysis, samples.Paths);

        public double[] Activation(ConceptDefinition concept) => resolver.Activation(analysis, concept, samples.Paths.Length);
    }
}
