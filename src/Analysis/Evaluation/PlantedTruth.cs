using System.Text;
using System.Text.Json;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Evaluation;

/// <summary>How well one planted kind of outlier is found.</summary>
/// <param name="Kind">Kind as the truth names it.</param>
/// <param name="Count">Planted samples of it that the result lists.</param>
/// <param name="Auroc">Area under the ROC curve of the outlier score against the clean samples.</param>
/// <param name="AveragePrecision">Average precision against the clean samples.</param>
public sealed record KindReport(string Kind, int Count, double Auroc, double AveragePrecision);

/// <summary>How well a planted attribute is found.</summary>
/// <param name="Name">Attribute and value, for example <c>texture=stripes</c>.</param>
/// <param name="Support">Samples that have it.</param>
/// <param name="ProbeAuc">Held-out AUC of a linear probe on the pooled activations: whether the network can separate it at all.</param>
/// <param name="BestAuc">Best AUC of any concept.</param>
/// <param name="Concept">That concept.</param>
public sealed record AttributeReport(string Name, int Support, double ProbeAuc, double BestAuc, int Concept);

/// <summary>A result compared with the planted truth.</summary>
public sealed record TruthReport
{
    /// <summary>Samples in the result.</summary>
    public required int Samples { get; init; }

    /// <summary>Planted outliers among them.</summary>
    public required int Planted { get; init; }

    /// <summary>AUROC over all planted kinds against the clean samples.</summary>
    public required double Auroc { get; init; }

    /// <summary>By kind.</summary>
    public required IReadOnlyList<KindReport> Kinds { get; init; }

    /// <summary>Planted samples among the 300 with the highest score.</summary>
    public required int PlantedInTop { get; init; }

    /// <summary>Share of these whose kind is right (watermark counts as confounded, ood as foreign).</summary>
    public required double KindAccuracyInTop { get; init; }

    /// <summary>Share of clean samples that are flagged.</summary>
    public required double FalseFlagRate { get; init; }

    /// <summary>Attributes, where the truth lists them.</summary>
    public IReadOnlyList<AttributeReport> Attributes { get; init; } = [];

    /// <summary>Attributes that the network can separate: a linear probe reaches a held-out AUC of 0.95.</summary>
    public int SeparableAttributes { get; init; }

    /// <summary>Share of these that some concept finds with an AUC of at least 0.9; null without attributes.</summary>
    public double? AttributesFound { get; init; }

    /// <summary>The report for people.</summary>
    public string ToText()
    {
        var text = new StringBuilder();
        text.AppendLine(FormattableString.Invariant($"{Planted} planted of {Samples} samples; outlier score AUROC {Auroc:0.000}"));
        foreach (var kind in Kinds)
        {
            text.AppendLine(FormattableString.Invariant($"  {kind.Kind,-14} {kind.Count,5}   AUROC {kind.Auroc:0.000}   average precision {kind.AveragePrecision:0.000}"));
        }

        text.AppendLine(FormattableString.Invariant($"kind right for {KindAccuracyInTop:P1} of the {PlantedInTop} planted in the top {PlantedTruth.Top}; {FalseFlagRate:P1} of the clean samples are flagged"));
        if (AttributesFound is { } found)
        {
            text.AppendLine(FormattableString.Invariant($"{found:P0} of {SeparableAttributes} separable attributes found with AUC >= 0.9"));
            foreach (var attribute in Attributes)
            {
                text.AppendLine(FormattableString.Invariant($"  {attribute.Name,-28} n={attribute.Support,5}   probe {attribute.ProbeAuc:0.000}   best concept {attribute.BestAuc:0.000} (c{attribute.Concept})"));
            }
        }

        return text.ToString().TrimEnd();
    }
}

/// <summary>Compares a result folder with a planted truth (docs/file-formats.md, truth).</summary>
public static class PlantedTruth
{
    /// <summary>How many of the highest scores are looked at for the kind.</summary>
    public const int Top = 300;

