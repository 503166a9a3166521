using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Analysis.Numerics;
using TorchSharp;

namespace Analysis.Factorization;

/// <summary>
/// Lloyd's algorithm with bounds: the same labels as plain Lloyd, most distances never computed. Each row keeps an upper bound of the
/// distance to its own centroid and lower bounds of the distances to groups of others; a centroid's step moves the bounds, and only
/// where they no longer decide are distances taken (Elkan 2003 where the groups are single centroids, Ding et al. 2015, "Yinyang",
/// where memory asks for larger ones). Bounds carry a margin for rounding, and rows whose two nearest centroids lie within that margin
/// are decided in float64, so that the labels are those of exact distances.
/// </summary>
/// <typeparam name="T">float or double.</typeparam>
internal sealed unsafe class BoundedLloyd<T>
    where T : unmanaged, IFloatingPointIeee754<T>
{
    /// <summary>Numbers of all lower bounds together: 256 MiB.</summary>
    private const long MostBounds = 1L << 26;

    /// <summary>Numbers up to which centroids are summed anew each time, in the order of the rows.</summary>
    private const long MostForFreshSums = 1L << 21;

    private readonly T* _x;
    private readonly int _n;
    private readonly int _p;
    private readonly int _k;
    private readonly int _groups;
    private readonly int _parts;
    private readonly int[] _groupOf;
    private readonly int[][] _members;
    private readonly float[] _upper;
    private readonly float[] _lower;
    private readonly double _relative;
    private readonly double[] _exact;
    private readonly T[] _centroids;
    private readonly double[] _sums;
    private readonly int[] _sizes;
    private double _absolute;
    private bool _started;

    /// <summary>Starts from given centroids.</summary>
    /// <param name="x">Rows, n×p; must stay where they are.</param>
    /// <param name="n">Number of rows.</param>
    /// <param name="initial">k×p; not changed.</param>
    /// <param name="groups">Groups of centroids that share a bound; null for as many as memory allows.</param>
    public BoundedLloyd(T* x, int n, DenseMatrix initial, int? groups = null)
    {
        _x = x;
        _n = n;
        _k = initial.Rows;
        _p = initial.Columns;
        _parts = Math.Clamp((int)((long)n * _p / (1 << 16)), 1, torch.get_num_threads());
        _exact = (double[])initial.Values.Clone();
        _centroids = new T[_k * _p];
        _sums = new double[_k * _p];
        _sizes = new int[_k];
        Labels = new int[n];
        _groups = groups ?? (int)Math.Clamp(MostBounds / n, 1, _k);
        _groupOf = Groups(initial, _groups);
        _groups = _groupOf.Max() + 1;
        _members = [.. Enumerable.Range(0, _groups).Select(g => Enumerable.Range(0, _k).Where(c => _groupOf[c] == g).ToArray())];
        _upper = new float[n];
        _lower = new float[(long)n * _groups];

        // A lane adds p/width squares one after another; each step may round once.
        var unit = typeof(T) == typeof(float) ? 6e-8 : 1.2e-16;
        _relative = unit * ((_p / (2.0 * Vector<T>.Count)) + 8);
        Narrow();
    }

    /// <summary>Cluster of each row.</summary>
    public int[] Labels { get; }

    /// <summary>Centroids, k×p.</summary>
    public DenseMatrix Centroids => new(_k, _p, (double[])_exact.Clone());

    /// <summary>Distances that were computed since the start; plain Lloyd takes n k in each step.</summary>
    public long Distances { get; private set; }

    /// <summary>Gives every row its nearest centroid, the first on ties.</summary>
    /// <returns>Number of rows whose label changed; all of them the first time.</returns>
    public int Assign()
    {
        var half = HalfGaps(out var nearest);
        var changed = new int[_parts];
        var computed = new long[_parts];
        var fresh = (long)_n * _p <= MostForFreshSums;
        var sums = new double[_parts][];
        var sizes = new int[_parts][];
        var first = !_started;
        Run(part =>
        {
            var work = new Work(this, half, nearest, fresh ? null : new double[_k * _p]);
            for (var i = Start(part); i < Start(part + 1); i++)
            {
                var before = Labels[i];
                var label = first ? work.Begin(i) : work.Step(i);
                if (first || label != before)
                {
                    Labels[i] = label;
                    changed[part]++;
                    work.Move(i, first ? -1 : before, label);
                }
            }

            computed[part] = work.Computed;
            sums[part] = work.Sums!;
            sizes[part] = work.Sizes;
        });
        Distances += computed.Sum();
        _started = true;
        foreach (var part in sizes)
        {
            for (var c = 0; c < _k; c++)
            {
                _sizes[c] += part[c];
            }
        }

        if (fresh)
        {
            SumAnew();
        }
        else
        {
            foreach (var part in sums)
            {
                Vectors.Add(_sums, part);
            }
        }

        return changed.Sum();
    }

    /// <summary>
    /// Moves the centroids to the means of their rows and the bounds with them. An empty cluster takes the row farthest from its own
    /// centroid; a cluster is never emptied to fill another one.
    /// </summary>
    /// <returns>Sum of the squared steps.</returns>
    public double Update()
    {
        var means = (double[])_sums.Clone();
        var size = (int[])_sizes.Clone();
        if (size.AsSpan().Contains(0))
        {
            Refill(means, size);
        }

        var drift = new double[_k];
        double shift = 0;
        for (var c = 0; c < _k; c++)
        {
            var mean = means.AsSpan(c * _p, _p);
            if (size[c] > 0)
            {
                Vectors.Scale(mean, 1.0 / size[c]);
            }

            var squared = Vectors.SquaredDistance(mean, _exact.AsSpan(c * _p, _p));
            shift += squared;
            drift[c] = Math.Sqrt(squared);
        }

        means.CopyTo(_exact, 0);
        Narrow();
        MoveBounds(drift);
        return shift;
    }

    /// <summary>Squared distance of each row to its own centroid, in float64.</summary>
    public double[] SquaredDistances()
    {
        var result = new double[_n];
        Run(part =>
        {
            for (var i = Start(part); i < Start(part + 1); i++)
            {
                result[i] = Exact(i, Labels[i]);
            }
        });
        return result;
    }

    /// <summary>Mean over the columns of the variance of the rows.</summary>
    public double MeanVariance()
    {
        var sums = new double[_parts][];
        Run(part =>
        {
            var own = new double[_p];
            for (var i = Start(part); i < Start(part + 1); i++)
            {
                AddRow(own, _x + ((long)i * _p), _p, 1);
            }

            sums[part] = own;
        });
        var mean = new double[_p];
        foreach (var part in sums)
        {
            Vectors.Add(mean, part);
        }

        Vectors.Scale(mean, 1.0 / _n);
        var spread = new double[_parts];
        Run(part =>
        {
            for (var i = Start(part); i < Start(part + 1); i++)
            {
                spread[part] += SquaredDistance(_x + ((long)i * _p), mean);
            }
        });
        return spread.Sum() / ((double)_n * _p);
    }

    /// <summary>target += sign × row.</summary>
    internal static void AddRow(Span<double> target, T* row, int p, double sign)
    {
        if (typeof(T) == typeof(double))
        {
            var source = new ReadOnlySpan<double>(row, p);
            if (sign == 1)
            {
                Vectors.Add(target, source);
            }
            else
            {
                Vectors.AddScaled(target, source, sign);
            }

            return;
        }

        var w = Vector<float>.Count;
        var half = w / 2;
        var factor = new Vector<double>(sign);
        ref var to = ref target[0];
        var j = 0;
        for (; j <= p - w; j += w)
        {
            Vector.Widen(Unsafe.ReadUnaligned<Vector<float>>((float*)row + j), out var low, out var high);
            ref var a = ref Unsafe.As<double, Vector<double>>(ref Unsafe.Add(ref to, j));
            ref var b = ref Unsafe.As<double, Vector<double>>(ref Unsafe.Add(ref to, j + half));
            a += low * factor;
            b += high * factor;
        }

        for (; j < p; j++)
        {
            target[j] += double.CreateTruncating(row[j]) * sign;
        }
    }

    private static double SquaredDistance(T* row, ReadOnlySpan<double> centre)
    {
        if (typeof(T) == typeof(double))
        {
            return Vectors.SquaredDistance(new ReadOnlySpan<double>(row, centre.Length), centre);
        }

        var w = Vector<float>.Count;
        var half = w / 2;
        var sum = Vector<double>.Zero;
        ref var c = ref Unsafe.AsRef(in centre[0]);
        var j = 0;
        for (; j <= centre.Length - w; j += w)
        {
            Vector.Widen(Unsafe.ReadUnaligned<Vector<float>>((float*)row + j), out var low, out var high);
            var a = low - Unsafe.As<double, Vector<double>>(ref Unsafe.Add(ref c, j));
            var b = high - Unsafe.As<double, Vector<double>>(ref Unsafe.Add(ref c, j + half));
            sum += (a * a) + (b * b);
        }

        var total = Vector.Sum(sum);
        for (; j < centre.Length; j++)
        {
            var d = double.CreateTruncating(row[j]) - centre[j];
            total += d * d;
        }

        return total;
    }

    /// <summary>Few groups of neighbouring centroids: one each where memory allows, else those nearest to evenly spaced seeds.</summary>
    private static int[] Groups(DenseMatrix centroids, int groups)
    {
        var result = new int[centroids.Rows];
        if (groups >= centroids.Rows)
        {
            for (var c = 0; c < result.Length; c++)
            {
                result[c] = c;
            }

            return result;
        }

        var seeds = centroids.Take([.. Enumerable.Range(0, groups).Select(g => (int)((long)g * centroids.Rows / groups))]);
        KMeans.Assign(centroids, seeds, result, new double[centroids.Rows]);
        var used = result.Distinct().Order().ToArray();
        return Array.ConvertAll(result, g => Array.IndexOf(used, g));
    }

    /// <summary>Lower bounds of a row, one per group; their index may exceed 32 bits.</summary>
    private Span<float> Bounds(int i) => MemoryMarshal.CreateSpan(ref _lower[(long)i * _groups], _groups);

    private int Start(int part) => (int)((long)_n * part / _parts);

    private void Run(Action<int> action)
    {
        if (_parts == 1)
        {
            action(0);
            return;
        }

        Parallel.For(0, _parts, new ParallelOptions { MaxDegreeOfParallelism = _parts }, action);
    }

    /// <summary>Copies the centroids to the rows' type; the error of that belongs to the margin.</summary>
    private void Narrow()
    {
        double largest = 0;
        for (var c = 0; c < _k; c++)
        {
            largest = Math.Max(largest, Vectors.Norm(_exact.AsSpan(c * _p, _p)));
        }

        for (var i = 0; i < _exact.Length; i++)
        {
            _centroids[i] = T.CreateTruncating(_exact[i]);
        }

        _absolute = typeof(T) == typeof(float) ? 6e-8 * largest : 0;
    }

    /// <summary>Half the distance between every two centroids, and of each to its nearest other.</summary>
    private float[] HalfGaps(out float[] nearest)
    {
        nearest = new float[_k];
        if (!_started || _groups < _k)
        {
            // Useful only where single centroids can be ruled out.
            return [];
        }

        var half = new float[_k * _k];
        Array.Fill(nearest, float.PositiveInfinity);
        for (var a = 0; a < _k; a++)
        {
            for (var b = 0; b < a; b++)
            {
                var d = (float)(Math.Sqrt(Vectors.SquaredDistance(_exact.AsSpan(a * _p, _p), _exact.AsSpan(b * _p, _p))) * 0.5 * (1 - 1e-6));
                half[(a * _k) + b] = d;
                half[(b * _k) + a] = d;
                nearest[a] = Math.Min(nearest[a], d);
                nearest[b] = Math.Min(nearest[b], d);
            }
        }

        return half;
    }

    private void MoveBounds(double[] drift)
    {
        var own = Array.ConvertAll(drift, d => MathF.BitIncrement((float)d));
        var group = new float[_groups];
        for (var c = 0; c < _k; c++)
        {
            group[_groupOf[c]] = Math.Max(group[_groupOf[c]], own[c]);
        }

        Run(part =>
        {
            for (var i = Start(part); i < Start(part + 1); i++)
            {
                // One unit in the last place covers the rounding of the sum itself.
                _upper[i] = MathF.BitIncrement(_upper[i] + own[Labels[i]]);
                Lower(Bounds(i), group);
            }
        });
    }

    /// <summary>bounds ← (bounds − drift) (1 − 2⁻²³): a unit in the last place for the rounding.</summary>
    private static void Lower(Span<float> bounds, ReadOnlySpan<float> drift)
    {
        const float Down = 1 - 1.2e-7f;
        var w = Vector<float>.Count;
        var factor = new Vector<float>(Down);
        var j = 0;
        for (; j <= bounds.Length - w; j += w)
        {
            var moved = (new Vector<float>(bounds[j..]) - new Vector<float>(drift[j..])) * factor;
            moved.CopyTo(bounds[j..]);
        }

        for (; j < bounds.Length; j++)
        {
            bounds[j] = (bounds[j] - drift[j]) * Down;
        }
    }

    private double Exact(int i, int c) => SquaredDistance(_x + ((long)i * _p), _exact.AsSpan(c * _p, _p));

    private void SumAnew()
    {
        Array.Clear(_sums);
        for (var i = 0; i < _n; i++)
        {
            AddRow(_sums.AsSpan(Labels[i] * _p, _p), _x + ((long)i * _p), _p, 1);
        }
    }

    private void Refill(double[] means, int[] size)
    {
        // The labels are already those of the centroids before their step.
        var farthest = Ranks.Descending(SquaredDistances());
        var taken = 0;
        for (var c = 0; c < _k; c++)
        {
            while (size[c] == 0 && taken < farthest.Length)
            {
                var point = farthest[taken++];
                var from = Labels[point];
                if (size[from] <= 1)
                {
                    continue;
                }

                var row = _x + ((long)point * _p);
                AddRow(means.AsSpan(from * _p, _p), row, _p, -1);
                size[from]--;
                means.AsSpan(c * _p, _p).Clear();
                AddRow(means.AsSpan(c * _p, _p), row, _p, 1);
                size[c] = 1;
            }
        }
    }

    /// <summary>What one thread needs to assign its rows.</summary>
    private sealed class Work(BoundedLloyd<T> owner, float[] half, float[] nearest, double[]? sums)
    {
        private readonly int _k = owner._k;
        private readonly int _p = owner._p;
        private readonly double[] _distances = new double[owner._k];
        private readonly int[] _candidates = new int[owner._k + 4];

        public long Computed { get; private set; }

        /// <summary>Change of the sums of rows per cluster.</summary>
        public double[]? Sums { get; } = sums;

        /// <summary>Change of the sizes of the clusters.</summary>
        public int[] Sizes { get; } = new int[owner._k];

        public void Move(int i, int from, int to)
        {
            Sizes[to]++;
            if (from >= 0)
            {
                Sizes[from]--;
            }

            if (Sums is not null)
            {
                var row = owner._x + ((long)i * _p);
                AddRow(Sums.AsSpan(to * _p, _p), row, _p, 1);
                if (from >= 0)
                {
                    AddRow(Sums.AsSpan(from * _p, _p), row, _p, -1);
                }
            }
        }

        /// <summary>All distances of a row, with fresh bounds.</summary>
        public int Begin(int i)
        {
            for (var c = 0; c < _k; c++)
            {
                _candidates[c] = c;
            }

            Take(i, _k);
            var label = Nearest(i, _k);
            var lower = owner.Bounds(i);
            lower.Fill(float.PositiveInfinity);
            for (var c = 0; c < _k; c++)
            {
                if (c != label)
                {
                    ref var bound = ref lower[owner._groupOf[c]];
                    bound = Math.Min(bound, Below(_distances[c]));
                }
            }

            owner._upper[i] = Above(_distances[label]);
            return label;
        }

        /// <summary>The label after a step of the centroids.</summary>
        public int Step(int i)
        {
            var label = owner.Labels[i];
            var upper = owner._upper[i];
            var single = half.Length > 0;
            if (single && upper <= nearest[label])
            {
                return label;
            }

            var lower = owner.Bounds(i);
            if (upper < Smallest(lower))
            {
                return label;
            }

            // The bound may be loose only because the own centroid moved.
            _candidates[0] = label;
            Take(i, 1);
            upper = owner._upper[i] = Above(_distances[label]);
            var count = 1;
            for (var g = 0; g < lower.Length; g++)
            {
                if (upper < lower[g])
                {
                    continue;
                }

                if (single)
                {
                    if (g != label && upper > half[(label * _k) + g])
                    {
                        _candidates[count++] = g;
                    }
                }
                else
                {
                    foreach (var c in owner._members[g])
                    {
                        if (c != label)
                        {
                            _candidates[count++] = c;
                        }
                    }
                }
            }

            if (count == 1)
            {
                return label;
            }

            Take(i, count);
            var next = Nearest(i, count);
            Refresh(lower, count, label, next);
            owner._upper[i] = Above(_distances[next]);
            return next;
        }

        private static float Smallest(ReadOnlySpan<float> values)
        {
            var w = Vector<float>.Count;
            var j = 0;
            var least = float.PositiveInfinity;
            if (values.Length >= w)
            {
                var v = new Vector<float>(values);
                for (j = w; j <= values.Length - w; j += w)
                {
                    v = Vector.Min(v, new Vector<float>(values[j..]));
                }

                for (var l = 0; l < w; l++)
                {
                    least = Math.Min(least, v[l]);
                }
            }

            for (; j < values.Length; j++)
            {
                least = Math.Min(least, values[j]);
            }

            return least;
        }

        /// <summary>New lower bounds of the groups whose distances were taken; a label's own centroid belongs to no bound.</summary>
        private void Refresh(Span<float> lower, int count, int label, int next)
        {
            if (half.Length > 0)
            {
                for (var q = 0; q < count; q++)
                {
                    lower[_candidates[q]] = Below(_distances[_candidates[q]]);
                }

                lower[next] = float.PositiveInfinity;
                return;
            }

            for (var q = 1; q < count; q++)
            {
                lower[owner._groupOf[_candidates[q]]] = float.PositiveInfinity;
            }

            for (var q = 0; q < count; q++)
            {
                var c = _candidates[q];
                if (c != next)
                {
                    ref var bound = ref lower[owner._groupOf[c]];
                    bound = Math.Min(bound, Below(_distances[c]));
                }
            }
        }

        private float Below(double distance) => MathF.BitDecrement((float)((distance * (1 - owner._relative)) - owner._absolute));

        private float Above(double distance) => MathF.BitIncrement((float)((distance * (1 + owner._relative)) + owner._absolute));

        /// <summary>The nearest of some candidates whose distances are known; near ties are decided in float64, exact ones by the order of the centroids.</summary>
        private int Nearest(int i, int count)
        {
            var best = _candidates[0];
            for (var q = 1; q < count; q++)
            {
                var c = _candidates[q];
                if (_distances[c] < _distances[best] || (_distances[c] == _distances[best] && c < best))
                {
                    best = c;
                }
            }

            var limit = Above(_distances[best]);
            var close = 0;
            for (var q = 0; q < count; q++)
            {
                close += Below(_distances[_candidates[q]]) <= limit ? 1 : 0;
            }

            if (close <= 1)
            {
                return best;
            }

            var (least, winner) = (double.PositiveInfinity, best);
            for (var q = 0; q < count; q++)
            {
                var c = _candidates[q];
                if (Below(_distances[c]) <= limit)
                {
                    var exact = owner.Exact(i, c);
                    if (exact < least || (exact == least && c < winner))
                    {
                        (least, winner) = (exact, c);
                    }
                }
            }

            return winner;
        }

        /// <summary>Distances of a row to the first candidates, four at a time so that the row is read once for them.</summary>
        private void Take(int i, int count)
        {
            Computed += count;
            var row = owner._x + ((long)i * _p);
            fixed (T* centroids = owner._centroids)
            {
                var q = 0;
                for (; q + 3 < count; q += 4)
                {
                    Four(row, centroids, _candidates[q], _candidates[q + 1], _candidates[q + 2], _candidates[q + 3]);
                }

                for (; q < count; q++)
                {
                    _distances[_candidates[q]] = One(row, centroids + (_candidates[q] * _p));
                }
            }
        }

        private double One(T* row, T* c)
        {
            var w = Vector<T>.Count;
            var j = 0;
            if (typeof(T) == typeof(double))
            {
                // One chain, as in Vectors.SquaredDistance: the same rounding, so the same labels.
                return Math.Sqrt(Vectors.SquaredDistance(new ReadOnlySpan<double>(row, _p), new ReadOnlySpan<double>(c, _p)));
            }

            var (a, b) = (Vector<T>.Zero, Vector<T>.Zero);
            for (; j <= _p - (2 * w); j += 2 * w)
            {
                var d = Vector.Load(row + j) - Vector.Load(c + j);
                var e = Vector.Load(row + j + w) - Vector.Load(c + j + w);
                a += d * d;
                b += e * e;
            }

            var total = double.CreateTruncating(Vector.Sum(a + b));
            for (; j < _p; j++)
            {
                var d = double.CreateTruncating(row[j] - c[j]);
                total += d * d;
            }

            return Math.Sqrt(total);
        }

        private void Four(T* row, T* centroids, int c0, int c1, int c2, int c3)
        {
            var w = Vector<T>.Count;
            var p0 = centroids + (c0 * _p);
            var p1 = centroids + (c1 * _p);
            var p2 = centroids + (c2 * _p);
            var p3 = centroids + (c3 * _p);
            var (s0, s1, s2, s3) = (Vector<T>.Zero, Vector<T>.Zero, Vector<T>.Zero, Vector<T>.Zero);
            var j = 0;
            for (; j <= _p - w; j += w)
            {
                var x = Vector.Load(row + j);
                var d0 = x - Vector.Load(p0 + j);
                var d1 = x - Vector.Load(p1 + j);
                var d2 = x - Vector.Load(p2 + j);
                var d3 = x - Vector.Load(p3 + j);
                s0 += d0 * d0;
                s1 += d1 * d1;
                s2 += d2 * d2;
                s3 += d3 * d3;
            }

            _distances[c0] = Math.Sqrt(Tail(row, p0, j, double.CreateTruncating(Vector.Sum(s0))));
            _distances[c1] = Math.Sqrt(Tail(row, p1, j, double.CreateTruncating(Vector.Sum(s1))));
            _distances[c2] = Math.Sqrt(Tail(row, p2, j, double.CreateTruncating(Vector.Sum(s2))));
            _distances[c3] = Math.Sqrt(Tail(row, p3, j, double.CreateTruncating(Vector.Sum(s3))));
        }

        private double Tail(T* row, T* c, int from, double total)
        {
            for (var j = from; j < _p; j++)
            {
                var d = double.CreateTruncating(row[j] - c[j]);
                total += d * d;
            }

            return total;
        }
    }
}
