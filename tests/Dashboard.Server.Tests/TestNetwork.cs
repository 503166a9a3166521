using System.Text.Json;
using Analysis.Datasets.Sample;
using Analysis.Networks.Files;

namespace Dashboard.Server.Tests;

/// <summary>
/// Small inputs that exercise every stage of a run: pictures from the product's own generator, and a CIFAR ResNet-20 with
/// fixed random weights, whose predictions are meaningless but the same every time.
/// </summary>
internal static class TestNetwork
{
    private static readonly string[] Classes = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

    /// <summary>Class folders with a few pictures each; returns the data set's path.</summary>
    public static string Images(string folder, int perClass = 24) => SampleDataset.EnsureCreated(
        Path.Combine(folder, "images"), options: new SampleOptions { ImagesPerClass = perClass, Foreign = 2, Duplicates = 2 });

    /// <summary>Writes the weights with their sidecar; returns the path of the weights.</summary>
    public static string Weights(string folder)
    {
        var path = Path.Combine(folder, "random20.safetensors");
        var tensors = new List<(string Name, TensorHeader Header)> { ("conv1.weight", Floats(16, 3, 3, 3)) };
        Norm("bn1", 16);
        for (int stage = 1, channels = 16; stage <= 3; stage++, channels *= 2)
        {
            for (var block = 0; block < 3; block++)
            {
                var prefix = $"layer{stage}.{block}";
                tensors.Add(($"{prefix}.conv1.weight", Floats(channels, stage > 1 && block == 0 ? channels / 2 : channels, 3, 3)));
                Norm($"{prefix}.bn1", channels);
                tensors.Add(($"{prefix}.conv2.weight", Floats(channels, channels, 3, 3)));
                Norm($"{prefix}.bn2", channels);
            }
        }

        tensors.Add(("linear.weight", Floats(Classes.Length, 64)));
        tensors.Add(("linear.bias", Floats(Classes.Length)));
        var random = new Random(5);
        using (var writer = SafetensorsWriter.Create(path, tensors))
        {
            foreach (var (name, header) in tensors)
            {
                var values = new float[header.Shape.Aggregate(1L, (product, size) => product * size)];
                var fanIn = header.Shape.Skip(1).Aggregate(1L, (product, size) => product * size);
                for (var i = 0; i < values.Length; i++)
                {
                    values[i] = name switch
                    {
                        _ when name.Contains("bn", StringComparison.Ordinal) => name.EndsWith("weight", StringComparison.Ordinal) || name.EndsWith("var", StringComparison.Ordinal) ? 1 : 0,
                        "linear.bias" => 0,
                        _ => (float)((random.NextDouble() - 0.5) * Math.Sqrt(24.0 / fanIn)),
                    };
                }

                writer.Write<float>(name, values);
            }

            writer.Complete();
        }

        File.WriteAllText(Path.ChangeExtension(path, ".json"), JsonSerializer.Serialize(new
        {
            name = "random20",
            architecture = "cifar_resnet",
            depth = 20,
            input = new { size = new[] { 32, 32 }, mean = new[] { 0.5, 0.5, 0.5 }, std = new[] { 0.25, 0.25, 0.25 } },
        }));
        return path;

        static TensorHeader Floats(params long[] shape) => new(ElementType.Float32, shape);

        void Norm(string name, int channels)
        {
            foreach (var part in new[] { "weight", "bias", "running_mean", "running_var" })
            {
                tensors.Add(($"{name}.{part}", Floats(channels)));
            }
        }
    }
}
