using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Centroids as concept vectors, not scaled: a row is its nearest centroid, so each row of U holds a single one.</summary>
public sealed class CentroidFactors : Factors
{
    private const int Part = 8192;

    /// <summary>Takes over the tensor.</summary>
    /// <param name="centroids">V, k×p.</param>
    /// <param name="iterations">Steps that the fit took.</param>
    /// <param name="inertia">Sum of the squared distances of the fitted rows to their centroids; NaN where it is not known.</param>
    public CentroidFactors(Tensor centroids, int iterations = 0, double inertia = double.NaN)
        : base(centroids, null, iterations) => Inertia = inertia;

    /// <summary>Sum of the squared distances of the fitted rows to their centroids; NaN for restored factors.</summary>
    public double Inertia { get; }

    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        return torch.zeros([rows.shape[0], Components], rows.dtype, rows.device)
            .scatter_(1, Nearest(rows, Vectors, out _).unsqueeze(1), torch.ones([rows.shape[0], 1], rows.dtype, rows.device))
            .MoveToOuterDisposeScope();
    }

    /// <summary>Nearest centroid of each row (the first on ties) by ||c||² − 2 a·c, and the squared distance; both belong to the caller's dispose scope.</summary>
    /// <param name="rows">m×p.</param>
    /// <param name="centroids">k×p.</param>
    /// <param name="squared">Receives m float64 squared distances.</param>
    internal static Tensor Nearest(Tensor rows, Tensor centroids, out Tensor squared)
    {
        using var scope = torch.NewDisposeScope();
        var labels = torch.empty([rows.shape[0]], ScalarType.Int64, rows.device);
        var distances = torch.empty([rows.shape[0]], ScalarType.Float64, rows.device);
        var c = centroids.to(ScalarType.Float64);
        var lengths = c.pow(Scalars.Of(2)).sum(1);
        for (long start = 0; start < rows.shape[0]; start += Part)
        {
            using var inner = torch.NewDisposeScope();
            var count = Math.Min(Part, rows.shape[0] - start);

            // The product of large norms hides small distances in float32.
            var x = rows.narrow(0, start, count).detach().to(ScalarType.Float64);
            var (least, index) = torch.addmm(lengths.unsqueeze(0), x, c.t(), 1, -2).min(1);
            labels.narrow(0, start, count).copy_(index);
            distances.narrow(0, start, count).copy_(least.add_(x.pow(Scalars.Of(2)).sum(1), Scalars.One).clamp_(min: Scalars.Of(0)));
        }

        squared = distances.MoveToOuterDisposeScope();
        return labels.MoveToOuterDisposeScope();
    }
}
