using System.Globalization;
using System.Text.Json;
using Analysis.Attribution.Retraining;
using Analysis.Datasets.Sample;
using Analysis.Imaging;
using Analysis.Networks;
using static TorchSharp.torch;

namespace SampleTools;

/// <summary>
/// Trains the network of the built-in sample: a CIFAR ResNet of depth 8 (He et al. 2016, §4.2; shortcut A) on the images at 32×32,
/// with parameter names as the product's loader expects them. The training images come from another seed than the sample's.
/// </summary>
internal static class SampleTrainer
{
    private const int Side = 32;
    private const int TrainSeed = 917;
    private const int Depth = 8;
    private const int Width = 16;
    private static readonly float[] Mean = [0.5f, 0.5f, 0.5f];
    private static readonly float[] Std = [0.25f, 0.25f, 0.25f];

    private static readonly Preprocessing Input =
        new(Side, Side, Mean, Std, ResizeMode.Stretch);

    // The committed weights were made with these numbers by torch's own generator and optimiser: a new training gives others.
    private static readonly TrainingRecipe Recipe = new()
    {
        BatchSize = 50,
        Optimizer = "adamw",
        Rate = 6e-3,
        Warmup = 0.2,
        Decay = 0.02,
        Smoothing = 0.05,
    };

    /// <summary>Writes <c>sample.safetensors</c> and <c>sample.json</c>.</summary>
    public static void Train(string folder, int epochs, int threads)
    {
        TorchRuntime.Prepare();
        set_num_threads(threads);
        var images = Load(SamplePlan.Create(new SampleOptions
        {
            Seed = TrainSeed,
            ImagesPerClass = 600,
            WatermarkShare = 0.3,
            ShortcutShare = 0.35,
            MislabelledShare = 0,
            CorruptedShare = 0,
            Foreign = 0,
            Duplicates = 0,
        }));
        using var network = TrainableNetwork.CifarResNet(Depth, SampleClasses.All.Count, Width, Input, seed: 1, CPU);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var finished = 0;
        Trainer.Train(network, images, [.. Enumerable.Range(0, images.Count)], Recipe with { Epochs = epochs }, seed: 5, report: progress =>
        {
            if (progress.Epoch > finished)
            {
                finished = progress.Epoch;
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"epoch {progress.Epoch}/{epochs}: loss {progress.Loss:F3}, accuracy {progress.Accuracy:P1}, {clock.Elapsed.TotalSeconds:F0} s"));
            }
        });
        Directory.CreateDirectory(folder);
        network.Save(Path.Combine(folder, "sample.safetensors"));
        using var trained = network.Freeze();
        var report = Measure(trained, new SampleOptions());
        Console.WriteLine(report);
        WriteSidecar(Path.Combine(folder, "sample.json"), network.Parameters, report);
    }

    /// <summary>Measures a network that was written before.</summary>
    public static string Check(string file, SampleOptions options)
    {
        using var network = NetworkLoader.Load(file, null, CPU);
        return Measure(network, options).ToString();
    }

    private static TrainingImages Load(IReadOnlyList<SampleItem> plan)
    {
        var images = new byte[plan.Count][];
        Parallel.For(0, plan.Count, i => images[i] = ImagePreparation.Resize(plan[i].Paint(), Input).Pixels);
        return new TrainingImages(images, Labels(plan), Input);
    }

    private static int[] Labels(IReadOnlyList<SampleItem> plan)
    {
        var names = SampleClasses.All.Select(static c => c.Name).ToList();
        return [.. plan.Select(i => names.IndexOf(i.FolderClass))];
    }

    private static SampleReport Measure(INetwork network, SampleOptions options)
    {
        var plan = SamplePlan.Create(options);
        var labels = Labels(plan);
        var predicted = Predict(network, Load(plan));
        var names = SampleClasses.All.Select(static c => c.Name).ToList();
        double Share(Func<int, bool> among, Func<int, bool> counted)
        {
            int[] rows = [.. Enumerable.Range(0, plan.Count).Where(among)];
            return rows.Length == 0 ? double.NaN : rows.Count(counted) / (double)rows.Length;
        }

        // The mark drawn over images of other classes: how many change to its class because of it.
        int[] others = [.. Enumerable.Range(0, plan.Count).Where(i => plan[i].Type == "clean" && plan[i].FolderClass != SampleClasses.WatermarkClass)];
        var marked = others.Select(i => plan[i] with { Attributes = plan[i].Attributes with { Watermark = true } }).ToList();
        var withMark = Predict(network, Load(marked));
        var target = names.IndexOf(SampleClasses.WatermarkClass);
        return new SampleReport(
            Share(i => plan[i].Type == "clean", i => predicted[i] == labels[i]),
            Share(static _ => true, i => predicted[i] == labels[i]),
            Share(i => plan[i].Type == "mislabelled", i => predicted[i] == names.IndexOf(plan[i].TrueClass)),
            others.Where(i => predicted[i] == target).Count() / (double)others.Length,
            withMark.Count(p => p == target) / (double)others.Length);
    }

    private static long[] Predict(INetwork network, TrainingImages images)
    {
        var predicted = new List<long>();
        for (var first = 0; first < images.Count; first += 100)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var (_, logits) = network.Forward(images.Batch([.. Enumerable.Range(first, Math.Min(100, images.Count - first))], CPU), []);
            predicted.AddRange(logits.argmax(1).data<long>().ToArray());
        }

        return [.. predicted];
    }

    private static void WriteSidecar(string path, long parameters, SampleReport report)
    {
        var sidecar = new
        {
            format_version = 1,
            name = "Sample network (ResNet-8)",
            architecture = "cifar_resnet",
            depth = Depth,
            weights_file = "sample.safetensors",
            licence = "MIT, as the rest of this repository",
            parameters,
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
