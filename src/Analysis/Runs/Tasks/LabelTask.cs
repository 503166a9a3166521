using System.Text.Json;
using Analysis.Atlas;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Labels;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Outliers;
using Analysis.Probes;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Tasks;

/// <summary>
/// Labels every neuron of the layer and every concept vector of the analysis with formulas of known concepts (INVERT, METHODS 5).
/// A unit's activation is the pooled channel, or the projection of the pooled activation, less the data set's mean, on the
/// concept vector.
/// </summary>
public sealed class LabelTask : IAnalysisTask
{
    private const int Block = 64;
    private const int Part = 2048;
    private const int Bins = 24;
    private const int Shown = 8;
    private const int CircuitSize = 6;
    private const int FewestSupport = 10;
    private static readonly string[] KnownSources = ["classes", "hierarchy", "attributes", "metadata", "concepts"];

    /// <inheritdoc/>
    public string Kind => "label";

    /// <inheritdoc/>
    public int Version => 4;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        LabelRequest request;
        try
        {
            request = parameters.Deserialize<LabelRequest>(AnalysisJson.Line) ?? new LabelRequest();
        }
        catch (JsonException fault)
        {
            throw new AnalysisException($"The parameters of the labels cannot be read: {fault.Message}", "Give an object with sources, units, length, beam, minimumFraction, maximumFraction, negative, permutations, seed, concepts.");
        }

        if (request.Sources.Except(KnownSources).FirstOrDefault() is { } unknown)
        {
            throw new AnalysisException($"The label source '{unknown}' is not known.", $"Choose among: {string.Join(", ", KnownSources)}.");
        }

        if (request.Sources.Count == 0)
        {
            throw new AnalysisException("No label source was chosen.", $"Choose among: {string.Join(", ", KnownSources)}.");
        }

        var said = request.Sources.Contains("concepts") ? (request.Concepts ?? []).Select(ConceptResolver.Normalise).ToList() : null;
        if (said is { Count: 0 })
        {
            throw new AnalysisException("Labels shall be made of concepts that people defined, and none was given.", "Give them in concepts, or leave the source concepts out.");
        }

        if (request.Units is not ("all" or "neurons" or "concepts"))
        {
            throw new AnalysisException($"'{request.Units}' cannot be labelled.", "Choose all, neurons or concepts.");
        }

        if (request.Permutations is < 0 or > 10_000)
        {
            throw new AnalysisException($"{request.Permutations} permutations were asked for.", "Choose 0 to 10,000; 200 give p-values down to 0.005.");
        }

