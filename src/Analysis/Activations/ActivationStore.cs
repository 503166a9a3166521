using Analysis.Networks.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Activations;

/// <summary>
/// Reads what an extraction recorded: rows in sample order over all shards, memory-mapped, so that memory does not grow
/// with the number of samples. Safe for concurrent reading; reads wait for each other.
/// </summary>
public sealed class ActivationStore : IDisposable
{
    /// <summary>Shards mapped at a time: mapped pages count as memory of the process until they are unmapped.</summary>
    private const int Mapped = 4;

    private const long PartValues = 1L << 23;

    private readonly string _folder;
    private readonly int _count;
    private readonly int[] _offsets;
    private readonly LinkedList<(int Shard, SafetensorsFile File)> _open = new();
    private readonly Dictionary<string, (ElementType Type, long[] Shape)> _tensors = [];
    private readonly Lock _gate = new();

    /// <summary>Opens the shards of a finished extraction.</summary>
    /// <param name="folder">The artefact's folder.</param>
    /// <param name="shards">Number of shards.</param>
    public ActivationStore(string folder, int shards)
    {
        _folder = folder;
        _count = shards;
        _offsets = new int[shards + 1];
        for (var i = 0; i < shards; i++)
        {
            using var file = SafetensorsFile.Open(ActivationExtractor.ShardPath(folder, i));
            _offsets[i + 1] = _offsets[i] + (int)file.Entry("row").Shape[0];
            if (i == 0)
            {
                foreach (var (name, entry) in file.Entries)
                {
                    _tensors[name] = (entry.Type, [.. entry.Shape.Skip(1)]);
                }
            }
        }
    }

    /// <summary>Number of samples N that were decoded.</summary>
    public int Rows => _offsets[^1];

    /// <summary>Shape of one row of a tensor.</summary>
    public long[] RowShape(string name) => _tensors[name].Shape;

    /// <summary>True where the shards hold the tensor.</summary>
    public bool Has(string name) => _tensors.ContainsKey(name);

    /// <summary>Index of each row in the scanned list.</summary>
    public int[] ScanIndices()
    {
        var result = new int[Rows];
        for (var i = 0; i < _count; i++)
        {
            var rows = Shard(i).Span<long>("row");
            for (var j = 0; j < rows.Length; j++)
            {
                result[_offsets[i] + j] = (int)rows[j];
            }
        }

        return result;
    }

    /// <summary>Files of all shards that could not be decoded, with reasons, in order.</summary>
    public IReadOnlyList<(int Scan, string Reason)> Skipped() =>
        [.. Enumerable.Range(0, _count).SelectMany(i => ActivationExtractor.ReadSkipped(Shard(i)))];

    /// <summary>Any rows, in the given order, in one array.</summary>
    /// <param name="name">Tensor.</param>
    /// <param name="rows">Rows.</param>
    /// <typeparam name="T">Element type as stored.</typeparam>
    public T[] Gather<T>(string name, ReadOnlySpan<int> rows)
        where T : unmanaged
    {
        var width = (int)RowShape(name).Aggregate(1L, (a, b) => a * b);
        var result = new T[checked(rows.Length * width)];

        // By shard: only a few shards are mapped at a time, and rows in any order would map the same ones again and again.
        var order = Enumerable.Range(0, rows.Length).ToArray();
        Array.Sort(rows.ToArray(), order);
        for (var i = 0; i < order.Length;)
        {
            // Rows of a class lie side by side, so that most copies are long runs.
            var (at, first) = (order[i], rows[order[i]]);
            var shard = ShardOf(first);
            var run = 1;
            while (i + run < order.Length && order[i + run] == at + run && rows[order[i + run]] == first + run && first + run < _offsets[shard + 1])
            {
                run++;
            }

            lock (_gate)
            {
                Shard(shard).Rows<T>(name, first - _offsets[shard], run).CopyTo(result.AsSpan(at * width));
            }

            i += run;
        }

        return result;
    }

    /// <summary>Any rows, in the given order, in one array. Half precision is widened.</summary>
    /// <param name="name">Tensor, float16 or float32.</param>
    /// <param name="rows">Rows.</param>
    public float[] GatherSingle(string name, ReadOnlySpan<int> rows)
    {
        if (_tensors[name].Type != ElementType.Float16)
        {
            return Gather<float>(name, rows);
        }

        var half = Gather<Half>(name, rows);
        var result = GC.AllocateUninitializedArray<float>(half.Length);
        System.Numerics.Tensors.TensorPrimitives.ConvertToSingle(half, result);
        return result;
    }

    /// <summary>Any rows as a float32 tensor on the CPU, shape (rows.Length, row shape…). Half precision is widened.</summary>
    public Tensor GatherTensor(string name, ReadOnlySpan<int> rows)
    {
        var shape = new List<long> { rows.Length };
        shape.AddRange(RowShape(name));
        if (_tensors[name].Type == ElementType.Float16)
        {
            using var half = tensor(Gather<Half>(name, rows), [.. shape], dtype: ScalarType.Float16);
            return half.to(ScalarType.Float32);
        }

        // In parts, so that a large result does not exist twice.
        var result = empty([.. shape], ScalarType.Float32);
        var part = (int)Math.Clamp(PartValues / Math.Max(1, shape.Skip(1).Aggregate(1L, (a, b) => a * b)), 1, int.MaxValue);
        for (var start = 0; start < rows.Length; start += part)
        {
            var count = Math.Min(part, rows.Length - start);
            shape[0] = count;
            using var values = tensor(Gather<float>(name, rows.Slice(start, count)), [.. shape]);
            using var target = result.narrow(0, start, count);
            target.copy_(values).Dispose();
        }

        return result;
    }

    /// <summary>Consecutive rows as a float32 tensor on the CPU.</summary>
    public Tensor ReadTensor(string name, int start, int count)
    {
        var rows = new int[count];
        for (var i = 0; i < count; i++)
        {
            rows[i] = start + i;
        }

        return GatherTensor(name, rows);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, file) in _open)
        {
            file.Dispose();
        }

        _open.Clear();
    }

    private SafetensorsFile Shard(int shard)
    {
        for (var node = _open.First; node is not null; node = node.Next)
        {
            if (node.Value.Shard == shard)
            {
                _open.Remove(node);
                _open.AddFirst(node);
                return node.Value.File;
            }
        }

        if (_open.Count >= Mapped)
        {
            _open.Last!.Value.File.Dispose();
            _open.RemoveLast();
        }

        return _open.AddFirst((shard, SafetensorsFile.Open(ActivationExtractor.ShardPath(_folder, shard)))).Value.File;
    }

    private int ShardOf(int row)
    {
        var (low, high) = (0, _count - 1);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (row < _offsets[middle + 1])
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        return low;
    }
}
