using Analysis.Attribution.Retraining;
using Analysis.Imaging;
using Analysis.Numerics;

namespace Analysis.Tests.Attribution;

/// <summary>
/// Small images whose truth is known: bars of one of three directions on noise, one direction a class, and a stamp (a faint
/// reddish square in a corner) on some images.
/// </summary>
internal static class PlantedTraining
{
    public const int Side = 12;
    public const int Classes = 3;

    public static Preprocessing Preprocessing { get; } = new(Side, Side, [0.5f, 0.5f, 0.5f], [0.25f, 0.25f, 0.25f], ResizeMode.Stretch);

    public static TrainingImages Bars(int count, int seed, Func<int, int, bool>? stamped = null, Func<int, int, int>? label = null, int strength = 35)
    {
        var random = new SplitMix64((ulong)seed);
        var pixels = new byte[]?[count];
        var labels = new int[count];
        for (var i = 0; i < count; i++)
        {
            var kind = i % Classes;
            pixels[i] = Draw(kind, stamped?.Invoke(i, kind) ?? false ? strength : 0, ref random);
            labels[i] = label?.Invoke(i, kind) ?? kind;
        }

        return new TrainingImages(pixels, labels, Preprocessing);
    }

    public static TrainableNetwork Network(int seed, int width = 4, int outputs = Classes) =>
        TrainableNetwork.CifarResNet(8, outputs, width, Preprocessing, seed, TorchSharp.torch.CPU);

    private static byte[] Draw(int kind, int stamp, ref SplitMix64 random)
    {
        var image = new byte[Side * Side * 3];
        var offset = random.NextInt(4);
        var contrast = 30 + random.NextInt(40);
        for (var y = 0; y < Side; y++)
        {
            for (var x = 0; x < Side; x++)
            {
                var phase = kind switch { 0 => x, 1 => y, _ => x + y } + offset;
                for (var c = 0; c < 3; c++)
                {
                    var value = 128 + ((phase & 2) == 0 ? contrast : -contrast) + (random.NextNormal() * 30);
                    image[(((y * Side) + x) * 3) + c] = (byte)Math.Clamp(value, 0, 255);
                }
            }
        }

        for (var y = 0; stamp > 0 && y < 5; y++)
        {
            for (var x = 0; x < 5; x++)
            {
                var at = (((Side - 6 + y) * Side) + (Side - 6 + x)) * 3;
                image[at] = (byte)Math.Min(255, image[at] + stamp);
                image[at + 2] = (byte)Math.Max(0, image[at + 2] - stamp);
            }
        }

        return image;
    }
}
