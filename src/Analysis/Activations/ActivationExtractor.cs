using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Analysis.Datasets;
using Analysis.Datasets.Recorded;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Outliers;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Activations;

/// <summary>
/// One pass over a data set: logits, pooled activations, gradients at the layers (d of the predicted output's logit), grid
/// features, pixel statistics and content hashes, written in shards. A shard is a checkpoint: one that stands on the disk is
/// not computed again, and batches never cross shards, so that a resumed pass gives the same bytes as an undisturbed one.
/// Memory is bounded by one shard.
/// </summary>
/// <remarks>
/// Tensors of a shard with n decoded images: <c>row</c> (n, int64: index in the scanned list), <c>logits</c> (n×K),
/// <c>pooled.L</c>, <c>gradient.L</c> (sum over positions of dy/dA) and <c>gradient_input.L</c> (mean over positions of
/// dy/dA · A), each n×C for the layer number L, <c>grid.G</c> (n×C×g×g, float16), <c>maps</c> (n×C×H×W, float16, first layer,
/// where kept), <c>statistics</c> (n×P) and <c>hash</c> (n×8 bytes).
/// </remarks>
public static class ActivationExtractor
{
    /// <summary>Path of a shard.</summary>
    public static string ShardPath(string folder, int shard) =>
        Path.Combine(folder, "shard-" + shard.ToString("00000", CultureInfo.InvariantCulture) + ".safetensors");

    /// <summary>Number of shards for a number of scanned samples.</summary>
    public static int ShardCount(int samples, ExtractionSpec spec) => (samples + spec.ShardSize - 1) / spec.ShardSize;

    /// <summary>Runs the pass, leaving out shards that are done.</summary>
    /// <param name="dataset">The data set.</param>
    /// <param name="samples">Indices into <see cref="IDataset.Samples"/> in the order of the scan list.</param>
    /// <param name="network">The network.</param>
    /// <param name="spec">What to record.</param>
    /// <param name="folder">The artefact's folder.</param>
    /// <param name="progress">Called with the number of samples done and left out.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>True where every shard was there already.</returns>
    /// <exception cref="AnalysisException">NaN or infinite activations; a full disk.</exception>
    public static bool Run(
        IDataset dataset, IReadOnlyList<int> samples, INetwork network, ExtractionSpec spec, string folder, Action<int, int> progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var shards = ShardCount(samples.Count, spec);
        var missing = new List<int>();
        var (done, skipped) = (0, 0);
        for (var shard = 0; shard < shards; shard++)
        {
            if (File.Exists(ShardPath(folder, shard)))
            {
                done += Range(samples.Count, spec, shard).Count;
                using var file = SafetensorsFile.Open(ShardPath(folder, shard));
                skipped += ReadSkipped(file).Count;
            }
            else
            {
                missing.Add(shard);
            }
        }

        progress(done, skipped);
        if (missing.Count == 0)
        {
            return true;
        }

        if (dataset is IRecordedActivations recorded)
        {
            foreach (var shard in missing)
            {
                var (start, count) = Range(samples.Count, spec, shard);
                using var imported = new ShardBuffer(spec, network);
                for (var first = start; first < start + count; first += spec.BatchSize)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var rows = Enumerable.Range(first, Math.Min(spec.BatchSize, start + count - first)).ToArray();
                    skipped += imported.Import(network, recorded, rows, samples);
                    done += rows.Length;
                    progress(done, skipped);
                }

                imported.Write(ShardPath(folder, shard), spec);
            }

            return false;
        }

