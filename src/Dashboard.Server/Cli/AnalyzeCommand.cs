using System.CommandLine;
using System.Globalization;
using Analysis;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary><c>analyze</c>: a whole run without the site.</summary>
internal static class AnalyzeCommand
{
    public static Command Create()
    {
        var command = new Command("analyze", "Finds the concepts of a network on a data set and writes a result folder.");
        var engine = new EngineOptions();
        var method = new Option<string>("--method") { Description = $"Extraction method: {string.Join(", ", ConceptOptions.Methods)}.", DefaultValueFactory = _ => AnalysisRequest.UniqueMethod };
        var concepts = new Option<int>("--concepts") { Description = "Largest number of concepts per class (of the data set with --scope dataset).", DefaultValueFactory = _ => 10 };
        var granularity = new Option<string>("--granularity") { Description = "What is factorised: pooled activations, spatial positions, or crops.", DefaultValueFactory = _ => "pooled" };
        var scope = new Option<string>("--scope") { Description = "One set of concept vectors a class, or one for the whole dataset.", DefaultValueFactory = _ => "class" };
        var perClass = new Option<int>("--per-class") { Description = "Concepts that each class keeps of the data set's; 15 by default.", DefaultValueFactory = _ => 0 };
        var importance = new Option<string>("--importance") { Description = $"How concepts are weighed: {string.Join(", ", ConceptOptions.Importances)}.", DefaultValueFactory = _ => "auto" };
        var parameters = new Option<string[]>("--parameter") { Description = "A parameter of the method as name=value; may be given several times.", HelpName = "NAME=VALUE" };
        var relevance = new Option<string>("--relevance") { Description = "Relevance of directions: directional, projected or official.", DefaultValueFactory = _ => "directional" };
        var tables = new Option<string>("--tables") { Description = "Tables as parquet or csv.", DefaultValueFactory = _ => "parquet" };
        method.AcceptOnlyFromAmong([.. ConceptOptions.Methods]);
        granularity.AcceptOnlyFromAmong([.. ConceptOptions.Granularities]);
        scope.AcceptOnlyFromAmong([.. ConceptOptions.Scopes]);
        importance.AcceptOnlyFromAmong([.. ConceptOptions.Importances]);
        relevance.AcceptOnlyFromAmong("directional", "projected", "official");
        tables.AcceptOnlyFromAmong("parquet", "csv");
        engine.AddTo(command);
        foreach (var option in new Option[] { method, concepts, granularity, scope, perClass, importance, parameters, relevance, tables })
        {
            command.Options.Add(option);
        }

        command.SetAction(parsed =>
        {
            AnalysisRequest Request() => engine.Request(parsed) with
            {
                Method = parsed.GetValue(method)!,
                Concepts = parsed.GetValue(concepts),
                Granularity = parsed.GetValue(granularity)!,
                Scope = parsed.GetValue(scope)!,
                PerClass = parsed.GetValue(perClass),
                Importance = parsed.GetValue(importance)!,
                Parameters = Parameters(parsed.GetValue(parameters) ?? []),
                Relevance = parsed.GetValue(relevance)!,
                Tables = parsed.GetValue(tables)!,
            };
            var json = parsed.GetValue(engine.JsonProgress);
            var output = Path.GetFullPath(parsed.GetValue(engine.Out)!);
            return CommandRunner.Run(cancellation =>
            {
                var observer = new ConsoleRunObserver(Console.Out, json, !json && !Console.IsOutputRedirected);
                try
                {
                    var manifest = new AnalysisRunner(engine.StoreFolder(parsed)).Run(Request(), output, observer, cancellation);
                    observer.Close();
                    if (!json)
                    {
                        Console.WriteLine(Summary(manifest, output));
                    }
                }
                finally
                {
                    observer.Close();
                }
            });
        });
        return command;
    }

    private static SortedDictionary<string, double> Parameters(string[] given)
    {
        var parameters = new SortedDictionary<string, double>(StringComparer.Ordinal);
        foreach (var text in given)
        {
            var at = text.IndexOf('=', StringComparison.Ordinal);
            if (at < 1 || !double.TryParse(text.AsSpan(at + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var value) || !parameters.TryAdd(text[..at], value))
            {
                throw new AnalysisException($"'{text}' is not a parameter.", "Give each once as name=value with a number, for example --parameter alpha=0.1.");
            }
        }

        return parameters;
    }

    private static string Summary(Manifest manifest, string output)
    {
        var accuracy = manifest.Metrics.TryGetValue("accuracy", out var value) ? FormattableString.Invariant($", accuracy {value:P2}") : "";
        return FormattableString.Invariant(
            $"{manifest.Dataset.Images:N0} images, {manifest.Dataset.Classes.Count:N0} classes, {manifest.Metrics["concepts"]:N0} concepts{accuracy}; {manifest.Skipped.Count:N0} files left out. Result: {output}");
    }
}
