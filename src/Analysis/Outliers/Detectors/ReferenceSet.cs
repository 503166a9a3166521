using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// The samples that all others are compared with: a seeded subset of bounded size, so that the cost grows with N and not N².
/// Exact copies enter once, or a group of them would look ordinary because of its own members.
/// </summary>
internal sealed class ReferenceSet
{
    /// <summary>Largest number of references of a comparison.</summary>
    public const int Largest = 4000;

    private const int QueryBlock = 2048;

    private readonly Dictionary<string, int> _position;
    private readonly IReadOnlyList<string> _hash;

    public ReferenceSet(OutlierInput input, bool[] usable)
    {
        _hash = input.ContentHash;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        Unique = [.. Enumerable.Range(0, usable.Length).Where(i => usable[i] && seen.Add(_hash[i]))];
        Rows = Sample(Unique, Largest, input.Seed);
        _position = new Dictionary<string, int>(Rows.Length, StringComparer.Ordinal);
        for (var i = 0; i < Rows.Length; i++)
            _position[_hash[Rows[i]]] = i;
    }

    /// <summary>Number of samples N.</summary>
    public int Samples => _hash.Count;

    /// <summary>First sample of each content, ascending.</summary>
    public int[] Unique { get; }

    /// <summary>The references, ascending.</summary>
    public int[] Rows { get; }

    /// <summary>A seeded sample without replacement, ascending.</summary>
    public static int[] Sample(IReadOnlyList<int> from, int count, int seed)
    {
        var order = from.ToArray();
        if (order.Length <= count)
            return order;
        new SplitMix64((ulong)seed).Shuffle(order);
        Array.Resize(ref order, count);
        Array.Sort(order);
        return order;
    }

    /// <summary>
    /// The k nearest references of every sample, itself and its copies left out. Entries are positions in <see cref="Rows"/>.
    /// Fewer than k where there are fewer references; rows that are not usable have arbitrary neighbours.
    /// </summary>
    /// <param name="count">Number of samples N.</param>
    /// <param name="read">Rows (first, count) as count×C float32; belongs to the callee's dispose scope.</param>
    /// <param name="references">The rows of <see cref="Rows"/> in the same space.</param>
    /// <param name="k">Neighbours.</param>
    /// <param name="cancellation">Checked between blocks.</param>
    public (int[] Index, double[] Distance, int K) Nearest(int count, Func<int, int, Tensor> read, Tensor references, int k, CancellationToken cancellation)
    {
        k = Math.Min(k, Rows.Length - 1);
        if (k < 1)
            return ([], [], 0);

        var index = new int[(long)count * k];
        var distance = new double[(long)count * k];
        for (var start = 0; start < count; start += QueryBlock)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var rows = Math.Min(QueryBlock, count - start);
            var table = NearestNeighbours.Between(read(start, rows), references, k + 1, refine: false);
            for (var i = 0; i < rows; i++)
            {
                var own = _position.GetValueOrDefault(_hash[start + i], -1);
                var near = table.IndicesOf(i);
                var far = table.DistancesOf(i);
                var at = (long)(start + i) * k;
                for (int j = 0, kept = 0; j < near.Length && kept < k; j++)
                {
                    if (near[j] == own)
                        continue;
                    index[at + kept] = near[j];
                    distance[at + kept] = far[j];
                    kept++;
                }
            }
        }

        return (index, distance, k);
    }
}
