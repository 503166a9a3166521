using System.CommandLine;
using System.Text.Json;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary><c>inspect</c>: recognises a network, lists its layers and tries it on some images. Prints one JSON object.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var command = new Command("inspect", "Recognises a network, lists its layers and tries it on some images; prints JSON.");
        var network = new Option<string?>("--network") { Description = "Weights file; left out where the data set holds activations." };
        var dataset = new Option<string?>("--dataset") { Description = "Data set to try it on." };
        var architecture = new Option<string?>("--architecture") { Description = "Architecture, where it cannot be recognised." };
        var images = new Option<int>("--images") { Description = "Images to try.", DefaultValueFactory = _ => 200 };
        command.Options.Add(network);
        command.Options.Add(dataset);
        command.Options.Add(architecture);
        command.Options.Add(images);
        command.Options.Add(GlobalOptions.DataDirectory);
        command.SetAction(parsed => CommandRunner.Run(cancellation =>
        {
            var data = parsed.GetValue(dataset);
            var report = NetworkInspector.Inspect(
                parsed.GetValue(network) is { Length: > 0 } weights ? Path.GetFullPath(weights) : "", data is null ? null : Path.GetFullPath(data), parsed.GetValue(architecture), parsed.GetValue(images), cancellation);
            Console.WriteLine(JsonSerializer.Serialize(report, AnalysisJson.Line));
        }));
        return command;
    }
}
