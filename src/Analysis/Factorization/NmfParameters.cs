using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Parameters of the non-negative factorisations.</summary>
internal static class NmfParameters
{
    public const string RandomStart = "random-start";
    public const string Alpha = "alpha";
    public const string Tolerance = "tolerance";

    public static readonly IReadOnlyList<MethodParameter> All =
    [
        new(RandomStart, 0, 0, 1, "1 starts from random numbers, 0 from the singular vectors (NNDSVDa); with more concepts than rows or columns the start is always random."),
        new(Alpha, 0, 0, 100, "Penalty on large coefficients and vectors, per entry of the activations; larger values give smaller, smoother factors and a larger error."),
        new(Tolerance, 2e-5, 0, 1, "Stops when the squared error falls by less than this share of itself; larger values stop earlier."),
    ];

    /// <summary>Uᵀ (k×n) and V (k×p) to start from.</summary>
    public static (Tensor U, Tensor V) Start(Tensor rows, FactorizationOptions options, MethodInfo info) =>
        options.Value(info, RandomStart) > 0 || options.Components > Math.Min(rows.shape[0], rows.shape[1])
            ? NonNegativeStart.Random(rows, options.Components, options.Seed)
            : NonNegativeStart.Nndsvda(rows, options.Components, options.Seed);
}
