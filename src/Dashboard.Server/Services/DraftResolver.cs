using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using Analysis;
using Analysis.Activations;
using Analysis.Datasets;
using Analysis.Labels;
using Analysis.Networks.Files;
using Analysis.Probes;
using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>
/// Finds out which samples a draft means, from the catalogue and the files of the run: the same samples, and the same ones kept
/// for testing, as the engine's ConceptResolver finds with seed 0, without opening the network.
/// </summary>
internal sealed class DraftResolver(IDbContextFactory<DashboardDbContext> databases, DataFolders folders, AllowedRoots roots, ClassArraysCache arrays)
{
    private const int Shown = 48;
    private const int Fewest = 2;
    private const int FewestNumbers = 10;
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

    private sealed record Listed(string[] Paths, string[] ClassNames, Dictionary<string, int> RowOf);

    private async Task<Listed> SamplesAsync(AnalysisEntity analysis, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var names = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key).ToDictionaryAsync(row => row.Index, row => row.Name, cancellation);
        var rows = await database.Samples.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key).OrderBy(row => row.Index)
            .Select(row => new { row.Path, row.Class }).ToListAsync(cancellation);
        var paths = rows.Select(row => row.Path).ToArray();
        var of = new Dictionary<string, int>(paths.Length, StringComparer.Ordinal);
        for (var i = 0; i < paths.Length; i++)
        {
            of[paths[i]] = i;
        }

        return new Listed(paths, [.. rows.Select(row => names.GetValueOrDefault(row.Class, ""))], of);
    }

    private ConceptPreview Resolve(AnalysisEntity analysis, ConceptDraft draft, Listed samples)
    {
        var notes = new List<string>();
        var missing = 0;
        var (targets, continuous, order) = draft.Source switch
        {
            "classes" => (Classes(draft, samples), false, null),
            "samples" => (Tagged(draft, draft.Positives, samples, ref missing), false, null),
            "region" => (Tagged(draft, [.. Regions(draft).Select(region => region.Path).Distinct(StringComparer.Ordinal)], samples, ref missing), false, null),
            "attribute" => Attribute(analysis, draft, samples),
            "concept" or "neuron" => Strongest(analysis, draft, samples.Paths.Length),
            _ => throw new ServiceException($"A concept cannot be said by '{draft.Source}'. Choose one of: classes, samples, attribute, region, concept, neuron."),
        };
        var groups = Groups(analysis, targets.Length, notes);
        var heldOut = ConceptSplit.HeldOut(targets, continuous, groups, 0);
        if (missing > 0)
        {
            notes.Add($"{missing:N0} of the tagged images are not in the analysis and do not count.");
        }

        var known = targets.Count(double.IsFinite);
        if (continuous)
        {
            var byValue = Enumerable.Range(0, targets.Length).Where(i => double.IsFinite(targets[i])).OrderByDescending(i => targets[i]).ToArray();
            var different = byValue.Select(i => groups[i]).Distinct().Count();
            return new ConceptPreview
            {
                Continuous = true,
                Known = known,
                Unused = targets.Length - known,
                HeldOutPositives = heldOut.Count(h => h),
                PositiveExamples = [.. byValue.Take(Shown)],
                NegativeExamples = [.. byValue.Reverse().Take(Shown)],
                Problem = different < FewestNumbers || targets.Where(double.IsFinite).Distinct().Count() < 2
                    ? $"The column {draft.Attribute} gives {different:N0} different images a number, or the same number to all. A probe needs numbers for at least {FewestNumbers} images."
                    : null,
                Missing = missing,
                Notes = notes,
            };
        }

        var (positives, negatives) = (targets.Count(t => t == 1), targets.Count(t => t == 0));
        var problem = Problem(draft, targets, groups);
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

    private static string? Problem(ConceptDraft draft, double[] targets, ulong[] groups)
    {
        int Different(double side) => targets.Select((t, i) => (t, i)).Where(p => p.t == side).Select(p => groups[p.i]).Distinct().Count();
        var (positive, negative) = (Different(1), Different(0));
        if (positive >= Fewest && negative >= Fewest)
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

    private static double[] Classes(ConceptDraft draft, Listed samples)
    {
        if (draft.Classes.Count == 0)
        {
            throw new ServiceException("No class is chosen. Choose the classes whose images show the concept.");
        }

        var known = samples.ClassNames.ToHashSet(StringComparer.Ordinal);
        if (draft.Classes.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
        {
            throw new ServiceException($"The analysis has no class '{unknown}' with images. Choose among its classes.");
        }

        var wanted = draft.Classes.ToHashSet(StringComparer.Ordinal);
        return Array.ConvertAll(samples.ClassNames, name => wanted.Contains(name) ? 1.0 : 0);
    }

    private static IReadOnlyList<DraftRegion> Regions(ConceptDraft draft)
    {
        foreach (var region in draft.Regions)
        {
            if (!(region.Left >= 0 && region.Top >= 0 && region.Width > 0 && region.Height > 0 && region.Left + region.Width <= 1 + 1e-6 && region.Top + region.Height <= 1 + 1e-6))
            {
                throw new ServiceException($"The place in {region.Path} does not lie in the image. Give left, top, width and height as shares from 0 to 1.");
            }
        }

        return draft.Regions;
    }

    private static double[] Tagged(ConceptDraft draft, IReadOnlyList<string> positives, Listed samples, ref int missing)
    {
        var targets = new double[samples.Paths.Length];
        if (draft.Negatives.Count > 0)
        {
            Array.Fill(targets, double.NaN);
        }

        foreach (var path in draft.Negatives.Distinct(StringComparer.Ordinal))
        {
            Set(path, 0, ref missing);
        }

        var negative = draft.Negatives.ToHashSet(StringComparer.Ordinal);
        foreach (var path in positives.Distinct(StringComparer.Ordinal))
        {
            if (negative.Contains(path))
            {
                throw new ServiceException($"{path} is tagged as showing the concept and as not showing it. Take it out of one of the two.");
            }

            Set(path, 1, ref missing);
        }

        return targets;

        void Set(string path, double value, ref int gone)
        {
            if (samples.RowOf.TryGetValue(path, out var row))
            {
                targets[row] = value;
            }
            else
            {
                gone++;
            }
        }
    }

    private (double[] Targets, bool Continuous, int[]? Order) Attribute(AnalysisEntity analysis, ConceptDraft draft, Listed samples)
    {
        if (string.IsNullOrWhiteSpace(draft.Attribute))
        {
            throw new ServiceException("No column is chosen. Choose a column of attributes.csv.");
        }

        IReadOnlyList<(string Name, string?[] Values)> columns;
        try
        {
            columns = Table(analysis, samples.Paths) ?? throw new ServiceException($"The data set's folder has no {AnnotationFiles.Attributes}.");
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }

        var column = columns.FirstOrDefault(c => string.Equals(c.Name, draft.Attribute.Trim(), StringComparison.OrdinalIgnoreCase));
        if (column.Values is null)
        {
            throw new ServiceException($"{AnnotationFiles.Attributes} has no column '{draft.Attribute}'. It has: {string.Join(", ", columns.Take(12).Select(c => c.Name))}.");
        }

        if (draft.Value is { } value)
        {
            return (Array.ConvertAll(column.Values, v => v is null ? double.NaN : string.Equals(v, value, StringComparison.OrdinalIgnoreCase) ? 1 : 0), false, null);
        }

        return Kind(column.Values) switch
        {
            "yesno" => (Array.ConvertAll(column.Values, v => v is null ? double.NaN : LabelSources.YesOrNo(v) == true ? 1 : 0), false, null),
            "numbers" => (Array.ConvertAll(column.Values, Number), true, null),
            _ => throw new ServiceException($"The column {column.Name} holds words. Choose the value that means the concept."),
        };
    }

    /// <summary>The share of the samples with the largest activation, and all samples by it.</summary>
    private (double[] Targets, bool Continuous, int[]? Order) Strongest(AnalysisEntity analysis, ConceptDraft draft, int count)
    {
        if (draft.Unit is not { } unit)
        {
            throw new ServiceException(draft.Source == "neuron" ? "No channel is chosen. Give its number." : "No discovered concept is chosen. Choose one on its page.");
        }

        if (!(draft.Share is > 0 and <= 0.5))
        {
            throw new ServiceException($"A share of {draft.Share.ToString(CultureInfo.InvariantCulture)} is not possible. Choose one above 0 and at most 0.5.");
        }

        var folder = folders.Run(analysis.Id);
        var path = Path.Combine(folder, "tensors.safetensors");
        if (!File.Exists(path))
        {
            throw new ServiceException("The analysis is not complete. Wait for its end, then take a concept or a neuron of it.");
        }

        try
        {
            using var file = SafetensorsFile.Open(path);
            var width = (int)file.Entry("pooled").Shape[1];
            var vector = draft.Source == "neuron" ? Channel(unit, width) : Discovered(analysis, folder, unit, width);
            var activation = new double[count];
            for (var row = 0; row < count; row++)
            {
                var values = file.Rows<float>("pooled", row, 1);
                var sum = 0.0;
                for (var c = 0; c < width; c++)
                {
                    sum += values[c] * vector[c];
                }

                activation[row] = sum;
            }

            var order = Enumerable.Range(0, count).OrderByDescending(i => activation[i]).ToArray();
            var targets = new double[count];
            var least = activation[order[^1]];
            foreach (var row in order.Take((int)Math.Ceiling(draft.Share * count)))
            {
                // Behind a rectification many samples may be exactly silent; those never show it.
                targets[row] = activation[row] > least ? 1 : 0;
            }

            return (targets, false, order);
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }
    }

    private static double[] Channel(int unit, int width)
    {
        if (unit < 0 || unit >= width)
        {
            throw new ServiceException($"The layer has no channel {unit}. Choose 0 to {width - 1}.");
        }

        var vector = new double[width];
        vector[unit] = 1;
        return vector;
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
        var kind = Kind(column.Values);
        var values = kind == "numbers" ? [] : column.Values.Where(v => !string.IsNullOrEmpty(v)).GroupBy(v => v!, StringComparer.OrdinalIgnoreCase)
            .OrderByDescending(g => g.Count()).ThenBy(g => g.Key, StringComparer.Ordinal).Take(200).Select(g => new AttributeValue(g.Key, g.Count())).ToList();
        return new AttributeColumn(column.Name, kind, column.Values.Count(v => kind == "numbers" ? double.IsFinite(Number(v)) : v is not null), values);
    }

    private static string Kind(string?[] values)
    {
        var distinct = values.Where(v => v is not null).Select(v => v!).Distinct(StringComparer.OrdinalIgnoreCase).ToList();
        return distinct.All(v => LabelSources.YesOrNo(v) is not null) ? "yesno"
            : distinct.All(v => v.Length == 0 || double.IsFinite(Number(v))) ? "numbers"
            : "words";
    }

    private static double Number(string? value) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : double.NaN;
}
