using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Attribution.Retraining;

/// <summary>Where a training is.</summary>
/// <param name="Epoch">Epochs that are finished.</param>
/// <param name="Epochs">Epochs in all.</param>
/// <param name="Images">Images seen in all epochs so far.</param>
/// <param name="Total">Images of all epochs.</param>
/// <param name="Loss">Mean loss of the running or last epoch; NaN before the first step.</param>
/// <param name="Accuracy">Share of its images that were recognised while it was trained, in [0, 1].</param>
public sealed record TrainingProgress(int Epoch, int Epochs, long Images, long Total, double Loss, double Accuracy);

/// <summary>
/// The training loop: cross-entropy, SGD with momentum (or AdamW), a cosine schedule, batch norms in training mode. Everything
/// random is drawn from the seed and the epoch, so that a training that is taken up again ends with the same bytes. The order
/// of two images in an epoch does not depend on which others there are: leaving some out disturbs the others as little as possible.
/// </summary>
public static class Trainer
{
    private const int Version = 1;

    /// <summary>Trains a network in place.</summary>
    /// <param name="network">Fresh; overwritten where a checkpoint is found.</param>
    /// <param name="images">Images and their outputs.</param>
    /// <param name="rows">Rows to train on: readable, each with an output.</param>
    /// <param name="recipe">How.</param>
    /// <param name="seed">Seed of order and augmentation.</param>
    /// <param name="checkpoint">File that is written after every epoch and read at the start; null for none.</param>
    /// <param name="report">Called after every step.</param>
    /// <param name="cancellation">Honoured after every step; the last finished epoch is kept in the checkpoint.</param>
    /// <exception cref="AnalysisException">There is too little to train on, or the loss is no longer finite.</exception>
    public static void Train(
        TrainableNetwork network, TrainingImages images, IReadOnlyList<int> rows, TrainingRecipe recipe, int seed, string? checkpoint = null,
        Action<TrainingProgress>? report = null, CancellationToken cancellation = default)
    {
        recipe.Validate();
        if (rows.Count < recipe.BatchSize)
        {
            throw new AnalysisException($"{rows.Count} images are too few to train in batches of {recipe.BatchSize}.", "Use smaller batches or more images.");
        }

        using var scope = NewDisposeScope();
        using var gradients = enable_grad();
        using var optimiser = Optimiser.Create(network.Weights.Learnt, recipe);
        var key = Key(network, rows, images, recipe, seed);
        var batches = Batches(rows.Count, recipe.BatchSize);
        var first = checkpoint is null ? 0 : Restore(checkpoint, key, network, optimiser, batches);
        for (var epoch = first; epoch < recipe.Epochs; epoch++)
        {
            RunEpoch(network, images, Order(rows, seed, epoch), recipe, seed, epoch, batches, optimiser, report, cancellation);
            if (checkpoint is not null)
            {
                Save(checkpoint, key, epoch + 1, network, optimiser);
            }
        }
    }

    /// <summary>
    /// Seconds that one image takes in training, measured by some steps on a network that is thrown away; the first step, in
    /// which memory is laid out, does not count.
    /// </summary>
    /// <param name="network">Changed by the steps.</param>
    /// <param name="images">Images.</param>
    /// <param name="rows">Rows to train on.</param>
    /// <param name="recipe">How.</param>
    /// <param name="seconds">How long to measure at least.</param>
    /// <param name="cancellation">Honoured after every step.</param>
    public static double MeasureSecondsPerImage(
        TrainableNetwork network, TrainingImages images, IReadOnlyList<int> rows, TrainingRecipe recipe, double seconds, CancellationToken cancellation = default)
    {
        recipe.Validate();
        using var scope = NewDisposeScope();
        using var gradients = enable_grad();
        using var optimiser = Optimiser.Create(network.Weights.Learnt, recipe);
        var batch = rows.Take(recipe.BatchSize).ToArray();
        Step(network, images, batch, recipe, 0, new SplitMix64(1), optimiser);
        var clock = Stopwatch.StartNew();
        var steps = 0;
        do
        {
            cancellation.ThrowIfCancellationRequested();
            Step(network, images, batch, recipe, 0, new SplitMix64(1), optimiser);
            steps++;
        }
        while (clock.Elapsed.TotalSeconds < seconds);
        return clock.Elapsed.TotalSeconds / (steps * (double)batch.Length);
    }

    /// <summary>Logits of rows in evaluation mode, one row of K float32 each.</summary>
    /// <param name="network">The network.</param>
    /// <param name="images">Images.</param>
    /// <param name="rows">Rows that can be read.</param>
    /// <param name="batchSize">Images a pass.</param>
    /// <param name="cancellation">Honoured after every pass.</param>
    public static float[][] Logits(TrainableNetwork network, TrainingImages images, IReadOnlyList<int> rows, int batchSize = 100, CancellationToken cancellation = default)
    {
        using var quiet = no_grad();
        var result = new float[rows.Count][];
        for (var first = 0; first < rows.Count; first += batchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            int[] part = [.. rows.Skip(first).Take(batchSize)];
            var logits = network.Logits(images.Batch(part, network.Device), training: false).cpu().contiguous();
            var values = logits.data<float>().ToArray();
            for (var i = 0; i < part.Length; i++)
            {
                result[first + i] = values[(i * network.Outputs)..((i + 1) * network.Outputs)];
            }
        }

        return result;
    }

