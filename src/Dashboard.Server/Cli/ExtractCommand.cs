using System.CommandLine;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary><c>extract</c>: activations, logits and gradients only, at one or several layers in one pass.</summary>
internal static class ExtractCommand
{
    public static Command Create()
    {
        var command = new Command("extract", "Writes activations, logits and gradients at one or several layers (--layer a,b) into safetensors.");
        var engine = new EngineOptions();
        engine.AddTo(command);
        command.SetAction(parsed => CommandRunner.Run(cancellation =>
        {
            var json = parsed.GetValue(engine.JsonProgress);
            var observer = new ConsoleRunObserver(Console.Out, json, !json && !Console.IsOutputRedirected);
            var output = Path.GetFullPath(parsed.GetValue(engine.Out)!);
            var images = new ExtractionRunner(engine.StoreFolder(parsed)).Run(engine.Request(parsed), output, observer, cancellation);
            observer.Close();
            if (!json)
            {
                Console.WriteLine(FormattableString.Invariant($"{images:N0} images. Result: {Path.Combine(output, "activations.safetensors")}"));
            }
        }));
        return command;
    }
}
