using Analysis;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>The matrices that numeric benchmarks work on.</summary>
internal static class BenchmarkData
{
    private const int Groups = 12;

    /// <summary>The matrix of a file, or made-up activations: N×C float32, groups of rows around non-negative patterns.</summary>
    public static Tensor Matrix(BenchmarkOptions options)
    {
        using var scope = NewDisposeScope();
        var matrix = options.Input is { } path ? Read(path, options.Array) : Made(options.Rows, options.Columns);
        if (matrix.dim() != 2)
        {
            throw new AnalysisException($"The array has {matrix.dim()} dimensions.", "Give a matrix, or name one with --array.");
        }

        return matrix.to(ScalarType.Float32).contiguous().MoveToOuterDisposeScope();
    }

    private static Tensor Read(string path, string? name)
    {
        switch (Path.GetExtension(path).ToLowerInvariant())
        {
            case ".npy":
                return NpyArray.Open(path).ToTensor();
            case ".npz":
            {
                var archive = NpzArchive.Open(path);
                return archive[name ?? archive.Names.FirstOrDefault(n => archive[n].Shape.Count == 2) ?? throw NoMatrix(path)].ToTensor();
            }

            case ".safetensors":
            {
                using var file = SafetensorsFile.Open(path);
                var entry = name is not null ? file.Entry(name) : file.Entries.Values.FirstOrDefault(e => e.Shape.Count == 2) ?? throw NoMatrix(path);
                return file.Load(entry.Name).clone();
            }

            default:
                throw new AnalysisException($"{path} is no file of a known kind.", "Give .npy, .npz or .safetensors.");
        }
    }

    private static AnalysisException NoMatrix(string path) => new($"{path} holds no matrix.", "Give a file with an array of two dimensions.");

    private static Tensor Made(int rows, int columns)
    {
        using var random = new Generator(0);
        var patterns = randn([Groups, columns], generator: random).relu() * Scalars.Of(2);
        var group = arange(Scalars.Of(0), Scalars.Of(rows), Scalars.One) % Scalars.Of(Groups);
        var strength = rand([rows, 1], generator: random).add(Scalars.Of(0.5), Scalars.One);
        return ((patterns.index_select(0, group) * strength).add(randn([rows, columns], generator: random) * Scalars.Of(0.3), Scalars.One)).relu();
    }
}
