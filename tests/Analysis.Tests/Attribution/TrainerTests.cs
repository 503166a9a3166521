using Analysis.Attribution.Retraining;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Attribution;

public sealed class TrainerTests
{
    private static readonly TrainingRecipe Recipe = new() { Epochs = 3, BatchSize = 20, Rate = 0.05, Flip = true, Shift = 1 };

    public TrainerTests()
    {
        TorchRuntime.Prepare();
        set_num_threads(1);
    }

    [Fact]
    public void What_is_learnt_holds_for_images_that_were_not_seen()
    {
        var images = PlantedTraining.Bars(300, 1);
        var others = PlantedTraining.Bars(150, 2);
        using var network = PlantedTraining.Network(3);
        TrainingProgress? last = null;

        Trainer.Train(network, images, All(images), Recipe with { Epochs = 6, Flip = false, Shift = 0 }, 4, report: p => last = p, cancellation: TestContext.Current.CancellationToken);

        Assert.True(Accuracy(network, others) > 0.9);
        Assert.Equal((6, 6, 1800, 1800), (last!.Epoch, last.Epochs, last.Images, last.Total));
        Assert.True(last.Accuracy > 0.9);
    }

    [Fact]
    public void The_same_seed_gives_the_same_bytes_and_another_gives_others()
    {
        var images = PlantedTraining.Bars(100, 1);
        var first = Trained(images, 4);

        Assert.Equal(first, Trained(images, 4));
        Assert.NotEqual(first, Trained(images, 5));
    }

    [Theory]
    [InlineData("sgd")]
    [InlineData("adamw")]
    public void A_training_that_was_ended_goes_on_from_its_last_epoch_and_ends_with_the_same_bytes(string optimiser)
    {
        var recipe = Recipe with { Optimizer = optimiser, Rate = 0.01 };
        var images = PlantedTraining.Bars(100, 1);
        using var folder = new TemporaryFolder();
        using var whole = PlantedTraining.Network(3);
        Trainer.Train(whole, images, All(images), recipe, 4, cancellation: TestContext.Current.CancellationToken);

        using var cut = new CancellationTokenSource();
        using var ended = PlantedTraining.Network(3);
        Assert.Throws<OperationCanceledException>(() => Trainer.Train(
            ended, images, All(images), recipe, 4, folder["checkpoint.safetensors"], p => Cut(p, cut), cut.Token));
        using var resumed = PlantedTraining.Network(99);
        var seen = new List<int>();
        Trainer.Train(resumed, images, All(images), recipe, 4, folder["checkpoint.safetensors"], p => seen.Add(p.Epoch), TestContext.Current.CancellationToken);

        Assert.Equal(Bytes(whole), Bytes(resumed));
        Assert.DoesNotContain(0, seen);

        static void Cut(TrainingProgress progress, CancellationTokenSource source)
        {
            if (progress is { Epoch: 1, Images: 160 })
            {
                source.Cancel();
            }
        }
    }

    [Fact]
    public void A_checkpoint_of_another_training_is_not_taken_up()
    {
        var images = PlantedTraining.Bars(100, 1);
        using var folder = new TemporaryFolder();
        using var other = PlantedTraining.Network(3);
        Trainer.Train(other, images, [.. All(images).Skip(10)], Recipe, 4, folder["checkpoint.safetensors"], cancellation: TestContext.Current.CancellationToken);
        using var network = PlantedTraining.Network(3);
        Trainer.Train(network, images, All(images), Recipe, 4, folder["checkpoint.safetensors"], cancellation: TestContext.Current.CancellationToken);

        Assert.Equal(Trained(images, 4), Bytes(network));
    }

    [Fact]
    public void Leaving_images_out_keeps_the_order_of_the_others()
    {
        var images = PlantedTraining.Bars(100, 1);
        var all = Trainer.Order(All(images), 4, 2);
        var some = Trainer.Order([.. All(images).Where(i => i % 7 != 0)], 4, 2);

        Assert.Equal(all.Where(i => i % 7 != 0), some);
        Assert.NotEqual(all, Trainer.Order(All(images), 4, 3));
        Assert.NotEqual(All(images), all);
    }

