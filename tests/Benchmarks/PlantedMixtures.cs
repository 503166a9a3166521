using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>Rows of which the concept vectors are known.</summary>
internal static class PlantedMixtures
{
    private const int Part = 4096;
    private const int Mixed = 4;

    /// <summary>Unit vectors of small non-negative support, as after a ReLU, k×columns.</summary>
    public static Tensor Vectors(int k, int columns)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(0);
        var vectors = (rand([k, columns], generator: random) < Scalars.Of(0.1)).to(ScalarType.Float32) * rand([k, columns], generator: random);
        vectors += 1e-3;
        return (vectors / vectors.norm(1, keepdim: true)).MoveToOuterDisposeScope();
    }

    /// <summary>Each row up to four of the vectors with strengths 1 to 3, some noise, nothing below 0. Made in parts.</summary>
    public static Tensor Rows(Tensor vectors, int rows)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(1);
        var (k, columns) = (vectors.shape[0], vectors.shape[1]);
        var result = empty([rows, columns], ScalarType.Float32);
        for (long start = 0; start < rows; start += Part)
        {
            using var inner = NewDisposeScope();
            var count = Math.Min(Part, rows - start);
            var at = randint(0, k, [count, Mixed], generator: random);
            var codes = zeros([count, k]).scatter_(1, at, (rand([count, Mixed], generator: random) * Scalars.Of(2)).add(Scalars.Of(1), Scalars.One));
            var noise = randn([count, columns], generator: random) * Scalars.Of(0.3 / Math.Sqrt(columns));
            result.narrow(0, start, count).copy_(codes.mm(vectors).add(noise, Scalars.One).relu_());
        }

        return result.MoveToOuterDisposeScope();
    }
}