    private static void RunEpoch(
        TrainableNetwork network, TrainingImages images, int[] order, TrainingRecipe recipe, int seed, int epoch, int batches, Optimiser optimiser,
        Action<TrainingProgress>? report, CancellationToken cancellation)
    {
        var (loss, right, seen) = (0.0, 0L, 0);
        for (var batch = 0; batch < batches; batch++)
        {
            cancellation.ThrowIfCancellationRequested();
            var first = batch * recipe.BatchSize;
            var chosen = order.AsSpan(first, Math.Min(recipe.BatchSize, order.Length - first));
            var rate = recipe.RateAt(((epoch * (double)batches) + batch) / (recipe.Epochs * (double)batches));
            var (value, hits) = Step(network, images, chosen, recipe, rate, Stream(seed, epoch, batch + 1), optimiser);
            if (!double.IsFinite(value))
            {
                throw new AnalysisException(
                    string.Create(CultureInfo.InvariantCulture, $"The training of {network.Architecture} went astray in epoch {epoch + 1}: the loss is {value}."),
                    "Choose a smaller learning rate.");
            }

            loss += value * chosen.Length;
            right += hits;
            seen += chosen.Length;
            var last = batch == batches - 1;
            report?.Invoke(new TrainingProgress(
                last ? epoch + 1 : epoch, recipe.Epochs, ((long)epoch * order.Length) + (last ? order.Length : seen), (long)recipe.Epochs * order.Length, loss / seen, right / (double)seen));
        }
    }

    private static (double Loss, long Right) Step(
        TrainableNetwork network, TrainingImages images, ReadOnlySpan<int> chosen, TrainingRecipe recipe, double rate, SplitMix64 random, Optimiser optimiser)
    {
        using var scope = NewDisposeScope();
        var x = images.Batch(chosen, network.Device, recipe.Flip, recipe.Shift, random);
        var labels = new long[chosen.Length];
        for (var i = 0; i < labels.Length; i++)
        {
            labels[i] = images.Labels[chosen[i]];
        }

        var y = tensor(labels, device: network.Device);
        var logits = network.Logits(x, training: true);
        var value = functional.cross_entropy(logits, y, label_smoothing: recipe.Smoothing);
        autograd.backward([value], inputs: network.Weights.Learnt);
        Tensor[] gradients = [.. network.Weights.Learnt.Select(t => t.grad!)];
        optimiser.Step(gradients, rate);
        foreach (var gradient in gradients)
        {
            gradient.zero_();
        }

        return (value.item<float>(), logits.detach().argmax(1).eq(y).sum().item<long>());
    }

    private static int Batches(int count, int size) => (count / size) + (count % size * 2 >= size ? 1 : 0);

    /// <summary>Rows in the order of a random number that each has by itself for this epoch.</summary>
    internal static int[] Order(IReadOnlyList<int> rows, int seed, int epoch)
    {
        int[] order = [.. rows];
        var keys = new ulong[order.Length];
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = Stream(seed, epoch, -1 - order[i]).Next();
        }

        Array.Sort(keys, order);
        return order;
    }

    private static SplitMix64 Stream(int seed, int epoch, int item)
    {
        var mix = new SplitMix64(((ulong)(uint)seed << 32) | (uint)epoch);
        return new SplitMix64(mix.Next() ^ ((ulong)(uint)item * 0x9E3779B97F4A7C15UL));
    }

    /// <summary>What a checkpoint belongs to; one of another training is not taken up.</summary>
    private static string Key(TrainableNetwork network, IReadOnlyList<int> rows, TrainingImages images, TrainingRecipe recipe, int seed)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(FormattableString.Invariant($"{Version} {network.Architecture} {network.Parameters} {seed} {JsonSerializer.Serialize(recipe)}")));
        foreach (var row in rows)
        {
            hash.AppendData(BitConverter.GetBytes(row));
            hash.AppendData(BitConverter.GetBytes(images.Labels[row]));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Save(string path, string key, int epochs, TrainableNetwork network, Optimiser optimiser)
    {
        var tensors = network.Weights.Tensors.Select(t => (t.Key, t.Value)).Concat(optimiser.State.Select((t, i) => ($"optimizer.{i}", t))).ToList();
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            SafetensorsTensors.Save(path, tensors, new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["epochs"] = epochs.ToString(CultureInfo.InvariantCulture),
                ["training"] = key,
            });
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(path, failure);
        }
    }

    /// <summary>Epochs that a checkpoint of the same training has behind it; 0 where there is none.</summary>
    private static int Restore(string path, string key, TrainableNetwork network, Optimiser optimiser, int batches)
    {
        if (!File.Exists(path))
        {
            return 0;
        }

        using var file = SafetensorsFile.Open(path);
        if (!file.Metadata.TryGetValue("training", out var of) || of != key
            || !file.Metadata.TryGetValue("epochs", out var text) || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var epochs))
        {
            return 0;
        }

        using var quiet = no_grad();
        foreach (var (name, target) in network.Weights.Tensors.Select(t => (t.Key, t.Value)).Concat(optimiser.State.Select((t, i) => ($"optimizer.{i}", t))))
        {
            using var stored = file.Load(name);
            target.copy_(stored);
        }

        optimiser.Resume(epochs * batches);
        return epochs;
    }
}
