using Analysis.Imaging;
using Analysis.Numerics;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>The inputs that are changed, and how they may change.</summary>
/// <param name="context">The analysis.</param>
/// <param name="request">The wish.</param>
/// <param name="network">The network with its layer.</param>
/// <param name="notes">Receives doubts and assumptions, in words.</param>
/// <param name="cancellation">Honoured between batches.</param>
internal sealed class ChangeInputs(TaskContext context, BackpropagationRequest request, ProbedNetwork network, List<string> notes, CancellationToken cancellation) : IDisposable
{
    private IAutoencoder? _autoencoder;

    /// <summary>Standard deviation of each column, C; empty for pictures.</summary>
    public double[] ColumnScale { get; private set; } = [];

    /// <summary>Reads the inputs that the wish names.</summary>
    /// <returns>Pictures or columns, in the order of the wish.</returns>
    public Tensor Load()
    {
        if (network.Columns)
        {
            return context.Store.GatherTensor("pooled.0", [.. request.Samples]).to(ScalarType.Float64).to(context.Plan.Network.Device);
        }

        var (mean, std) = network.Normalisation();
        var parts = new List<Tensor>();
        foreach (var (_, images) in Runs.Stages.ClassConcepts.Images(context).Images([.. request.Samples], 16, cancellation))
        {
            using (images)
            {
                parts.Add((images * std).add(mean, Scalars.One).clamp(Scalars.Of(0.0), Scalars.Of(1.0)));
            }
        }

        return cat(parts, 0);
    }

    /// <summary>What is varied.</summary>
    /// <param name="inputs">The inputs.</param>
    /// <exception cref="AnalysisException">The wish names a column that there is not, or there is no autoencoder that fits.</exception>
    public ChangeSpace Space(Tensor inputs)
    {
        if (!network.Columns)
        {
            return request.Space switch
            {
                "fourier" => new FourierSpace(),
                "latent" => new LatentSpace(OpenAutoencoder(inputs)),
                _ => new PixelSpace(),
            };
        }

        var columns = (int)inputs.shape[1];
        if (request.Ranges.Select(r => r.Column).Concat(request.Immutable).FirstOrDefault(c => c >= columns, -1) is >= 0 and var unknown)
        {
            throw new AnalysisException($"The samples have no column {unknown}.", $"Choose 0 to {columns - 1}.");
        }

        var (minimum, maximum) = ObservedRanges(columns);
        foreach (var range in request.Ranges)
        {
            minimum[range.Column] = range.Minimum ?? minimum[range.Column];
            maximum[range.Column] = range.Maximum ?? maximum[range.Column];
        }

        var immutable = new bool[columns];
        foreach (var column in request.Immutable)
        {
            immutable[column] = true;
        }

        return new ColumnSpace(ColumnScale, minimum, maximum, immutable);
    }

    /// <inheritdoc/>
    public void Dispose() => _autoencoder?.Dispose();

    private IAutoencoder OpenAutoencoder(Tensor inputs)
    {
        _autoencoder = AutoencoderLoader.Load(context.Plan.Request.Network, context.Plan.Network.Preprocessing, context.Plan.Network.Device);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var error = (_autoencoder.Decode(_autoencoder.Encode(inputs)).clamp(Scalars.Of(0.0), Scalars.Of(1.0)) - inputs).abs().mean().to(ScalarType.Float64).cpu().item<double>();
        var plain = (inputs.mean([2L, 3L], keepdim: true) - inputs).abs().mean().to(ScalarType.Float64).cpu().item<double>();
        notes.Add(
            FormattableString.Invariant($"The autoencoder draws the images with a mean error of {error:0.###} of the range from black to white; that error is part of every change.")
            + (error <= plain ? "" : FormattableString.Invariant($" One colour for each image would be nearer ({plain:0.###}): it does not know such images.")));
        return _autoencoder;
    }

    /// <summary>Smallest and largest value of each column over all samples; finds their deviations on the way.</summary>
    private (double[] Minimum, double[] Maximum) ObservedRanges(int columns)
    {
        const int Part = 4096;
        var minimum = new double[columns];
        var maximum = new double[columns];
        var sums = new double[columns];
        var squares = new double[columns];
        Array.Fill(minimum, double.PositiveInfinity);
        Array.Fill(maximum, double.NegativeInfinity);
        for (var start = 0; start < context.Store.Rows; start += Part)
        {
            cancellation.ThrowIfCancellationRequested();
            using var values = context.Store.ReadTensor("pooled.0", start, Math.Min(Part, context.Store.Rows - start));
            var matrix = DenseMatrix.FromTensor(values);
            for (var i = 0; i < matrix.Rows; i++)
            {
                var row = matrix.Row(i);
                for (var c = 0; c < columns; c++)
                {
                    minimum[c] = Math.Min(minimum[c], row[c]);
                    maximum[c] = Math.Max(maximum[c], row[c]);
                    sums[c] += row[c];
                    squares[c] += row[c] * row[c];
                }
            }
        }

        ColumnScale = new double[columns];
        for (var c = 0; c < columns; c++)
        {
            var mean = sums[c] / context.Store.Rows;
            var deviation = Math.Sqrt(Math.Max(0, (squares[c] / context.Store.Rows) - (mean * mean)));
            ColumnScale[c] = RobustStatistics.IsDegenerate(deviation, mean) ? 1 : deviation;
        }

        return (minimum, maximum);
    }
}