        // Shards are multiples of the batch, and only the last shard of all may be short: batches never cross shards.
        var positions = missing.SelectMany(shard => Enumerable.Range(Range(samples.Count, spec, shard).Start, Range(samples.Count, spec, shard).Count)).ToArray();
        var loader = new BatchLoader(dataset, network.Preprocessing);
        var names = spec.Layers.Concat(spec.Depths.Select(d => d.Layer)).Distinct().ToList();
        ShardBuffer? buffer = null;
        try
        {
            foreach (var loaded in loader.Load([.. positions.Select(p => samples[p])], spec.BatchSize, cancellation))
            {
                using var batch = loaded;
                cancellation.ThrowIfCancellationRequested();
                buffer ??= new ShardBuffer(spec, network);
                var scan = positions.AsSpan(batch.First, batch.Count);
                var rows = new List<long>(batch.Rows.Count);
                var failed = 0;
                foreach (var position in scan)
                {
                    if (rows.Count < batch.Rows.Count && batch.Rows[rows.Count] == samples[position])
                    {
                        rows.Add(position);
                    }
                    else
                    {
                        buffer.Skipped.Add((position, batch.Skipped[failed++].Reason));
                    }
                }

                if (rows.Count > 0)
                {
                    buffer.Add(network, batch, [.. rows], names, dataset);
                }

                done += batch.Count;
                skipped += failed;
                var shard = scan[0] / spec.ShardSize;
                if (scan[^1] == Range(samples.Count, spec, shard).Start + Range(samples.Count, spec, shard).Count - 1)
                {
                    buffer.Write(ShardPath(folder, shard), spec);
                    buffer.Dispose();
                    buffer = null;
                }

                progress(done, skipped);
            }
        }
        finally
        {
            buffer?.Dispose();
        }