    [Fact]
    public void The_frozen_network_gives_the_same_logits()
    {
        var images = PlantedTraining.Bars(60, 1);
        using var network = PlantedTraining.Network(3);
        Trainer.Train(network, images, All(images), Recipe, 4, cancellation: TestContext.Current.CancellationToken);
        using var frozen = network.Freeze();
        using var scope = NewDisposeScope();
        var (_, logits) = frozen.Forward(images.Batch(All(images), CPU), []);

        var direct = Trainer.Logits(network, images, All(images), 25, TestContext.Current.CancellationToken).SelectMany(r => r).ToArray();
        Assert.All(logits.data<float>().ToArray().Zip(direct), p => Assert.Equal(p.First, p.Second, 1e-4));
    }

    [Fact]
    public void A_file_of_the_network_can_be_opened_as_any_other()
    {
        using var folder = new TemporaryFolder();
        using var network = PlantedTraining.Network(3);
        network.Save(folder["trained.safetensors"]);
        using var loaded = NetworkLoader.Load(folder["trained.safetensors"], null, CPU);
        using var like = TrainableNetwork.Like(folder["trained.safetensors"], null, 3, CPU);

        Assert.Equal("cifar_resnet8", loaded.Architecture);
        Assert.Equal(Bytes(network), Bytes(like));
    }

    /// <summary>v₁ = g + λp, p₁ = p − ηv₁; v₂ = μv₁ + g + λp₁.</summary>
    [Fact]
    public void Momentum_and_decay_follow_their_formulas()
    {
        using var scope = NewDisposeScope();
        var p = tensor([2f, -1f], [1, 2]);
        using var sgd = new Sgd([p], 0.9, 0.1);
        sgd.Step([tensor([1f, 0f], [1, 2])], 0.5);
        Assert.Equal([2 - (0.5f * 1.2f), -1 + (0.5f * 0.1f)], p.data<float>().ToArray(), (a, b) => Math.Abs(a - b) < 1e-6);
        sgd.Step([tensor([1f, 0f], [1, 2])], 0.5);
        var (v0, v1) = ((0.9f * 1.2f) + 1 + 0.14f, (0.9f * -0.1f) - 0.095f);
        Assert.Equal([1.4f - (0.5f * v0), -0.95f - (0.5f * v1)], p.data<float>().ToArray(), (a, b) => Math.Abs(a - b) < 1e-6);
    }

    [Fact]
    public void The_rate_rises_to_its_peak_and_falls_to_nothing()
    {
        var recipe = Recipe with { Rate = 0.4, Warmup = 0.25 };
        Assert.Equal(0.02, recipe.RateAt(0), 6);
        Assert.Equal(0.4, recipe.RateAt(0.25), 6);
        Assert.Equal(0.2, recipe.RateAt(0.625), 6);
        Assert.True(recipe.RateAt(0.999) < 1e-5);
    }

    [Fact]
    public void Steps_that_go_astray_are_refused_with_a_remedy()
    {
        var images = PlantedTraining.Bars(100, 1);
        using var network = PlantedTraining.Network(3);
        var fault = Assert.Throws<AnalysisException>(() => Trainer.Train(
            network, images, All(images), Recipe with { Rate = 10, Epochs = 50, Momentum = 0.99, Decay = 1, Warmup = 0 }, 4, cancellation: TestContext.Current.CancellationToken));
        Assert.Contains("smaller learning rate", fault.Remedy, StringComparison.Ordinal);
        Assert.Throws<AnalysisException>(() => Trainer.Train(network, images, [1, 2, 3], Recipe, 4, cancellation: TestContext.Current.CancellationToken));
        Assert.Throws<AnalysisException>(() => (Recipe with { Epochs = 0 }).Validate());
    }

    private static int[] All(TrainingImages images) => [.. Enumerable.Range(0, images.Count)];

    private static byte[] Trained(TrainingImages images, int seed)
    {
        using var network = PlantedTraining.Network(3);
        Trainer.Train(network, images, All(images), Recipe, seed, cancellation: TestContext.Current.CancellationToken);
        return Bytes(network);
    }

    private static byte[] Bytes(TrainableNetwork network)
    {
        using var folder = new TemporaryFolder();
        network.Save(folder["network.safetensors"]);
        return File.ReadAllBytes(folder["network.safetensors"]);
    }

    private static double Accuracy(TrainableNetwork network, TrainingImages images)
    {
        var logits = Trainer.Logits(network, images, All(images), cancellation: TestContext.Current.CancellationToken);
        return logits.Where((row, i) => Array.IndexOf(row, row.Max()) == images.Labels[i]).Count() / (double)images.Count;
    }
}
