using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Analysis.Atlas;
using Analysis.Evaluation.Comparison;
using Analysis.Factorization;
using Analysis.Importance;

namespace Analysis.Runs.Tasks;

/// <summary>
/// Compares extraction methods over numbers of concepts, and estimators of importance, in a finished analysis
/// (docs/methods/comparison.md). Parameters: <see cref="ComparisonParameters"/>; result: <see cref="ComparisonResult"/> and
/// <see cref="ComparisonMeasurements"/>. A method with one number of concepts is a checkpoint, and so is a class whose estimators
/// were judged.
/// </summary>
public sealed class CompareTask : IAnalysisTask
{
    private const int MostComponents = 200;
    private const int UsualComponents = 10;
    private const int MostCells = 400;

    private static readonly JsonSerializerOptions Strict = new(AnalysisJson.Line) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

    /// <inheritdoc/>
    public string Kind => "compare";

    /// <inheritdoc/>
    public int Version => 1;

    /// <summary>Names of all methods that can be compared.</summary>
    public static IReadOnlyList<string> Methods => [AnalysisRequest.UniqueMethod, .. FactorizationCatalogue.All.Select(m => m.Info.Name)];

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        ComparisonParameters asked;
        try
        {
            asked = parameters.Deserialize<ComparisonParameters>(Strict) ?? new ComparisonParameters();
        }
        catch (JsonException failure)
        {
            throw new AnalysisException($"The parameters of a comparison cannot be read: {failure.Message}", $"Known are: {string.Join(", ", typeof(ComparisonParameters).GetProperties().Select(p => JsonNamingPolicy.CamelCase.ConvertName(p.Name)))}.", failure);
        }

        Check(asked.Methods is { Count: > 0 }, "No method is named.", $"Choose of: {string.Join(", ", Methods)}.");
        foreach (var method in asked.Methods)
        {
            Check(Methods.Contains(method), $"The method '{method}' is not known.", $"Choose of: {string.Join(", ", Methods)}.");
        }

        Check(asked.Components is { Count: > 0 } && asked.Components.All(k => k is >= 1 and <= MostComponents), "The numbers of concepts are not possible.", $"Name numbers from 1 to {MostComponents}.");
        Check(asked.Granularity is "pooled" or "positions", $"The granularity '{asked.Granularity}' is not known.", "Choose pooled or positions.");
        Within(asked.ClassLimit, 1, 1000, "classes");
        Within(asked.RowLimit, 16, 1_000_000, "rows of a class");
        Check(asked.Folds is 0 or (>= 2 and <= 20), $"{asked.Folds} folds are not possible.", "Choose 2 to 20, or 0 for none.");
        Within(asked.ImageLimit, 1, 10_000, "images of a class");
        Within(asked.Draws, 0, 100_000, "draws");
        Within(asked.Subsets, 2, 10_000, "subsets");
        Check(asked.Classes is null or { Count: > 0 }, "The list of classes is empty.", "Name some, or leave it out.");
        foreach (var name in asked.Importance ?? [])
        {
            ImportanceCatalogue.Get(name);
        }

        var methods = asked.Methods.Distinct().ToArray();
        var components = asked.Components.Distinct().Order().ToArray();
        Check(methods.Length * components.Length <= MostCells, $"{methods.Length} methods with {components.Length} numbers of concepts are too many.", $"Ask for at most {MostCells} in all.");
        var weighed = asked.ImportanceMethod ?? methods[0];
        Check(Methods.Contains(weighed), $"The method '{weighed}' is not known.", $"Choose of: {string.Join(", ", Methods)}.");
        var k = asked.ImportanceComponents ?? components.MinBy(c => Math.Abs(c - UsualComponents));
        Within(k, 1, MostComponents, "concepts");
        return JsonSerializer.Serialize(
            asked with
            {
                Methods = methods,
                Components = components,
                Classes = asked.Classes is null ? null : [.. asked.Classes.Distinct()],
                Importance = [.. (asked.Importance ?? []).Distinct()],
                ImportanceMethod = weighed,
                ImportanceComponents = k,
            },
            AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var asked = JsonSerializer.Deserialize<ComparisonParameters>(parameters, Strict)!;
        var cells = Path.Combine(folder, "cells", ArtifactKey.Of(FormattableString.Invariant($"compare/{Version}"), parameters, context.Plan.ConceptsKey));
        using var rows = new ComparisonRows(context, asked);
        const long Steps = 100;
        var judged = asked.Importance.Count > 0 ? rows.Classes.Count : 0;
        var total = ((asked.Methods.Count * asked.Components.Count) + judged) * Steps;
        var done = 0L;
        var methods = new List<ComparedMethod>();
        var measurements = new List<FitMeasurement>();
        foreach (var name in asked.Methods)
        {
            var (title, summary) = Describe(name);
            var curve = new List<ComparisonCell>();
            foreach (var k in asked.Components)
            {
                cancellation.ThrowIfCancellationRequested();
                var doing = $"{title} with {k} concept{(k == 1 ? "" : "s")}";
                observer.OnProgress(new TaskProgress(done, total, doing));
                var cell = Once(
                    Path.Combine(cells, string.Create(CultureInfo.InvariantCulture, $"{name}-{k}.json")),
                    () => ExtractionComparer.Compute(
                        context, rows, asked, name, k, share => observer.OnProgress(new TaskProgress(done + (long)(share * Steps), total, doing)), cancellation));
                curve.Add(cell.Cell);
                measurements.Add(cell.Measurement);
                done += Steps;
            }

            methods.Add(ComparisonVerdict.Suggest(new ComparedMethod { Name = name, Title = title, Summary = summary, Cells = curve }));
        }

        var classes = new List<JudgedClass>();
        foreach (var members in judged > 0 ? rows.Classes : [])
        {
            cancellation.ThrowIfCancellationRequested();
            observer.OnProgress(new TaskProgress(done, total, $"Importance in {members.Description.DisplayName}"));
            classes.Add(Once(
                Path.Combine(cells, string.Create(CultureInfo.InvariantCulture, $"importance-{members.Description.Index}.json")),
                () => FaithfulnessComparer.Judge(context, rows, asked, asked.ImportanceMethod!, asked.ImportanceComponents!.Value, members, cancellation)));
            done += Steps;
        }

        var faithfulness = FaithfulnessComparer.Combine(classes, asked, asked.ImportanceMethod!, asked.ImportanceComponents!.Value);
        Write(context, asked, rows, methods, measurements, classes, faithfulness, folder);
        observer.OnProgress(new TaskProgress(total, total, "Done"));
    }