        Search(request).Validate();
        return JsonSerializer.Serialize(request with { Sources = [.. KnownSources.Where(request.Sources.Contains)], Concepts = said }, AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var request = JsonSerializer.Deserialize<LabelRequest>(parameters, AnalysisJson.Line)!;
        var notes = new List<string>();
        var samples = context.Samples;
        var classOf = ClassOf(context);
        var labels = LabelMatrix.Create(samples.Count, Concepts(context, request, classOf, notes));
        var units = Units(context, request);
        observer.OnProgress(new TaskProgress(0, units.Count, $"{units.Count} units, {labels.Concepts.Count} concepts"));

        var groups = Groups(context);
        using var vectors = Vectors(context, units);
        var found = new UnitLabel[units.Count];
        var entries = new LabelEntry[units.Count];
        var options = new LabellerOptions
        {
            Search = Search(request),
            Seed = request.Seed,
            Permutations = request.Permutations,
            Parallel = context.Plan.Request.Threads,
        };
        for (var first = 0; first < units.Count; first += Block)
        {
            cancellation.ThrowIfCancellationRequested();
            var count = Math.Min(Block, units.Count - first);
            var activations = Activations(context, vectors, first, count, cancellation);
            var start = first;
            var block = Labeller.Test(labels, count, q => activations[q], groups, classOf, options, done => observer.OnProgress(new TaskProgress(start + done, units.Count, "Searching formulas")), cancellation);
            for (var q = 0; q < count; q++)
            {
                found[first + q] = block[q];
                entries[first + q] = Evidence(units[first + q], block[q], labels, activations[q]);
            }
        }

        Labeller.Correct(found, options.Level);
        for (var q = 0; q < units.Count; q++)
        {
            entries[q] = entries[q] with { Log10Corrected = found[q].Log10Corrected, Significant = found[q].Significant };
        }

        if (request.Units != "neurons")
        {
            WriteIntoTable(context.ResultFolder, entries, notes);
        }

        var report = new LabelReport
        {
            Request = request with { AttributesText = null, HierarchyText = null },
            Layer = context.Plan.Layer.Name,
            Samples = samples.Count,
            Concepts = [.. labels.Concepts.Select((c, j) => new LabelConceptEntry(c.Name, c.Source, labels.Counts[j], c.Artefact))],
            Units = entries,
            Circuits = Circuits(context, entries, cancellation),
            Notes = notes,
        };
        AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(report, AnalysisJson.Line));
    }

    /// <summary>Whoever reads the result folder finds the labels in the table of concepts: those found last, and none that may be chance.</summary>
    private static void WriteIntoTable(string folder, LabelEntry[] entries, List<string> notes)
    {
        try
        {
            var found = entries.Where(e => e is { Significant: true, Concept: not null }).ToDictionary(e => e.Concept!.Value);
            var rows = ResultTables.Read<ConceptRow>(folder, ResultTables.Concepts);
            foreach (var row in rows)
            {
                var label = found.GetValueOrDefault(row.Id);
                (row.Label, row.LabelAuc) = (label?.Label ?? "", label?.HeldOutAuc);
            }

            ResultTables.Write(folder, ResultTables.Concepts, ResultTables.Format(folder, ResultTables.Concepts), rows);
        }
        catch (Exception fault) when (fault is AnalysisException or IOException or UnauthorizedAccessException)
        {
            notes.Add($"The labels were not written into the table of concepts: {fault.Message}");
        }
    }

    private static LabelSearchOptions Search(LabelRequest request) => new()
    {
        MaximumLength = request.Length,
        Beam = request.Beam,
        MinimumFraction = request.MinimumFraction,
        MaximumFraction = request.MaximumFraction,
        MinimumSupport = FewestSupport,
        Negative = request.Negative,
    };

    /// <summary>Copies of one picture stay in one half: a formula found on a picture is not confirmed by the same picture.</summary>
    internal static int[] Groups(TaskContext context)
    {
        var numbers = new Dictionary<ulong, int>();
        return Array.ConvertAll(ConceptResolver.Groups(context), hash => numbers.TryGetValue(hash, out var number) ? number : numbers[hash] = numbers.Count);
    }

    private static int[] ClassOf(TaskContext context)
    {
        var classOf = new int[context.Samples.Count];
        Array.Fill(classOf, -1);
        for (var c = 0; c < context.Classes.Count; c++)
        {
            foreach (var row in context.Classes[c].Rows)
            {
                classOf[row] = c;
            }
        }

        return classOf;
    }

    private static List<(LabelConcept Concept, bool[] Shown)> Concepts(TaskContext context, LabelRequest request, int[] classOf, List<string> notes)
    {
        var concepts = new List<(LabelConcept, bool[])>();
        var descriptions = context.Classes.Select(c => c.Description).ToList();
        var root = context.Plan.Dataset.Root;
        if (request.Sources.Contains("classes"))
        {
            concepts.AddRange(LabelSources.Classes(classOf, [.. descriptions.Select(d => d.DisplayName)]));
        }

        if (request.Sources.Contains("hierarchy") && (request.HierarchyText ?? LabelSources.Beside(root, AnnotationFiles.Hierarchy)) is { } tree)
        {
            concepts.AddRange(LabelSources.Hierarchy(tree, classOf, [.. descriptions.Select(d => d.DisplayName)], [.. descriptions.Select(d => d.Name)]));
        }

        if (request.Sources.Contains("attributes"))
        {
            if ((request.AttributesText ?? LabelSources.Beside(root, AnnotationFiles.Attributes)) is { } table)
            {
                concepts.AddRange(LabelSources.Attributes(table, [.. context.Samples.Select(s => s.Path)]));
            }
            else
            {
                notes.Add($"The data set has no {AnnotationFiles.Attributes}: labels are made of classes and of what can be measured on the images.");
            }
        }

        if (request.Sources.Contains("metadata") && context.Store.Has("statistics"))
        {
            concepts.AddRange(Metadata(context));
        }

        foreach (var concept in request.Concepts ?? [])
        {
            concepts.AddRange(Said(context, concept, notes));
        }

        return concepts;
    }

    /// <summary>What a person defined; of numbers the lowest and the highest quarter. Samples that take no part count as not showing it.</summary>
    private static IEnumerable<(LabelConcept Concept, bool[] Shown)> Said(TaskContext context, ConceptDefinition concept, List<string> notes)
    {
        try
        {
            var labels = ConceptResolver.Resolve(context, concept);
            if (labels.Places is not null)
            {
                notes.Add($"Where {concept.Name} lies in the images is not used: a label is compared with whole images.");
            }

            return labels.Continuous
                ? LabelSources.Quarters(concept.Name, labels.Targets, "user", artefact: false)
                : [(new LabelConcept(concept.Name, "user"), Array.ConvertAll(labels.Targets, t => t == 1))];
        }
        catch (AnalysisException fault)
        {
            // One that means no image (any more) must not keep the others from being used.
            notes.Add($"The concept {concept.Name} was left out: {fault.Message}");
            return [];
        }
    }

    /// <summary>Brightness, colourfulness and the like, which a network should rarely need.</summary>
    private static IEnumerable<(LabelConcept Concept, bool[] Shown)> Metadata(TaskContext context)
    {
        using var statistics = context.Store.ReadTensor("statistics", 0, context.Store.Rows);
        var values = DenseMatrix.FromTensor(statistics);
        foreach (var (column, name) in new[] { (PixelStatistics.Brightness, "brightness"), (PixelStatistics.Contrast, "contrast"), (PixelStatistics.Saturation, "colourfulness"), (PixelStatistics.Noise, "noise") })
        {
            foreach (var concept in LabelSources.Quarters(name, values.Column(column), "metadata", artefact: true))
            {
                yield return concept;
            }
        }
    }

    private sealed record Unit(string Kind, int Index, int? Concept, int? Class, string? ClassName, float[]? Vector);

    private static List<Unit> Units(TaskContext context, LabelRequest request)
    {
        var units = new List<Unit>();
        if (request.Units != "concepts")
        {
            units.AddRange(Enumerable.Range(0, context.Plan.Layer.Channels).Select(c => new Unit("neuron", c, null, null, null, null)));
        }

        if (request.Units != "neurons")
        {
            foreach (var description in context.Classes.Select(c => c.Description))
            {
                var atlas = JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllText(ClassArraysFile.AtlasPathOf(context.ResultFolder, description.Index)), AnalysisJson.Line)!;
                using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(context.ResultFolder, description.Index));
                var shape = file.Entry("concept_vectors").Shape;
                for (var i = 0; i < shape[0]; i++)
                {
                    units.Add(new Unit("concept", i, atlas.Concepts[i].Id, description.Index, description.DisplayName, file.Span<float>("concept_vectors").Slice(i * (int)shape[1], (int)shape[1]).ToArray()));
                }
            }
        }

        return units;
    }

    /// <summary>Directions of the units, Q×C float64: unit vectors of channels, concept vectors.</summary>
    private static Tensor Vectors(TaskContext context, List<Unit> units)
    {
        var channels = context.Plan.Layer.Channels;
        var values = new double[checked(units.Count * channels)];
        for (var q = 0; q < units.Count; q++)
        {
            if (units[q].Vector is { } vector)
            {
                for (var c = 0; c < channels; c++)
                {
                    values[(q * channels) + c] = vector[c];
                }
            }
            else
            {
                values[(q * channels) + units[q].Index] = 1;
            }
        }

        return tensor(values, [units.Count, channels], ScalarType.Float64);
    }

    /// <summary>Activations of some units on all samples; memory is bounded by the block times the samples.</summary>
    private static double[][] Activations(TaskContext context, Tensor vectors, int first, int count, CancellationToken cancellation)
    {
        using var guard = no_grad();
        using var outer = NewDisposeScope();
        var directions = vectors.narrow(0, first, count).t();
        var offset = context.Directions.Mean.unsqueeze(0).mm(directions);
        var result = new double[count][];
        for (var q = 0; q < count; q++)
        {
            result[q] = new double[context.Store.Rows];
        }

        for (var start = 0; start < context.Store.Rows; start += Part)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var rows = Math.Min(Part, context.Store.Rows - start);
            var part = DenseMatrix.FromTensor((context.Store.ReadTensor("pooled.0", start, rows).to(ScalarType.Float64).mm(directions) - offset).t());
            for (var q = 0; q < count; q++)
            {
                // Products differ in the last bits with the place of their tensors in memory; ranks and bytes must not.
                var from = part.Row(q);
                var to = result[q].AsSpan(start, rows);
                for (var i = 0; i < rows; i++)
                {
                    to[i] = (float)from[i];
                }
            }
        }

        return result;
    }

    private static LabelEntry Evidence(Unit unit, UnitLabel label, LabelMatrix labels, double[] activation)
    {
        var entry = new LabelEntry { Kind = unit.Kind, Index = unit.Index, Concept = unit.Concept, Class = unit.Class, ClassName = unit.ClassName };
        if (label.Formula is not { } formula)
        {
            return entry;
        }

        var inside = formula.Evaluate(labels);
        var order = Ranks.Descending(activation);
        var (from, to) = (activation[order[^1]], activation[order[0]]);
        var (shown, other) = (new int[Bins], new int[Bins]);
        for (var i = 0; i < activation.Length; i++)
        {
            var bin = to > from ? Math.Min(Bins - 1, (int)((activation[i] - from) / (to - from) * Bins)) : 0;
            (LabelMatrix.Contains(inside, i) ? shown : other)[bin]++;
        }

        return entry with
        {
            Label = formula.InWords(labels.Concepts),
            Literals = [.. formula.Literals.Select((l, i) => new LabelLiteral(l.Concept, l.Negated, i > 0 && formula.Connectives[i - 1] == Connective.Or))],
            Auc = Number(label.Auc),
            HeldOutAuc = Number(label.HeldOutAuc),
            Support = label.Support,
            Log10P = label.Log10P,
            PermutationP = label.PermutationP,
            Steps = label.Steps,
            Beam = [.. label.Beam.Skip(1).Select(b => new LabelRival(b.Formula.InWords(labels.Concepts), b.Auc))],
            Spurious = [.. label.Spurious.Select(s => new LabelArtefact(labels.Concepts[s.Concept].Name, s.Auc, Number(s.WithinClass)))],
            Inside = shown,
            Outside = other,
            From = from,
            To = to,
            Fitting = [.. order.Where(i => LabelMatrix.Contains(inside, i)).Take(Shown)],
            Surplus = [.. order.Where(i => !LabelMatrix.Contains(inside, i)).Take(Shown)],
            Missing = [.. order.Reverse().Where(i => LabelMatrix.Contains(inside, i)).Take(Shown)],
        };

        static double? Number(double value) => double.IsNaN(value) ? null : value;
    }

    /// <summary>Per class the neurons with the largest weight × (mean in the class − mean elsewhere) (METHODS 5.5).</summary>
    private static IReadOnlyList<ClassCircuit> Circuits(TaskContext context, LabelEntry[] entries, CancellationToken cancellation)
    {
        var names = entries.Where(e => e is { Kind: "neuron", Significant: true }).ToDictionary(e => e.Index, e => e.Label);
        if (entries.All(e => e.Kind != "neuron") || context.Plan.Network.LinearHead(context.Plan.Layer.Name) is not { } head)
        {
            return [];
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var weights = DenseMatrix.FromTensor(head.Weight);
        var all = DenseMatrix.FromTensor(context.Directions.Mean.unsqueeze(0)).Row(0).ToArray();
        var circuits = new List<ClassCircuit>();
        var total = context.Store.Rows;
        foreach (var members in context.Classes.Where(c => c.Description.Label is not null && c.Rows.Length > 0 && c.Rows.Length < total))
        {
            cancellation.ThrowIfCancellationRequested();
            using var pooled = context.Store.GatherTensor("pooled.0", members.Rows);
            var mean = DenseMatrix.FromTensor(pooled).ColumnMeans();
            var output = members.Description.Label!.Value;
            // Mean elsewhere: (N·all − n·mean) / (N − n).
            var contribution = mean.Select((m, c) => Rounding.Significant(weights[output, c] * (m - (((total * all[c]) - (members.Rows.Length * m)) / (total - members.Rows.Length))))).ToArray();
            circuits.Add(new ClassCircuit(output, members.Description.DisplayName, [.. Ranks.Descending(contribution).Take(CircuitSize)
                .Select(c => new CircuitNeuron(c, weights[output, c], contribution[c], names.GetValueOrDefault(c)))]));
        }

        return circuits;
    }
}
