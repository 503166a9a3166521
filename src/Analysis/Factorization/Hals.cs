using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>How <see cref="Hals"/> runs.</summary>
internal sealed record HalsSettings
{
    /// <summary>Limit of outer iterations, each of which multiplies with the rows twice.</summary>
    public required int Iterations { get; init; }

    /// <summary>Stops when the squared error has fallen by less than this share of itself in two iterations running; 0 for all iterations.</summary>
    public double Tolerance { get; init; } = 1e-4;

    /// <summary>Coordinate sweeps per product with the rows. 1 is the plain method.</summary>
    public int Sweeps { get; init; } = 1;

    /// <summary>Extrapolates along the last step.</summary>
    public bool Extrapolate { get; init; }

    /// <summary>λ of a penalty λ||U||² beside the squared error.</summary>
    public double CodesPenalty { get; init; }

    /// <summary>λ of a penalty λ||V||².</summary>
    public double VectorsPenalty { get; init; }
}

/// <summary>
/// min ||A − UV||² over U, V ≥ 0 by hierarchical alternating least squares (Cichocki and Phan 2009): each column of U, then each row of
/// V, is set to its exact optimum with the others fixed, which is cyclic coordinate descent. Two accelerations: several sweeps for
/// each pair of products with A, which cost almost nothing (Gillis and Glineur 2012, section 4), and extrapolation with a step that
/// shrinks when the error rises (Ang and Gillis 2019, algorithm 3 with its projected variant).
/// </summary>
internal static class Hals
{
    // Ang and Gillis 2019, table 1.
    private const double FirstStep = 0.5;
    private const double Growth = 1.05;
    private const double CapGrowth = 1.01;
    private const double Shrink = 1.5;

    /// <summary>A sweep that changes the tile by less than this share of the first one is the last.</summary>
    private const double SweepTolerance = 0.01;

    /// <summary>Sweeps from coefficients of zero.</summary>
    private const int FirstSweeps = 30;

    /// <summary>Improves U and V.</summary>
    /// <param name="a">A, b×n×p: b problems at once. Rows of zeros may pad a problem.</param>
    /// <param name="u">Start of Uᵀ, b×k×n, at least 0.</param>
    /// <param name="v">Start of V, b×k×p, at least 0.</param>
    /// <param name="settings">How.</param>
    /// <param name="progress">Called with the share that is done; null for none.</param>
    /// <param name="cancellation">Honoured between iterations.</param>
    /// <returns>Uᵀ, V and the outer iterations of the problem that took most. Belong to the caller's dispose scope.</returns>
    public static (Tensor U, Tensor V, int Iterations) Run(
        Tensor a, Tensor u, Tensor v, HalsSettings settings, Action<double>? progress, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var problems = (int)a.shape[0];
        var transposed = a.transpose(1, 2);
        var norm = SquaredNorm(a);
        u = u.clone();
        v = v.clone();
        var (uy, vy) = (u.clone(), v.clone());
        var state = new Extrapolation[problems];
        Array.Fill(state, new Extrapolation(FirstStep, 1, FirstStep, double.PositiveInfinity, 0));
        var active = new bool[problems];
        Array.Fill(active, true);
        var iteration = 0;
        while (iteration < settings.Iterations && active.AsSpan().Contains(true))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();

            var un = Improve(uy, Product(vy, transposed), WithPenalty(Product(vy, vy.transpose(1, 2)), settings.CodesPenalty), settings.Sweeps);
            var ue = settings.Extrapolate ? Ahead(un, u, state) : un;
            var codesGram = Product(ue, ue.transpose(1, 2));
            var product = Product(ue, a);
            var vn = Improve(vy, product, WithPenalty(codesGram, settings.VectorsPenalty), settings.Sweeps);
            var errors = Errors(norm, product, codesGram, ue, vn, settings);
            iteration++;

            // A problem that has settled keeps what it had, whatever its neighbours still do.
            var ve = settings.Extrapolate ? Ahead(vn, v, state) : vn;
            for (var b = 0; b < problems; b++)
            {
                if (!active[b])
                {
                    continue;
                }

                var rose = settings.Extrapolate && errors[b] > state[b].Error;
                u[b].copy_(un[b]);
                v[b].copy_(vn[b]);
                uy[b].copy_(rose ? un[b] : ue[b]);
                vy[b].copy_(rose ? vn[b] : ve[b]);
                state[b] = state[b].Next(errors[b], settings.Tolerance);
                active[b] = settings.Tolerance <= 0 || state[b].Quiet < 2;
            }

            progress?.Invoke((double)iteration / settings.Iterations);
        }

