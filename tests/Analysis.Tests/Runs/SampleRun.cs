using Analysis.Datasets.Sample;
using Analysis.Runs;

namespace Analysis.Tests.Runs;

/// <summary>The built-in sample and one undisturbed analysis of it, made once for all tests of runs.</summary>
public sealed class SampleRun : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SampleRun()
    {
        Images = SampleDataset.EnsureCreated(_folder["data"]);
        Result = _folder["result"];
        Manifest = Run(Request, Result, Store);
    }

    public string Images { get; }

    public string Store => _folder["store"];

    public string Truth => Path.Combine(Path.GetDirectoryName(Images)!, "truth.json");

    public string Result { get; }

    public Manifest Manifest { get; }

    public static string Network => Path.Combine(TestData.Repository, "samples", "network", "sample.safetensors");

    /// <summary>Small enough for many runs; one thread, since two fight on a busy machine.</summary>
    public AnalysisRequest Small => Request with { Limit = 400 };

    public AnalysisRequest Request => new() { Dataset = Images, Network = Network, Threads = 1, Tables = "csv" };

    public static Manifest Run(AnalysisRequest request, string result, string store, IRunObserver? observer = null, CancellationToken cancellation = default) =>
        new AnalysisRunner(store).Run(request, result, observer ?? new RecordingObserver(), cancellation);

    public void Dispose() => _folder.Dispose();
}

/// <summary>Keeps what a run reports and can cancel it at a point.</summary>
public sealed class RecordingObserver : IRunObserver
{
    public List<RunProgress> Progress { get; } = [];

    public List<int> Ready { get; } = [];

    public int? Listed { get; private set; }

    /// <summary>Called with each snapshot.</summary>
    public Action<RunProgress>? Watch { get; init; }

    public void OnProgress(RunProgress progress)
    {
        Progress.Add(progress);
        Watch?.Invoke(progress);
    }

    public void OnSamplesListed(int count) => Listed = count;

    public void OnClassReady(int classIndex) => Ready.Add(classIndex);

    public void OnLog(string line)
    {
    }

    public StageProgress Last(string stage) => Progress[^1].Stages.Single(s => s.Name == stage);
}
