using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Analysis;
using Analysis.Datasets.Sample;
using Analysis.Networks;
using Analysis.Runs;

namespace Benchmarks;

/// <summary>Whole runs of the engine: where the time goes, and what memory depends on.</summary>
internal static class AnalysisBenchmarks
{
    private const int UsualRuns = 5;

    /// <summary>
    /// Runs an analysis from nothing. The share outside the network counts everything but its forward passes: also backward
    /// passes, which are not the network's own calls, so that the true share is a little smaller. On a busy machine the wall times
    /// say little; then run it with one thread and read the share of the thread's processor time (decoding has its own threads).
    /// </summary>
    public static BenchmarkReport Analyze(BenchmarkOptions options)
    {
        var request = new AnalysisRequest
        {
            Dataset = Path.GetFullPath(options.Dataset ?? RealData.Folder("cifar10/test")),
            Network = Path.GetFullPath(options.Network ?? RealData.Folder("cifar10/models/resnet56.safetensors")),
            Layer = options.Layer,
            Device = options.DeviceName,
            Threads = options.Threads,
            Limit = options.Limit,
        };
        // The first run of a process also compiles; the engine worker does that once and then serves many runs. All shares are
        // printed, the first run's first.
        var runs = Enumerable.Range(0, options.Runs > 0 ? options.Runs : UsualRuns).Select(_ => Once(request)).ToList();
        var middle = runs.OrderBy(r => r.Seconds).ElementAt((runs.Count - 1) / 2);
        var report = new BenchmarkReport("analyze")
            .With("rows", middle.Manifest.Dataset.Images).With("columns", middle.Manifest.Layer.Channels)
            .With("network", middle.Manifest.Network.Name).With("layer", middle.Manifest.Layer.Name).With("device", middle.Manifest.Device)
            .With("seconds", middle.Seconds).With("runs", runs.Count).With("threads", middle.Manifest.Request.Threads)
            .WithPeak()
            .With("networkSeconds", middle.NetworkSeconds)
            .With("outsideShare", middle.OutsideShare)
            .With("threadSeconds", middle.ThreadSeconds)
            .With("outsideShareOfThread", middle.OutsideShareOfThread)
            .With("compiledMethods", System.Runtime.JitInfo.GetCompiledMethodCount()).With("compilationSeconds", System.Runtime.JitInfo.GetCompilationTime().TotalSeconds)
            .With("stages", middle.Manifest.Stages.ToDictionary(s => s.Name, s => Math.Round(s.Seconds, 3)));
        return runs.Count == 1 ? report : report.With("outsideShares", runs.Select(r => Math.Round(r.OutsideShare, 3)).ToArray());
    }

    private static Timed Once(AnalysisRequest request)
    {
        var folder = Directory.CreateTempSubdirectory("concept-atlas-benchmark-").FullName;
        try
        {
            TimedNetwork? network = null;
            var (clock, processor) = (Stopwatch.StartNew(), ThreadClock.Seconds);
            var manifest = new AnalysisRunner(Path.Combine(folder, "store"), loaded => network = new TimedNetwork(loaded))
                .Run(request, Path.Combine(folder, "result"), new SilentObserver(), CancellationToken.None);
            return new Timed(manifest, clock.Elapsed.TotalSeconds, network!.Seconds, ThreadClock.Seconds - processor, network.ThreadSeconds);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private sealed record Timed(Manifest Manifest, double Seconds, double NetworkSeconds, double ThreadSeconds, double NetworkThreadSeconds)
    {
        public double OutsideShare => 1 - (NetworkSeconds / Seconds);

        public double OutsideShareOfThread => 1 - (NetworkThreadSeconds / ThreadSeconds);
    }

    /// <summary>Peak memory of runs over generated data sets of different sizes, each in a process of its own.</summary>
    public static BenchmarkReport Memory(BenchmarkOptions options)
    {
        var network = Path.GetFullPath(options.Network ?? Path.Combine(RealData.Repository, "samples", "network", "sample.safetensors"));
        var folder = Directory.CreateTempSubdirectory("concept-atlas-memory-").FullName;
        var peaks = new Dictionary<string, double>();
        var report = new BenchmarkReport("memory");
        try
        {
            var clock = Stopwatch.StartNew();
            foreach (var images in options.Images)
            {
                var place = Path.Combine(folder, images.ToString(CultureInfo.InvariantCulture));
                var sample = SampleDataset.EnsureCreated(place, options: new SampleOptions { ImagesPerClass = Math.Max(1, images / SampleClasses.All.Count), Foreign = 0, Duplicates = 0 });
                peaks[images.ToString(CultureInfo.InvariantCulture)] = Child(sample, network, options);
                Directory.Delete(place, recursive: true);
            }

            report.With("seconds", clock.Elapsed.TotalSeconds).With("runs", 1);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        return report.With("rows", options.Images[^1]).With("peakRssMiB", peaks.Values.Max()).With("peaksMiB", peaks)
            .With("growthMiB", peaks.Values.Max() - peaks.Values.First());
    }

    private static double Child(string dataset, string network, BenchmarkOptions options)
    {
        // One run: what several in a row keep is another question.
        List<string> arguments = ["analyze", "--dataset", dataset, "--network", network, "--runs", "1", "--json"];
        if (options.Threads > 0)
        {
            arguments.AddRange(["--threads", options.Threads.ToString(CultureInfo.InvariantCulture)]);
        }

        if (options.DeviceName is { } device)
        {
            arguments.AddRange(["--device", device]);
        }

        using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new AnalysisException($"The run over {dataset} ended with code {process.ExitCode}.", "See the message above.");
        }

        using var json = JsonDocument.Parse(output);
        return json.RootElement.GetProperty("peakRssMiB").GetDouble();
    }

    private sealed class SilentObserver : IRunObserver
    {
        public void OnProgress(RunProgress progress)
        {
        }

        public void OnSamplesListed(int count)
        {
        }

        public void OnClassReady(int classIndex)
        {
        }

        public void OnLog(string line) => Console.Error.WriteLine(line);
    }
}
