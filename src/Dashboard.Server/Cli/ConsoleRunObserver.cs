using System.Globalization;
using System.Text.Json;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary>
/// Shows a run on the console: one line that is rewritten on a terminal, plain lines otherwise (a line a stage and every ten
/// seconds), or JSON lines for programs.
/// </summary>
internal sealed class ConsoleRunObserver(TextWriter output, bool json, bool terminal) : IRunObserver
{
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan TerminalInterval = TimeSpan.FromMilliseconds(100);
    private DateTime _printed = DateTime.MinValue;
    private string _stage = "";
    private int _width;

    public void OnProgress(RunProgress progress)
    {
        var current = progress.Stages.FirstOrDefault(s => s.State == StageState.Running);
        var name = current?.Name ?? progress.Stages.LastOrDefault(s => s.State is StageState.Done or StageState.Reused)?.Name ?? "";
        var ended = current is null;
        var now = DateTime.UtcNow;
        var changed = name != _stage || ended;
        if (!changed && now - _printed < (json || terminal ? TerminalInterval : PlainInterval))
        {
            return;
        }

        (_printed, _stage) = (now, name);
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { type = "progress", progress }, AnalysisJson.Line));
        }
        else if (current is not null)
        {
            Line(Describe(progress, current));
        }
    }

    public void OnSamplesListed(int count) => Event("samples", count, $"{count.ToString("N0", CultureInfo.InvariantCulture)} images listed");

    public void OnClassReady(int classIndex) => Event("class-ready", classIndex, null);

    public void OnLog(string line) => Event("log", line, line);

    /// <summary>Ends the rewritten line, if there is one.</summary>
    public void Close()
    {
        if (_width > 0)
        {
            output.WriteLine();
            _width = 0;
        }
    }

    private void Event(string type, object value, string? line)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { type, value }, AnalysisJson.Line));
        }
        else if (line is not null)
        {
            Close();
            output.WriteLine(line);
        }
    }

    private void Line(string text)
    {
        if (!terminal)
        {
            output.WriteLine(text);
            return;
        }

        var width = Math.Max(20, Console.WindowWidth - 1);
        var cut = text.Length > width ? text[..width] : text;
        output.Write('\r' + cut.PadRight(Math.Min(width, Math.Max(_width, cut.Length))));
        _width = cut.Length;
    }

    private static string Describe(RunProgress progress, StageProgress stage)
    {
        var share = stage.Total > 0 ? (double)stage.Done / stage.Total : 0;
        var filled = (int)(share * 24);
        var rate = stage.ItemsPerSecond > 0 ? FormattableString.Invariant($" · {stage.ItemsPerSecond:0.#} {stage.Unit}/s") : "";
        var left = progress.SecondsLeft is { } seconds ? $" · {Duration(seconds)} left" : "";
        return FormattableString.Invariant(
            $"[{new string('#', filled)}{new string('.', 24 - filled)}] {stage.Title} {stage.Done:N0}/{stage.Total:N0}{rate}{left} · {progress.MemoryBytes / 1048576} MiB");
    }

    private static string Duration(double seconds) =>
        seconds < 90 ? FormattableString.Invariant($"{seconds:0} s") : FormattableString.Invariant($"{seconds / 60:0} min");
}
