using Analysis.Numerics;

namespace Analysis.Concepts;

/// <summary>
/// Agglomerative clustering by Ward's criterion with the Lance-Williams update, singles starting at plain Euclidean distance.
/// O(n³) time at worst and O(n²) memory: meant for the hundred strongest images of a direction.
/// </summary>
public sealed class WardTree
{
    private readonly (int A, int B)[] _merges;
    private readonly int _count;

    private WardTree(int count, (int A, int B)[] merges, double[] heights)
    {
        _count = count;
        _merges = merges;
        Heights = heights;
    }

    /// <summary>Heights of the n − 1 merges, ascending.</summary>
    public IReadOnlyList<double> Heights { get; }

    /// <summary>Builds the tree.</summary>
    /// <param name="distances">n×n Euclidean distances.</param>
    public static WardTree Build(DenseMatrix distances)
    {
        var n = distances.Rows;
        var squared = new DenseMatrix(n, n);
        for (var i = 0; i < n * n; i++)
        {
            squared.Values[i] = distances.Values[i] * distances.Values[i];
        }

        var size = new int[n];
        var alive = new List<int>(n);
        for (var i = 0; i < n; i++)
        {
            size[i] = 1;
            alive.Add(i);
        }

        var merges = new (int, int)[Math.Max(0, n - 1)];
        var heights = new double[merges.Length];
        for (var step = 0; step < merges.Length; step++)
        {
            var (a, b, best) = (0, 0, double.PositiveInfinity);
            for (var p = 0; p < alive.Count; p++)
            {
                var row = squared.Row(alive[p]);
                for (var q = p + 1; q < alive.Count; q++)
                {
                    if (row[alive[q]] < best)
                    {
                        (a, b, best) = (alive[p], alive[q], row[alive[q]]);
                    }
                }
            }

            foreach (var k in alive)
            {
                if (k == a || k == b)
                {
                    continue;
                }

                double total = size[a] + size[b] + size[k];
                var d = (((size[a] + size[k]) * squared[a, k]) + ((size[b] + size[k]) * squared[b, k]) - (size[k] * best)) / total;
                squared[a, k] = d;
                squared[k, a] = d;
            }

            size[a] += size[b];
            alive.Remove(b);
            merges[step] = (a, b);
            heights[step] = Math.Sqrt(Math.Max(0, best));
        }

        return new WardTree(n, merges, heights);
    }

    /// <summary>Number of clusters when only merges below a height are made.</summary>
    public int CountAt(double height) => _count - Heights.Count(h => h < height);

    /// <summary>Labels 0 to <paramref name="clusters"/> − 1, numbered by first appearance.</summary>
    /// <param name="clusters">1 to n.</param>
    public int[] Cut(int clusters)
    {
        var parent = new int[_count];
        for (var i = 0; i < _count; i++)
        {
            parent[i] = i;
        }

        for (var step = 0; step < _count - clusters; step++)
        {
            parent[_merges[step].B] = _merges[step].A;
        }

        var number = new Dictionary<int, int>();
        var labels = new int[_count];
        for (var i = 0; i < _count; i++)
        {
            var root = i;
            while (parent[root] != root)
            {
                root = parent[root];
            }

            if (!number.TryGetValue(root, out labels[i]))
            {
                labels[i] = number.Count;
                number.Add(root, labels[i]);
            }
        }

        return labels;
    }
}
