using System.Globalization;
using Analysis.Networks;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>What the command line asks for.</summary>
internal sealed record BenchmarkOptions
{
    public const string Usage =
        "[--input FILE.npy|.npz|.safetensors|FOLDER] [--array NAME] [--components K] [--rows N] [--columns C] [--runs R] [--threads T] [--device cpu|cuda] "
        + "[--dataset PATH] [--network FILE] [--layer NAME] [--limit N] [--images N,N] [--output FILE] [--set NAME=VALUE,...] [--planted] [--json]";

    /// <summary>Matrix file, or folder of images for decode and resize; null for made-up data.</summary>
    public string? Input { get; init; }

    /// <summary>Array of a file that holds several; null for the first matrix.</summary>
    public string? Array { get; init; }

    public int Components { get; init; } = 10;

    public int Rows { get; init; } = 10_000;

    public int Columns { get; init; } = 256;

    /// <summary>Runs to take the median of; 0 for up to five within a minute.</summary>
    public int Runs { get; init; }

    /// <summary>0 for the number of cores.</summary>
    public int Threads { get; init; }

    public string? DeviceName { get; init; }

    public string? Dataset { get; init; }

    public string? Network { get; init; }

    public string? Layer { get; init; }

    public int? Limit { get; init; }

    /// <summary>Sizes of the data sets that memory is compared at.</summary>
    public IReadOnlyList<int> Images { get; init; } = [2_000, 20_000];

    /// <summary>File to write: what a generator makes, or the cluster of each row as text (kmeans).</summary>
    public string? Output { get; init; }

    /// <summary>Parameters of a factorisation method by name; <c>iterations</c> limits these, <c>seed</c> sets the seed.</summary>
    public IReadOnlyDictionary<string, double> Parameters { get; init; } = new Dictionary<string, double>();

    /// <summary>Rows mixed from as many known vectors as are looked for, in place of --input.</summary>
    public bool Planted { get; init; }

    public bool Json { get; init; }

    public static BenchmarkOptions Parse(string[] arguments)
    {
        var options = new BenchmarkOptions();
        for (var i = 0; i < arguments.Length; i++)
        {
            var name = arguments[i];
            if (name == "--json")
            {
                options = options with { Json = true };
                continue;
            }

            if (name == "--planted")
            {
                options = options with { Planted = true };
                continue;
            }

            if (i + 1 == arguments.Length)
            {
                throw new ArgumentException($"{name} needs a value, or is not known. Known: {Usage}");
            }

            var value = arguments[++i];
            options = name switch
            {
                "--input" => options with { Input = value },
                "--array" => options with { Array = value },
                "--components" => options with { Components = Number(name, value) },
                "--rows" => options with { Rows = Number(name, value) },
                "--columns" => options with { Columns = Number(name, value) },
                "--runs" => options with { Runs = Number(name, value) },
                "--threads" => options with { Threads = Number(name, value) },
                "--device" => options with { DeviceName = value },
                "--dataset" => options with { Dataset = value },
                "--network" => options with { Network = value },
                "--layer" => options with { Layer = value },
                "--set" => options with { Parameters = value.Split(',').Select(v => v.Split('=')).ToDictionary(v => v[0], v => double.Parse(v[^1], CultureInfo.InvariantCulture)) },
                "--output" => options with { Output = value },
                "--limit" => options with { Limit = Number(name, value) },
                "--images" => options with { Images = [.. value.Split(',').Select(v => Number(name, v))] },
                _ => throw new ArgumentException($"{name} is not known. Known: {Usage}"),
            };
        }

        return options;
    }

    /// <summary>The device to compute on, with the threads set.</summary>
    public Device Prepare()
    {
        var device = ComputeDevice.Choose(DeviceName);
        set_num_threads(Threads > 0 ? Threads : Environment.ProcessorCount);
        return device;
    }

    private static int Number(string name, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new ArgumentException($"{name} needs a positive number, not '{value}'.");
}
