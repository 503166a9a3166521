using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Analysis.Numerics;
using Analysis;
using Analysis.Datasets.Sample;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace SampleTools;

/// <summary>
/// Trains the network of the built-in sample: a CIFAR ResNet of depth 8 (He et al. 2016, §4.2; shortcut A) on the images at 32×32,
/// with parameter names as the product's loader expects them. The training images come from another seed than the sample's.
/// </summary>
internal static class SampleTrainer
{
    private const int Side = 32;
    private const int TrainSeed = 917;
    private const int BatchSize = 50;
    private static readonly float[] Mean = [0.5f, 0.5f, 0.5f];
    private static readonly float[] Std = [0.25f, 0.25f, 0.25f];
    private static readonly int[] Widths = [16, 32, 64];

    private static readonly Preprocessing Input =
        new(Side, Side, Mean, Std, ResizeMode.Stretch);

    /// <summary>Writes <c>sample.safetensors</c> and <c>sample.json</c>.</summary>
    public static void Train(string folder, int epochs, int threads)
    {
        TorchRuntime.Prepare();
        set_num_threads(threads);
        manual_seed(1);
        var options = new SampleOptions
        {
            Seed = TrainSeed,
            ImagesPerClass = 600,
            WatermarkShare = 0.3,
            ShortcutShare = 0.35,
            MislabelledShare = 0,
            CorruptedShare = 0,
            Foreign = 0,
            Duplicates = 0,
        };
        var (images, labels) = Load(SamplePlan.Create(options));
        var count = labels.Length;
        var parameters = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        Build(parameters);
        var trained = parameters.Values.OfType<Parameter>().ToArray();
        using var optimizer = optim.AdamW(trained, lr: 1e-3, weight_decay: 0.02);
        var order = Enumerable.Range(0, count).ToArray();
        var random = new Random(5);
        var steps = epochs * (count / BatchSize);
        var step = 0;
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            random.Shuffle(order);
            var clock = System.Diagnostics.Stopwatch.StartNew();
            double loss = 0;
            var right = 0L;
            for (var first = 0; first + BatchSize <= count; first += BatchSize, step++)
            {
                using var scope = NewDisposeScope();
                SetRate(optimizer, step / (double)steps);
                var chosen = order.AsSpan(first, BatchSize);
                var x = Gather(images, chosen);
                var y = tensor(chosen.ToArray().Select(i => labels[i]).ToArray());
                var logits = Forward(parameters, x, training: true);
                var value = functional.cross_entropy(logits, y, label_smoothing: 0.05);
                optimizer.zero_grad();
                value.backward();
                optimizer.step();
                loss += value.item<float>();
                right += logits.argmax(1).eq(y).sum().item<long>();
            }

            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"epoch {epoch + 1}/{epochs}: loss {loss / (count / BatchSize):F3}, accuracy {right / (double)count:P1}, {clock.Elapsed.TotalSeconds:F0} s"));
        }

        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, "sample.safetensors");
        SafetensorsTensors.Save(path, [.. parameters.Select(static p => (p.Key, p.Value.detach()))]);
        var report = Measure(parameters, new SampleOptions());
        Console.WriteLine(report);
        WriteSidecar(Path.Combine(folder, "sample.json"), parameters, report);
    }

    /// <summary>Measures a network that was written before.</summary>
    public static string Check(string file, SampleOptions options)
    {
        TorchRuntime.Prepare();
        using var reader = SafetensorsFile.Open(file);
        var parameters = reader.Entries.Keys.ToDictionary(static k => k, k => SafetensorsTensors.Load(reader, k), StringComparer.Ordinal);
        return Measure(parameters, options).ToString();
    }

    private static void SetRate(optim.Optimizer optimizer, double done)
    {
        // One cycle: up to the peak in the first fifth, then down along a cosine.
        const double peak = 6e-3;
        var rate = done < 0.2 ? peak * (0.05 + (0.95 * done / 0.2)) : peak * (0.001 + (0.4995 * (1 + Math.Cos(Math.PI * (done - 0.2) / 0.8))));
        foreach (var group in optimizer.ParamGroups)
        {
            group.LearningRate = rate;
        }
    }

    private static (byte[][] Images, long[] Labels) Load(IReadOnlyList<SampleItem> plan)
    {
        var images = new byte[plan.Count][];
        Parallel.For(0, plan.Count, i => images[i] = Prepare(plan[i]));
        var names = SampleClasses.All.Select(static c => c.Name).ToList();
        return (images, [.. plan.Select(i => (long)names.IndexOf(i.FolderClass))]);
    }

    private static byte[] Prepare(SampleItem item) => ImagePreparation.Resize(item.Paint(), Input).Pixels;

    private static Tensor Gather(byte[][] images, ReadOnlySpan<int> chosen)
    {
        const int length = 3 * Side * Side;
        var values = new float[chosen.Length * length];
        for (var i = 0; i < chosen.Length; i++)
        {
            ImagePreparation.Normalise(
                new RgbImage(Side, Side, images[chosen[i]]), Input, values.AsSpan(i * length, length));
        }

        return tensor(values, [chosen.Length, 3, Side, Side]);
    }

    private static void Build(Dictionary<string, Tensor> parameters)
    {
        void Convolution(string name, int output, int input)
        {
            using var raw = randn(output, input, 3, 3);
            parameters[$"{name}.weight"] = new Parameter(raw * Scalars.Of(Math.Sqrt(2.0 / (9 * input))));
        }

        void Norm(string name, int channels)
        {
            parameters[$"{name}.weight"] = new Parameter(ones(channels));
            parameters[$"{name}.bias"] = new Parameter(zeros(channels));
            parameters[$"{name}.running_mean"] = zeros(channels);
            parameters[$"{name}.running_var"] = ones(channels);
        }

        Convolution("conv1", Widths[0], 3);
        Norm("bn1", Widths[0]);
        var input = Widths[0];
        for (var stage = 1; stage <= 3; stage++)
        {
            var output = Widths[stage - 1];
            Convolution($"layer{stage}.0.conv1", output, input);
            Norm($"layer{stage}.0.bn1", output);
            Convolution($"layer{stage}.0.conv2", output, output);
            Norm($"layer{stage}.0.bn2", output);
            input = output;
        }

        using var weight = randn(SampleClasses.All.Count, input);
        parameters["linear.weight"] = new Parameter(weight / Scalars.Of(Math.Sqrt(input)));
        parameters["linear.bias"] = new Parameter(zeros(SampleClasses.All.Count));
    }

    private static Tensor Forward(Dictionary<string, Tensor> parameters, Tensor x, bool training)
    {
        Tensor Normed(string convolution, string norm, Tensor input, int stride)
        {
            var z = functional.conv2d(input, parameters[$"{convolution}.weight"], strides: [stride, stride], padding: [1, 1]);
            return functional.batch_norm(
                z, parameters[$"{norm}.running_mean"], parameters[$"{norm}.running_var"], parameters[$"{norm}.weight"],
                parameters[$"{norm}.bias"], training, 0.1, 1e-5);
        }

        x = Normed("conv1", "bn1", x, 1).relu();
        for (var stage = 1; stage <= 3; stage++)
        {
            var name = $"layer{stage}.0";
            var stride = stage == 1 ? 1 : 2;
            var z = Normed($"{name}.conv1", $"{name}.bn1", x, stride).relu();
            z = Normed($"{name}.conv2", $"{name}.bn2", z, 1);
            var shortcut = x;
            if (stride == 2)
            {
                var pad = (Widths[stage - 1] - Widths[stage - 2]) / 2;
                shortcut = functional.pad(x.slice(2, 0, x.shape[2], 2).slice(3, 0, x.shape[3], 2), [0, 0, 0, 0, pad, pad]);
            }

            x = z.add(shortcut, Scalars.One).relu();
        }

        return functional.linear(x.mean([2, 3]), parameters["linear.weight"], parameters["linear.bias"]);
    }

    private static SampleReport Measure(Dictionary<string, Tensor> parameters, SampleOptions options)
    {
        var plan = SamplePlan.Create(options);
        var (images, labels) = Load(plan);
        var predicted = Predict(parameters, images);
        var names = SampleClasses.All.Select(static c => c.Name).ToList();
        double Share(Func<int, bool> among, Func<int, bool> counted)
        {
            int[] rows = [.. Enumerable.Range(0, plan.Count).Where(among)];
            return rows.Length == 0 ? double.NaN : rows.Count(counted) / (double)rows.Length;
        }

        // The mark drawn over images of other classes: how many change to its class because of it.
        int[] others = [.. Enumerable.Range(0, plan.Count).Where(i => plan[i].Type == "clean" && plan[i].FolderClass != SampleClasses.WatermarkClass)];
        var marked = new byte[others.Length][];
        Parallel.For(0, others.Length, i => marked[i] = Prepare(plan[others[i]] with { Attributes = plan[others[i]].Attributes with { Watermark = true } }));
        var withMark = Predict(parameters, marked);
        var target = names.IndexOf(SampleClasses.WatermarkClass);
        return new SampleReport(
            Share(i => plan[i].Type == "clean", i => predicted[i] == labels[i]),
            Share(static _ => true, i => predicted[i] == labels[i]),
            Share(i => plan[i].Type == "mislabelled", i => predicted[i] == names.IndexOf(plan[i].TrueClass)),
            others.Where(i => predicted[i] == target).Count() / (double)others.Length,
            withMark.Count(p => p == target) / (double)others.Length);
    }

    private static long[] Predict(Dictionary<string, Tensor> parameters, byte[][] images)
    {
        var predicted = new List<long>();
        using var off = no_grad();
        for (var first = 0; first < images.Length; first += 100)
        {
            using var scope = NewDisposeScope();
            var x = Gather(images, [.. Enumerable.Range(first, Math.Min(100, images.Length - first))]);
            predicted.AddRange(Forward(parameters, x, training: false).argmax(1).data<long>().ToArray());
        }

        return [.. predicted];
    }

    private static void WriteSidecar(string path, Dictionary<string, Tensor> parameters, SampleReport report)
    {
        var sidecar = new
        {
            format_version = 1,
            name = "Sample network (ResNet-8)",
            architecture = "cifar_resnet",
            depth = 8,
            weights_file = "sample.safetensors",
            licence = "MIT, as the rest of this repository",
            parameters = parameters.Where(static p => !p.Key.Contains("running", StringComparison.Ordinal)).Sum(static p => p.Value.numel()),
            input = new
            {
                size = new[] { Side, Side },
                channels = "RGB",
                layout = "NCHW",
                mean = Mean,
                std = Std,
                resize = new { mode = "stretch" },
            },
            classes = SampleClasses.All.Select(static c => c.Name),
            batchnorm = new { eps = 1e-5 },
            measured = new
            {
                top1 = Math.Round(report.All, 4),
                top1_clean = Math.Round(report.Clean, 4),
                mislabelled_seen_as_shown = Math.Round(report.Mislabelled, 4),
                others_as_watermark_class = Math.Round(report.OthersAsMarked, 4),
                others_as_watermark_class_with_mark = Math.Round(report.OthersAsMarkedWithMark, 4),
            },
        };
        File.WriteAllText(path, JsonSerializer.Serialize(sidecar, new JsonSerializerOptions { WriteIndented = true, NewLine = "\n" }) + "\n");
    }
}

/// <summary>How good the network is; all shares are from 0 to 1.</summary>
/// <param name="Clean">Top-1 accuracy on the images that nothing was planted in.</param>
/// <param name="All">Top-1 agreement with the folder over all images.</param>
/// <param name="Mislabelled">Share of the mislabelled images that are recognised as what they show.</param>
/// <param name="OthersAsMarked">Share of clean images of other classes that are taken for the class with the watermark.</param>
/// <param name="OthersAsMarkedWithMark">The same after the watermark was drawn onto them: the shortcut.</param>
internal sealed record SampleReport(double Clean, double All, double Mislabelled, double OthersAsMarked, double OthersAsMarkedWithMark);