        return (u.MoveToOuterDisposeScope(), v.MoveToOuterDisposeScope(), iteration);
    }

    /// <summary>Codes for fixed vectors, close to optimal: Uᵀ, b×k×n; belongs to the caller's dispose scope.</summary>
    public static Tensor Codes(Tensor a, Tensor v)
    {
        using var scope = torch.NewDisposeScope();
        var zeros = torch.zeros([v.shape[0], v.shape[1], a.shape[1]], a.dtype, a.device);
        return Improve(zeros, Product(v, a.transpose(1, 2)), Product(v, v.transpose(1, 2)), FirstSweeps).MoveToOuterDisposeScope();
    }

    /// <summary>||A − UV||² of one problem for codes Uᵀ (1×k×n).</summary>
    public static double SquaredError(Tensor a, Tensor u, Tensor v)
    {
        using var scope = torch.NewDisposeScope();
        return Errors(SquaredNorm(a), Product(u, a), Product(u, u.transpose(1, 2)), u, v, new HalsSettings { Iterations = 0 })[0];
    }

    /// <summary>Batched product; a single one takes the path of plain matrices, which is quicker.</summary>
    private static Tensor Product(Tensor x, Tensor y) => x.shape[0] == 1 ? x[0].mm(y[0]).unsqueeze(0) : x.bmm(y);

    /// <summary>||A||² per problem, in float64 without a copy of the rows in it.</summary>
    private static double[] SquaredNorm(Tensor a)
    {
        using var scope = torch.NewDisposeScope();
        var rows = a.pow(Scalars.Of(2)).sum(2);
        return rows.sum([1L], type: ScalarType.Float64).cpu().data<double>().ToArray();
    }

    /// <summary>||A − UV||² + penalties per problem, from products that are there anyway.</summary>
    private static double[] Errors(double[] norm, Tensor product, Tensor codesGram, Tensor u, Tensor v, HalsSettings settings)
    {
        using var scope = torch.NewDisposeScope();
        var v64 = v.to(ScalarType.Float64);
        var cross = (product.to(ScalarType.Float64) * v64).sum([1L, 2L]);
        var square = (codesGram.to(ScalarType.Float64) * v64.bmm(v64.transpose(1, 2))).sum([1L, 2L]);
        var change = square - (cross * Scalars.Of(2));
        if (settings.CodesPenalty > 0 || settings.VectorsPenalty > 0)
        {
            change = change.add(Scalars.Of(settings.CodesPenalty) * u.pow(Scalars.Of(2)).sum([1L, 2L], type: ScalarType.Float64), Scalars.One).add(Scalars.Of(settings.VectorsPenalty) * v64.pow(Scalars.Of(2)).sum([1L, 2L]), Scalars.One);
        }

        var values = change.cpu().data<double>().ToArray();
        for (var b = 0; b < values.Length; b++)
        {
            values[b] = Math.Max(0, values[b] + norm[b]);
        }

        return values;
    }

    private static Tensor WithPenalty(Tensor gram, double penalty)
    {
        if (penalty > 0)
        {
            gram.diagonal(0, 1, 2).add_(Scalars.Of(penalty), Scalars.One);
        }

        return gram;
    }

    /// <summary>max(0, x + β (x − before)), with each problem's own β.</summary>
    private static Tensor Ahead(Tensor x, Tensor before, Extrapolation[] state)
    {
        if (state.Length == 1)
        {
            return x.lerp(before, -state[0].Step).clamp_(min: Scalars.Of(0));
        }

        var steps = torch.tensor(Array.ConvertAll(state, s => -s.Step), [state.Length, 1, 1], x.dtype, x.device);
        return x.lerp(before, steps).clamp_(min: Scalars.Of(0));
    }

    /// <summary>A copy of x (b×k×m) after some sweeps of coordinate descent against the right sides and Gram matrices.</summary>
    internal static Tensor Improve(Tensor x, Tensor right, Tensor gram, int sweeps)
    {
        var result = x.contiguous().clone();
        if (x.device.type == DeviceType.CPU)
        {
            var h = right.contiguous();
            var g = gram.contiguous();
            for (var b = 0; b < x.shape[0]; b++)
            {
                if (x.dtype == ScalarType.Float32)
                {
                    Sweep<float>(result[b], h[b], g[b], sweeps);
                }
                else
                {
                    Sweep<double>(result[b], h[b], g[b], sweeps);
                }
            }

            return result;
        }

        SweepOnDevice(result, right, gram, sweeps);
        return result;
    }

    /// <summary>The same sweeps by tensor operations, in place: for devices where problems are many and launches dear.</summary>
    internal static void SweepOnDevice(Tensor x, Tensor right, Tensor gram, int sweeps)
    {
        var k = x.shape[1];
        using var scope = torch.NewDisposeScope();
        var diagonal = gram.diagonal(0, 1, 2);
        var inverse = torch.where(diagonal > Scalars.Of(0), diagonal.reciprocal(), torch.zeros_like(diagonal));
        for (var s = 0; s < sweeps; s++)
        {
            for (long j = 0; j < k; j++)
            {
                using var inner = torch.NewDisposeScope();
                var gradient = right.narrow(1, j, 1) - gram.narrow(1, j, 1).bmm(x);
                x.narrow(1, j, 1).add_(gradient.mul_(inverse.narrow(1, j, 1).unsqueeze(2)), Scalars.One).clamp_(min: Scalars.Of(0));
            }
        }
    }

    private static unsafe void Sweep<T>(Tensor x, Tensor right, Tensor gram, int sweeps)
        where T : unmanaged, System.Numerics.INumber<T> =>
        CoordinateDescent.Sweep(
            NativeData.Pointer<T>(x), NativeData.Pointer<T>(right), NativeData.Pointer<T>(gram), (int)x.shape[0], x.shape[1], sweeps, sweeps == 1 ? 0 : SweepTolerance);

    /// <summary>State of the extrapolation of one problem.</summary>
    /// <param name="Step">β.</param>
    /// <param name="Cap">Upper limit of β.</param>
    /// <param name="Previous">β of the iteration before, which becomes the cap after a rise.</param>
    /// <param name="Error">Squared error of the iteration before.</param>
    /// <param name="Quiet">Iterations running without a notable fall.</param>
    private readonly record struct Extrapolation(double Step, double Cap, double Previous, double Error, int Quiet)
    {
        public Extrapolation Next(double error, double tolerance)
        {
            // A rise comes from too long a step and says nothing of convergence.
            var rose = error > Error;
            var quiet = !double.IsFinite(Error) ? 0 : Math.Abs(Error - error) <= tolerance * Error ? Quiet + 1 : 0;
            return rose
                ? new Extrapolation(Step / Shrink, Previous, Step, error, quiet)
                : new Extrapolation(Math.Min(Cap, Growth * Step), Math.Min(1, CapGrowth * Cap), Step, error, quiet);
        }
    }
}
