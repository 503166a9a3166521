using System.Globalization;
using System.Text.Json;
using Analysis.Datasets;
using Analysis.Networks.Files;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>Features that <see cref="GradientFeatures.Extract"/> wrote: rows in the order of the samples, read from their shards.</summary>
public sealed class FeatureStore : IFeatureRows, IDisposable
{
    private readonly string _folder;
    private readonly int[] _offsets;
    private (int Shard, SafetensorsFile File)? _open;

    /// <summary>Opens the shards of a finished pass.</summary>
    /// <param name="folder">The artefact's folder.</param>
    /// <param name="shards">Number of shards.</param>
    /// <exception cref="AnalysisException">No image could be read.</exception>
    public FeatureStore(string folder, int shards)
    {
        _folder = folder;
        _offsets = new int[shards + 1];
        var (positions, left, margins, hashes, skipped) = (new List<int>(), new List<double>(), new List<double>(), new List<string>(), new List<SkippedFile>());
        for (var i = 0; i < shards; i++)
        {
            using var file = SafetensorsFile.Open(GradientFeatures.ShardPath(folder, i));
            var shape = file.Entry("features").Shape;
            Dimensions = (int)shape[1];
            _offsets[i + 1] = _offsets[i] + (int)shape[0];
            positions.AddRange(file.Span<long>("row").ToArray().Select(r => (int)r));
            left.AddRange(file.Span<double>("one_minus_p"));
            margins.AddRange(file.Span<double>("margin"));
            var bytes = file.Span<byte>("hash");
            for (var row = 0; row < shape[0]; row++)
            {
                hashes.Add(Convert.ToHexStringLower(bytes.Slice(row * 8, 8)));
            }

            skipped.AddRange(JsonSerializer.Deserialize<SkippedFile[]>(file.Metadata["skipped"], AnalysisJson.Line)!);
            Parameters = long.Parse(file.Metadata["parameters"], CultureInfo.InvariantCulture);
        }

        if (positions.Count == 0)
        {
            throw new AnalysisException("None of the training images can be read.", "Give a data set of images that the network was trained on.");
        }

        (Positions, OneMinusP, Margins, Hashes, Skipped) = ([.. positions], [.. left], [.. margins], [.. hashes], skipped);
    }

    /// <inheritdoc/>
    public int Count => _offsets[^1];

    /// <inheritdoc/>
    public int Dimensions { get; }

    /// <summary>Number of parameters p whose gradients were projected.</summary>
    public long Parameters { get; }

    /// <summary>Place of each row in the list of samples.</summary>
    public int[] Positions { get; }

    /// <summary>1 − p of each row.</summary>
    public double[] OneMinusP { get; }

    /// <summary>Margin of each row.</summary>
    public double[] Margins { get; }

    /// <summary>Content hash of each row's picture.</summary>
    public string[] Hashes { get; }

    /// <summary>Images that could not be read.</summary>
    public IReadOnlyList<SkippedFile> Skipped { get; }

    /// <inheritdoc/>
    public Tensor Read(int start, int count)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var parts = new List<Tensor>();
        for (var row = start; row < start + count;)
        {
            var shard = Array.FindLastIndex(_offsets, o => o <= row);
            var rows = Math.Min(_offsets[shard + 1], start + count) - row;
            parts.Add(Shard(shard).LoadRows("features", row - _offsets[shard], rows).to(ScalarType.Float64));
            row += rows;
        }

        return cat(parts, 0).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _open?.File.Dispose();
        _open = null;
    }

    private SafetensorsFile Shard(int shard)
    {
        if (_open is { } open && open.Shard == shard)
        {
            return open.File;
        }

        Dispose();
        var file = SafetensorsFile.Open(GradientFeatures.ShardPath(_folder, shard));
        _open = (shard, file);
        return file;
    }
}