        cancellation.ThrowIfCancellationRequested();
        return false;
    }

    /// <summary>The files of a shard that could not be used.</summary>
    public static IReadOnlyList<(int Scan, string Reason)> ReadSkipped(SafetensorsFile shard) =>
        [.. JsonSerializer.Deserialize<SkippedEntry[]>(shard.Metadata["skipped"], AnalysisJson.Line)!.Select(s => (s.Scan, s.Reason))];

    private static (int Start, int Count) Range(int samples, ExtractionSpec spec, int shard)
    {
        var start = shard * spec.ShardSize;
        return (start, Math.Min(spec.ShardSize, samples - start));
    }

    private sealed record SkippedEntry(int Scan, string Reason);

    /// <summary>Tensors of one shard until it is written; on the CPU.</summary>
    private sealed class ShardBuffer : IDisposable
    {
        private readonly ExtractionSpec _spec;
        private readonly Dictionary<string, List<Tensor>> _parts = [];
        private readonly List<string> _order;

        public ShardBuffer(ExtractionSpec spec, INetwork network)
        {
            _spec = spec;
            _order = [
                "row", "logits",
                .. spec.Layers.SelectMany((_, i) => spec.Gradients ? new[] { $"pooled.{i}", $"gradient.{i}", $"gradient_input.{i}" } : [$"pooled.{i}"]),
                .. spec.Depths.Select((_, i) => $"grid.{i}"),
                .. spec.KeepMaps ? ["maps"] : Array.Empty<string>(),
                "statistics", "hash",
            ];
            foreach (var name in _order)
            {
                _parts[name] = [Empty(name, network)];
            }
        }

        public List<(int Scan, string Reason)> Skipped { get; } = [];

        public void Add(INetwork network, ImageBatch batch, long[] rows, IReadOnlyList<string> names, IDataset dataset)
        {
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            var shape = network.Preprocessing;
            var input = tensor(batch.Values.ToArray(), [rows.Length, 3, shape.Height, shape.Width]).to(network.Device);
            var (activations, logits) = network.Forward(input, names);
            RefuseNaN(logits, batch, dataset);
            Record(network, rows, logits, name => activations[IndexOf(names, name)], null);
            Describe([.. batch.Statistics.SelectMany(v => v)], [.. batch.ContentHash.SelectMany(Convert.FromHexString)], rows.Length);
        }

        /// <summary>Takes activations from a file; rows with NaN or infinity are listed and left out. Returns their number.</summary>
        public int Import(INetwork network, IRecordedActivations source, int[] positions, IReadOnlyList<int> samples)
        {
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            var wanted = Array.ConvertAll(positions, p => samples[p]);
            var activation = source.Activations(wanted);
            var finite = activation.flatten(1).isfinite().all(1);
            var logits = source.Logits(wanted);
            var gradient = source.Gradients(wanted);
            foreach (var other in new[] { logits, gradient })
            {
                finite = other is null ? finite : finite.logical_and(other.isfinite().all(1));
            }

            var usable = finite.data<bool>().ToArray();
            var kept = Enumerable.Range(0, usable.Length).Where(i => usable[i]).ToArray();
            Skipped.AddRange(Enumerable.Range(0, usable.Length).Where(i => !usable[i]).Select(i => (positions[i], "Its activations, logits or gradients hold NaN or infinite values.")));
            if (kept.Length == 0)
            {
                return usable.Length;
            }

            if (kept.Length < usable.Length)
            {
                var index = tensor(Array.ConvertAll(kept, i => (long)i));
                (activation, logits, gradient) = (activation.index_select(0, index), logits?.index_select(0, index), gradient?.index_select(0, index));
            }

            var (statistics, hashes) = Pictures(source, Array.ConvertAll(kept, i => wanted[i]), activation, network.Preprocessing);
            activation = activation.to(network.Device);
            logits = logits?.to(network.Device) ?? network.Head(_spec.Layers[0], activation);
            Record(network, Array.ConvertAll(kept, i => (long)positions[i]), logits, _ => activation, gradient?.to(network.Device));
            Describe(statistics, hashes, kept.Length);
            return usable.Length - kept.Length;
        }

        /// <summary>Pixel statistics and content hashes of the samples' pictures; where there are none, NaN and the hash of the activation.</summary>
        private static (float[] Statistics, byte[] Hashes) Pictures(IRecordedActivations source, int[] samples, Tensor activation, Preprocessing preprocessing)
        {
            var width = PixelStatistics.Names.Count;
            var (statistics, hashes) = (new float[samples.Length * width], new byte[samples.Length * 8]);
            Array.Fill(statistics, float.NaN);
            var values = activation.data<float>().ToArray();
            var row = values.Length / samples.Length;
            Parallel.For(0, samples.Length, i =>
            {
                var hash = Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(values.AsSpan(i * row, row))).AsSpan(0, 8));
                if (source.HasPicture(samples[i]))
                {
                    try
                    {
                        var decoded = ImageDecoder.Decode(source.Read(samples[i]));
                        PixelStatistics.Compute(decoded, ImagePreparation.Resize(decoded, preprocessing), statistics.AsSpan(i * width, width));
                    }
                    catch (AnalysisException)
                    {
                        // A picture only illustrates the sample; its activations stay usable.
                    }
                }

                Convert.FromHexString(hash).CopyTo(hashes, i * 8);
            });
            return (statistics, hashes);
        }

        private void Record(INetwork network, long[] rows, Tensor logits, Func<string, Tensor> activationOf, Tensor? given)
        {
            var predicted = logits.argmax(1);
            Keep("row", tensor(rows));
            Keep("logits", logits);
            for (var i = 0; i < _spec.Layers.Count; i++)
            {
                var activation = activationOf(_spec.Layers[i]);
                var pooled = activation.mean([2, 3]);
                Keep($"pooled.{i}", pooled);
                if (!_spec.Gradients)
                {
                    continue;
                }

                if (given is not null)
                {
                    // What the file holds is summed over positions already; their products with single positions are not known.
                    Keep($"gradient.{i}", given);
                    Keep($"gradient_input.{i}", given * pooled / Scalars.Of(activation.shape[2] * activation.shape[3]));
                    continue;
                }

                var gradient = HeadGradient.Compute(network, _spec.Layers[i], activation, predicted);
                Keep($"gradient.{i}", gradient.sum([2, 3]));
                Keep($"gradient_input.{i}", (gradient * activation).mean([2, 3]));
            }

            for (var i = 0; i < _spec.Depths.Count; i++)
            {
                var depth = _spec.Depths[i];
                var pooled = nn.functional.adaptive_avg_pool2d(activationOf(depth.Layer), [depth.Grid, depth.Grid]);
                Keep($"grid.{i}", Half(pooled));
            }

            if (_spec.KeepMaps)
            {
                Keep("maps", Half(activationOf(_spec.Layers[0])));
            }
        }

        private void Describe(float[] statistics, byte[] hashes, int rows)
        {
            Keep("statistics", tensor(statistics, [rows, PixelStatistics.Names.Count]));
            Keep("hash", tensor(hashes, [rows, 8], dtype: ScalarType.Byte));
        }

        public void Write(string path, ExtractionSpec spec)
        {
            using var scope = NewDisposeScope();
            var tensors = _order.Select(name => (name, cat(_parts[name], 0))).ToList();
            var metadata = new Dictionary<string, string>
            {
                ["layers"] = string.Join(',', spec.Layers),
                ["skipped"] = JsonSerializer.Serialize(Skipped.Select(s => new SkippedEntry(s.Scan, s.Reason)), AnalysisJson.Line),
            };
            try
            {
                SafetensorsTensors.Save(path, tensors, metadata);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                throw AtomicFile.Explain(path, failure);
            }
        }

        public void Dispose()
        {
            foreach (var part in _parts.Values.SelectMany(p => p))
            {
                part.Dispose();
            }
        }

        private void Keep(string name, Tensor value) => _parts[name].Add(value.cpu().contiguous().DetachFromDisposeScope());

        // Values beyond the range of half precision would become infinite and spoil every map that meets them.
        private static Tensor Half(Tensor value) => value.clamp(Scalars.Of(-65504), Scalars.Of(65504)).to(ScalarType.Float16);

        private static int IndexOf(IReadOnlyList<string> names, string name)
        {
            for (var i = 0; i < names.Count; i++)
            {
                if (names[i] == name)
                {
                    return i;
                }
            }

            throw new ArgumentException($"Layer {name} was not asked for.", nameof(name));
        }

        private static void RefuseNaN(Tensor logits, ImageBatch batch, IDataset dataset)
        {
            using var finite = logits.isfinite().all(1);
            if (finite.all().item<bool>())
            {
                return;
            }

            using var bad = finite.logical_not().to(ScalarType.Byte).argmax(0);
            var sample = dataset.Samples[batch.Rows[(int)bad.item<long>()]];
            throw new AnalysisException(
                $"The network gives NaN or infinite logits for {sample.Path}.",
                "Its weights or the preprocessing in its sidecar are wrong: check them, or use another network file.");
        }

        private Tensor Empty(string name, INetwork network)
        {
            var layers = network.Layers.ToDictionary(l => l.Name);
            var (kind, index) = name.Split('.') is [var k, var i] ? (k, int.Parse(i, CultureInfo.InvariantCulture)) : (name, 0);
            var layer = layers[_spec.Layers[kind is "pooled" or "gradient" or "gradient_input" ? index : 0]];
            return (kind switch
            {
                "row" => zeros([0], ScalarType.Int64),
                "logits" => zeros([0, network.Outputs], ScalarType.Float32),
                "grid" => zeros([0, layers[_spec.Depths[index].Layer].Channels, _spec.Depths[index].Grid, _spec.Depths[index].Grid], ScalarType.Float16),
                "maps" => zeros([0, layer.Channels, layer.Height, layer.Width], ScalarType.Float16),
                "statistics" => zeros([0, PixelStatistics.Names.Count], ScalarType.Float32),
                "hash" => zeros([0, 8], ScalarType.Byte),
                _ => zeros([0, layer.Channels], ScalarType.Float32),
            }).DetachFromDisposeScope();
        }
    }
}
