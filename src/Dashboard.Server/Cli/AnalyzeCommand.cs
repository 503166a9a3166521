using System.CommandLine;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary><c>analyze</c>: a whole run without the site.</summary>
internal static class AnalyzeCommand
{
    public static Command Create()
    {
        var command = new Command("analyze", "Finds the concepts of a network on a data set and writes a result folder.");
        var engine = new EngineOptions();
        var method = new Option<string>("--method") { Description = "Extraction method: unique.", DefaultValueFactory = _ => "unique" };
        var concepts = new Option<int>("--concepts") { Description = "Largest number of concepts per class.", DefaultValueFactory = _ => 10 };
        var relevance = new Option<string>("--relevance") { Description = "Relevance of directions: directional, projected or official.", DefaultValueFactory = _ => "directional" };
        var tables = new Option<string>("--tables") { Description = "Tables as parquet or csv.", DefaultValueFactory = _ => "parquet" };
        method.AcceptOnlyFromAmong("unique");
        relevance.AcceptOnlyFromAmong("directional", "projected", "official");
        tables.AcceptOnlyFromAmong("parquet", "csv");
        engine.AddTo(command);
        command.Options.Add(method);
        command.Options.Add(concepts);
        command.Options.Add(relevance);
        command.Options.Add(tables);
        command.SetAction(parsed =>
        {
            var request = engine.Request(parsed) with
            {
                Method = parsed.GetValue(method)!,
                Concepts = parsed.GetValue(concepts),
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
                    var manifest = new AnalysisRunner(engine.StoreFolder(parsed)).Run(request, output, observer, cancellation);
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

    private static string Summary(Manifest manifest, string output)
    {
        var accuracy = manifest.Metrics.TryGetValue("accuracy", out var value) ? FormattableString.Invariant($", accuracy {value:P2}") : "";
        return FormattableString.Invariant(
            $"{manifest.Dataset.Images:N0} images, {manifest.Dataset.Classes.Count:N0} classes, {manifest.Metrics["concepts"]:N0} concepts{accuracy}; {manifest.Skipped.Count:N0} files left out. Result: {output}");
    }
}
