using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Benchmarks;

/// <summary>What a benchmark found: a flat list of figures in the order in which they are shown.</summary>
internal sealed class BenchmarkReport
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private const int MostRuns = 5;
    private readonly Dictionary<string, object> _figures = [];

    public BenchmarkReport(string name) => _figures["name"] = name;

    public BenchmarkReport With(string name, object value)
    {
        _figures[name] = value is double number ? Rounded(number) : value;
        return this;
    }

    /// <summary>
    /// Adds the median time of several runs, their number, and the process's peak memory so far; beside it the median processor time of
    /// all threads, which other work on the machine changes less.
    /// </summary>
    /// <typeparam name="T">What a run gives.</typeparam>
    /// <param name="options">How many runs.</param>
    /// <param name="run">One run. The result of the last one is returned; earlier ones are disposed.</param>
    public T Measure<T>(BenchmarkOptions options, Func<T> run)
    {
        var seconds = new List<double>();
        var processor = new List<double>();
        using var process = Process.GetCurrentProcess();
        var clock = Stopwatch.StartNew();
        T result;
        while (true)
        {
            var started = clock.Elapsed;
            process.Refresh();
            var used = process.TotalProcessorTime;
            result = run();
            seconds.Add((clock.Elapsed - started).TotalSeconds);
            process.Refresh();
            processor.Add((process.TotalProcessorTime - used).TotalSeconds);
            if (options.Runs > 0 ? seconds.Count >= options.Runs : seconds.Count >= MostRuns || clock.Elapsed > Patience)
            {
                break;
            }

            (result as IDisposable)?.Dispose();
        }

        With("seconds", Median(seconds));
        With("processorSeconds", Median(processor));
        With("runs", seconds.Count);
        With("threads", options.Threads > 0 ? options.Threads : Environment.ProcessorCount);
        WithPeak();
        return result;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        var middle = values.Count / 2;
        return values.Count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    }

    public BenchmarkReport WithPeak() => With("peakRssMiB", PeakRssMiB());

    public string ToJson() => JsonSerializer.Serialize(_figures);

    public string ToText()
    {
        var text = new StringBuilder();
        foreach (var (name, value) in _figures)
        {
            var shown = value switch
            {
                double number => number.ToString("G6", CultureInfo.InvariantCulture),
                string or int or long => Convert.ToString(value, CultureInfo.InvariantCulture)!,
                _ => JsonSerializer.Serialize(value),
            };
            text.AppendLine(CultureInfo.InvariantCulture, $"{name,-24} {shown}");
        }

        return text.ToString().TrimEnd();
    }

    public static double PeakRssMiB()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64 / 1048576.0;
    }

    // JSON has no word for these.
    private static object Rounded(double value) => double.IsFinite(value) ? Math.Round(value, 6) : "undefined";
}
