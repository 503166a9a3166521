using System.CommandLine;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary>The options that analyze and extract share, and how they become a request.</summary>
internal sealed class EngineOptions
{
    public Option<string> Dataset { get; } = new("--dataset") { Required = true, Description = "Images: class folders, a flat folder (with labels.csv or not), tar shards, Parquet, CIFAR binary; or activations: .npz or .safetensors." };

    public Option<string?> Network { get; } = new("--network") { Description = "Weights: .safetensors, .pth or TorchScript .pt; its sidecar .json beside it is used when present. Left out where the data set holds activations." };

    public Option<string?> Architecture { get; } = new("--architecture") { Description = "Architecture, where neither the sidecar nor the tensors tell it." };

    public Option<string?> Layer { get; } = new("--layer") { Description = "Layer to analyse; the suggested one by default." };

    public Option<string?> Classes { get; } = new("--classes") { Description = "Class folders to use, separated by commas; all by default." };

    public Option<string?> Device { get; } = new("--device") { Description = "cpu or cuda; CUDA where available by default." };

    public Option<int> Seed { get; } = new("--seed") { Description = "Seed of every stochastic step.", DefaultValueFactory = _ => 0 };

    public Option<int?> Limit { get; } = new("--limit") { Description = "Use this many images, spread evenly over the classes." };

    public Option<int> BatchSize { get; } = new("--batch-size") { Description = "Images per batch; chosen from the input size by default.", DefaultValueFactory = _ => 0 };

    public Option<int> Threads { get; } = new("--threads") { Description = "Threads of tensor operations; the number of cores by default.", DefaultValueFactory = _ => 0 };

    public Option<string> Out { get; } = new("--out") { Required = true, Description = "Folder for the result." };

    public Option<string?> DataDirectory { get; } = new("--data-directory") { Description = "Keep intermediate results in this data directory, shared with other runs; below --out by default." };

    public Option<bool> JsonProgress { get; } = new("--json-progress") { Description = "Print progress as JSON lines." };

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { Dataset, Network, Architecture, Layer, Classes, Device, Seed, Limit, BatchSize, Threads, Out, DataDirectory, JsonProgress })
        {
            command.Options.Add(option);
        }
    }

    public AnalysisRequest Request(ParseResult parsed) => new()
    {
        Dataset = Path.GetFullPath(parsed.GetValue(Dataset)!),
        Network = parsed.GetValue(Network) is { Length: > 0 } network ? Path.GetFullPath(network) : "",
        Architecture = parsed.GetValue(Architecture),
        Layer = parsed.GetValue(Layer),
        Classes = parsed.GetValue(Classes)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
        Device = parsed.GetValue(Device),
        Seed = parsed.GetValue(Seed),
        Limit = parsed.GetValue(Limit),
        BatchSize = parsed.GetValue(BatchSize),
        Threads = parsed.GetValue(Threads),
    };

    /// <summary>Where intermediate results go: below the data directory when one is named, else below the result.</summary>
    public string StoreFolder(ParseResult parsed)
    {
        var data = parsed.GetValue(DataDirectory) ?? Environment.GetEnvironmentVariable("Dashboard__DataDirectory");
        return string.IsNullOrEmpty(data)
            ? Path.Combine(Path.GetFullPath(parsed.GetValue(Out)!), "work")
            : Path.Combine(Path.GetFullPath(data), "store");
    }
}
