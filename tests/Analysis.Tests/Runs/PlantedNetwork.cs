using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Tests.Imaging;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Tests.Runs;

/// <summary>
/// A network whose activations are a planted product A = U* V*: the grey level of each of the nine blocks of an image is the
/// coefficient of one concept.
/// </summary>
/// <param name="vectors">V*, 9×C, non-negative.</param>
/// <param name="weights">Linear head, K×C.</param>
/// <param name="names">Outputs.</param>
internal sealed class PlantedNetwork(DenseMatrix vectors, DenseMatrix weights, IReadOnlyList<string> names) : INetwork
{
    public const int Blocks = 9;
    public const int Side = 24;

    private readonly Tensor _vectors = vectors.ToTensor(CPU).to(ScalarType.Float32).DetachFromDisposeScope();
    private readonly Tensor _weights = weights.ToTensor(CPU).to(ScalarType.Float32).DetachFromDisposeScope();
    private readonly Tensor _bias = zeros([weights.Rows], ScalarType.Float32).DetachFromDisposeScope();

    public string Name => "planted";

    public string Architecture => "planted";

    public string Sha256 => new('0', 64);

    public Preprocessing Preprocessing { get; } = new(Side, Side, [0, 0, 0], [1, 1, 1], ResizeMode.Stretch);

    public IReadOnlyList<NetworkClass> Classes { get; } = [.. names.Select(n => new NetworkClass(n))];

    public int Outputs => weights.Rows;

    public IReadOnlyList<LayerInfo> Layers { get; } = [new("sum", vectors.Columns, 1, 1, ActivationSign.NonNegative, true, true)];

    public Device Device => CPU;

    public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers)
    {
        using var guard = no_grad();
        var codes = nn.functional.adaptive_avg_pool2d(batch.mean([1L], keepdim: true), [3, 3]).reshape(batch.shape[0], Blocks);
        var activation = codes.mm(_vectors).reshape(batch.shape[0], -1, 1, 1);
        return ([.. layers.Select(_ => activation.alias())], Head("sum", activation));
    }

    public Tensor Head(string layer, Tensor activation) => activation.mean([2L, 3L]).mm(_weights.t()).add(_bias, Scalars.One);

    public (Tensor Weight, Tensor Bias)? LinearHead(string layer) => (_weights, _bias);

    public void Dispose()
    {
        _vectors.Dispose();
        _weights.Dispose();
        _bias.Dispose();
    }

    /// <summary>An image of the coefficients, each in [0, 1].</summary>
    public static byte[] Picture(ReadOnlySpan<double> codes)
    {
        var pixels = new byte[Side * Side * 3];
        for (var y = 0; y < Side; y++)
        {
            for (var x = 0; x < Side; x++)
            {
                var level = (byte)Math.Round(255 * codes[(y * 3 / Side * 3) + (x * 3 / Side)]);
                pixels.AsSpan(((y * Side) + x) * 3, 3).Fill(level);
            }
        }

        return TestImages.Png(new RgbImage(Side, Side, pixels));
    }
}