    private const double Found = 0.9;
    private const double Separable = 0.95;
    private const int SmallestSupport = 10;

    /// <summary>Evaluates.</summary>
    /// <param name="resultFolder">Result folder.</param>
    /// <param name="truthPath">truth.json: planted[{file, type}] and, optionally, attributes{path: {name: value}}.</param>
    public static TruthReport Evaluate(string resultFolder, string truthPath)
    {
        var samples = ResultTables.Read<SampleRow>(resultFolder, "samples");
        var (planted, attributes) = Read(truthPath);
        var kinds = samples.Select(s => planted.GetValueOrDefault(s.Path)).ToArray();
        var score = samples.Select(s => s.OutlierScore ?? double.NaN).ToArray();
        if (score.Any(double.IsNaN))
        {
            throw new AnalysisException($"{resultFolder} has samples without an outlier score.", "Let the analysis finish, then evaluate.");
        }

        var clean = Enumerable.Range(0, samples.Count).Where(i => kinds[i] is null).ToArray();
        var top = Enumerable.Range(0, samples.Count).OrderBy(i => samples[i].OutlierRank).Take(Top).Where(i => kinds[i] is not null).ToArray();
        var report = new TruthReport
        {
            Samples = samples.Count,
            Planted = samples.Count - clean.Length,
            Auroc = Auroc(score, clean, [.. Enumerable.Range(0, samples.Count).Except(clean)]),
            Kinds = [.. kinds.Where(k => k is not null).Distinct().Order(StringComparer.Ordinal).Select(kind => Kind(kind!, kinds, score, clean))],
            PlantedInTop = top.Length,
            KindAccuracyInTop = top.Length == 0 ? 0 : top.Count(i => samples[i].OutlierKind == Mapped(kinds[i]!)) / (double)top.Length,
            FalseFlagRate = clean.Length == 0 ? 0 : clean.Count(i => samples[i].OutlierKind.Length > 0) / (double)clean.Length,
        };
        return attributes.Count == 0 ? report : WithAttributes(report, resultFolder, samples, attributes, kinds);
    }

    private static string Mapped(string kind) => kind switch
    {
        "watermark" => "confounded",
        "ood" => "foreign",
        _ => kind,
    };

    private static KindReport Kind(string kind, string?[] kinds, double[] score, int[] clean)
    {
        var members = Enumerable.Range(0, kinds.Length).Where(i => kinds[i] == kind).ToArray();
        var (scores, positive) = Pool(score, clean, members);
        return new KindReport(kind, members.Length, MannWhitney.Auc(scores, positive), MannWhitney.AveragePrecision(scores, positive));
    }

    private static double Auroc(double[] score, int[] clean, int[] planted)
    {
        var (scores, positive) = Pool(score, clean, planted);
        return MannWhitney.Auc(scores, positive);
    }

    private static (double[] Scores, bool[] Positive) Pool(double[] score, int[] clean, int[] planted) =>
        ([.. clean.Select(i => score[i]), .. planted.Select(i => score[i])], [.. clean.Select(_ => false), .. planted.Select(_ => true)]);