    private static void Write(
        TaskContext context, ComparisonParameters asked, ComparisonRows rows, List<ComparedMethod> methods, List<FitMeasurement> measurements,
        List<JudgedClass> classes, FaithfulnessComparison? faithfulness, string folder)
    {
        var (plan, network) = (context.Plan, context.Plan.Network);
        var linear = network.LinearHead(plan.Layer.Name) is not null;
        var (method, components, verdict) = ComparisonVerdict.Of(methods, faithfulness, linear);
        var result = new ComparisonResult
        {
            Parameters = asked,
            Network = network.Name,
            Dataset = plan.Description.DatasetName,
            Layer = plan.Layer.Name,
            Channels = plan.Layer.Channels,
            LinearHead = linear,
            Classes = [.. rows.Classes.Select(c => new ComparedClass(c.Description.Index, c.Description.Name, c.Description.DisplayName, c.Rows.Length, RowsOf(c, plan, asked)))],
            ClassNote = rows.Note,
            Methods = methods,
            Faithfulness = faithfulness,
            SuggestedMethod = method,
            SuggestedComponents = components,
            Verdict = verdict,
            Notes = Notes(asked, rows, classes),
        };
        var costs = new ComparisonMeasurements
        {
            Device = plan.Description.Device,
            Fits = measurements,
            Estimators =
            [
                .. classes.Any(c => c.Images > 0)
                    ? asked.Importance.Select(name => new EstimatorMeasurement(
                        name, classes.Where(c => c.Images > 0).Sum(c => c.Estimators.First(e => e.Name == name).Seconds) / classes.Sum(c => c.Images)))
                    : [],
            ],
        };
        AtomicFile.WriteText(Path.Combine(folder, ComparisonMeasurements.FileName), JsonSerializer.Serialize(costs, AnalysisJson.Options));
        AtomicFile.WriteText(Path.Combine(folder, ComparisonResult.FileName), JsonSerializer.Serialize(result, AnalysisJson.Options));
    }

    private static int RowsOf(ClassRows members, RunPlan plan, ComparisonParameters asked) =>
        (int)Math.Min(asked.RowLimit, asked.Granularity == "positions" ? (long)members.Rows.Length * plan.Layer.Height * plan.Layer.Width : members.Rows.Length);

    private static List<string> Notes(ComparisonParameters asked, ComparisonRows rows, List<JudgedClass> classes)
    {
        var notes = new List<string>();
        if (asked.Methods.Contains(AnalysisRequest.UniqueMethod))
        {
            notes.Add("Unique concepts are those of the finished analysis, strongest first; their stability compares the vectors of two halves of each concept's images, and nothing is held out.");
        }

        var few = rows.Classes.Where(c => c.Rows.Length < 5 * asked.Components[^1] && asked.Granularity == "pooled").Select(c => c.Description.DisplayName).ToArray();
        if (few.Length > 0)
        {
            notes.Add(string.Create(CultureInfo.InvariantCulture, $"Fewer than {5 * asked.Components[^1]} images in {string.Join(", ", few.Take(5))}{(few.Length > 5 ? ", …" : "")}: figures for many concepts flatter themselves; look at the held-out variance."));
        }

        notes.AddRange(classes.Select(c => c.Problem).OfType<string>());
        return notes;
    }

    private static (string Title, string Summary) Describe(string method)
    {
        if (method == AnalysisRequest.UniqueMethod)
        {
            return ("Unique concepts", "Singular directions of the whole data set, refined by clustering into vectors that each stand for one visual pattern.");
        }

        var info = FactorizationCatalogue.Get(method).Info;
        return (info.Title, info.Summary);
    }

    /// <summary>Reads a checkpoint, or computes and writes it. What is written is read back, so that a run that was stopped ends with the same bytes.</summary>
    private static T Once<T>(string path, Func<T> compute)
        where T : class
    {
        try
        {
            if (File.Exists(path) && JsonSerializer.Deserialize<T>(File.ReadAllText(path), AnalysisJson.Line) is { } stored)
            {
                return stored;
            }
        }
        catch (JsonException)
        {
            // Not one of ours, or damaged: made again.
        }

        var text = JsonSerializer.Serialize(compute(), AnalysisJson.Line);
        AtomicFile.WriteText(path, text);
        return JsonSerializer.Deserialize<T>(text, AnalysisJson.Line)!;
    }

    private static void Within(int value, int least, int most, string what) =>
        Check(value >= least && value <= most, string.Create(CultureInfo.InvariantCulture, $"{value} {what} are not possible."), string.Create(CultureInfo.InvariantCulture, $"Choose {least} to {most}."));

    private static void Check(bool good, string message, string remedy)
    {
        if (!good)
        {
            throw new AnalysisException(message, remedy);
        }
    }
}