    private static (Dictionary<string, string> Planted, Dictionary<string, Dictionary<string, string>> Attributes) Read(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            var planted = document.RootElement.GetProperty("planted").EnumerateArray()
                .ToDictionary(p => p.GetProperty("file").GetString()!, p => p.GetProperty("type").GetString()!);
            var attributes = new Dictionary<string, Dictionary<string, string>>();
            if (document.RootElement.TryGetProperty("attributes", out var listed))
            {
                foreach (var sample in listed.EnumerateObject())
                {
                    attributes[sample.Name] = sample.Value.EnumerateObject().ToDictionary(a => a.Name, a => a.Value.ToString());
                }
            }

            return (planted, attributes);
        }
        catch (Exception failure) when (failure is IOException or JsonException or KeyNotFoundException or InvalidOperationException or UnauthorizedAccessException)
        {
            throw new AnalysisException($"The truth {path} cannot be read: {failure.Message}", "It needs a list 'planted' of objects with file and type (docs/file-formats.md).", failure);
        }
    }

    private static TruthReport WithAttributes(
        TruthReport report, string resultFolder, IReadOnlyList<SampleRow> samples, Dictionary<string, Dictionary<string, string>> attributes, string?[] kinds)
    {
        using var scope = NewDisposeScope();
        var concepts = ResultTables.Read<ConceptRow>(resultFolder, "concepts");
        using var file = SafetensorsFile.Open(Path.Combine(resultFolder, "tensors.safetensors"));

        // Damaged and foreign pictures do not show their attributes.
        var usable = Enumerable.Range(0, samples.Count)
            .Where(i => attributes.ContainsKey(samples[i].Path) && kinds[i] is null or "mislabelled" or "watermark").Where(i => attributes.ContainsKey(samples[i].Path)).ToArray();
        var pooled = file.Load("pooled").index_select(0, tensor(usable)).to(ScalarType.Float64);
        var projections = DenseMatrix.FromTensor(pooled.mm(file.Load("concept_vectors").to(ScalarType.Float64).t()));
        var ranks = Enumerable.Range(0, projections.Columns).Select(c => Ranks.Average(projections.Column(c))).ToArray();
        var values = usable.SelectMany(i => attributes[samples[i].Path].Select(a => $"{a.Key}={a.Value}")).Distinct()
            // The absence of a mark is no pattern of its own.
            .Where(v => !v.EndsWith("=False", StringComparison.OrdinalIgnoreCase) && !v.EndsWith("=none", StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal);
        var reports = new List<AttributeReport>();
        foreach (var value in values)
        {
            var positive = usable.Select(i => attributes[samples[i].Path].Any(a => $"{a.Key}={a.Value}" == value)).ToArray();
            var support = positive.Count(p => p);
            if (support < SmallestSupport || usable.Length - support < SmallestSupport)
            {
                continue;
            }

            var aucs = ranks.Select(r => MannWhitney.AucFromRanks(r, positive)).ToArray();
            var best = Ranks.Descending(aucs)[0];
            reports.Add(new AttributeReport(value, support, ProbeAuc(pooled, positive), aucs[best], concepts[best].Id));
        }

        var separable = reports.Where(r => r.ProbeAuc >= Separable).ToList();
        return report with
        {
            Attributes = reports,
            SeparableAttributes = separable.Count,
            AttributesFound = separable.Count == 0 ? null : separable.Count(r => r.BestAuc >= Found) / (double)separable.Count,
        };
    }

    /// <summary>AUC of a ridge regression on standardised activations, fitted on even samples and measured on odd ones.</summary>
    private static double ProbeAuc(Tensor pooled, bool[] positive)
    {
        using var scope = NewDisposeScope();
        var even = tensor(Enumerable.Range(0, positive.Length).Where(i => i % 2 == 0).ToArray());
        var odd = Enumerable.Range(0, positive.Length).Where(i => i % 2 == 1).ToArray();
        var mean = pooled.mean([0L]);
        var std = (pooled - mean).pow(Scalars.Of(2)).mean([0L]).sqrt().add(Scalars.Of(1e-9), Scalars.One);
        var x = (pooled - mean) / std;
        var train = x.index_select(0, even);
        var y = tensor(positive.Select(p => p ? 1.0 : 0.0).ToArray()).index_select(0, even).unsqueeze(1);
        var gram = train.t().mm(train).add(eye(train.shape[1], dtype: ScalarType.Float64) * Scalars.Of(train.shape[0]) * Scalars.Of(1e-3), Scalars.One);
        var weight = linalg.solve(gram, train.t().mm(y - y.mean()));
        var scores = DenseMatrix.FromTensor(x.index_select(0, tensor(odd)).mm(weight)).Values;
        return MannWhitney.Auc(scores, [.. odd.Select(i => positive[i])]);
    }
}
