using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Analysis.Numerics;

namespace Analysis.Strategies;

/// <summary>
/// The gradient descent of a UMAP layout (McInnes, Healy and Melville 2018). In each pass a point moves along its own edges, one
/// after the other, while all other points stay where the pass before left them: points do not wait for each other, and the
/// result does not depend on the number of threads. Since both ends of an edge see it in the same pass, a pull counts twice at
/// the end that moves, where the published sequence moves both ends twice. Negative samples are drawn from a generator of the
/// point's own, eight at a time.
/// </summary>
internal sealed unsafe class UmapDescent
{
    private const float Clip = 4;
    private const int Lanes = 8;
    private const int PointsInPart = 256;
    private const int FewPoints = 1024;

    private readonly int _points;
    private readonly int _epochs;
    private readonly int _negatives;
    private readonly float _a;
    private readonly float _b;
    private readonly int[] _start;
    private readonly int[] _tail;
    private readonly float[] _period;
    private readonly float[] _next;
    private readonly uint[] _random;
    private readonly ForceTable _pull;

    /// <summary>Prepares the descent.</summary>
    /// <param name="graph">The neighbour graph, edges in both directions.</param>
    /// <param name="options">Passes, negative samples, curve.</param>
    /// <param name="epochs">Passes.</param>
    /// <param name="random">Seeds the points' generators.</param>
    public UmapDescent(UmapGraph graph, UmapOptions options, int epochs, ref SplitMix64 random)
    {
        var (a, b) = UmapGraph.FitCurve(options.Spread, options.MinimumDistance);
        (_points, _epochs, _negatives, _a, _b) = (graph.Points, epochs, options.NegativeSamples, (float)a, (float)b);
        _pull = new ForceTable(d => -4 * a * b * Math.Pow(d, b - 1) / (1 + (a * Math.Pow(d, b))));
        double strongest = 0;
        foreach (var weight in graph.Weight)
        {
            strongest = Math.Max(strongest, weight);
        }

        // Edges too weak to be used once are dropped.
        _start = new int[_points + 1];
        var used = 0;
        for (var e = 0; e < graph.Weight.Length; e++)
        {
            used += graph.Weight[e] >= strongest / epochs ? 1 : 0;
        }

        _tail = new int[used];
        _period = new float[used];
        for (int e = 0, at = 0; e < graph.Weight.Length; e++)
        {
            if (graph.Weight[e] >= strongest / epochs)
            {
                _tail[at] = 2 * graph.Column[e];
                _period[at++] = (float)(strongest / graph.Weight[e]);
                _start[graph.Row[e] + 1] = at;
            }
        }

        for (var i = 1; i <= _points; i++)
        {
            _start[i] = Math.Max(_start[i], _start[i - 1]);
        }

        _next = (float[])_period.Clone();
        _random = new uint[_points * Lanes];
        for (var i = 0; i < _random.Length; i++)
        {
            // The generator stays at 0 for ever.
            _random[i] = Math.Max(1, (uint)random.Next());
        }
    }

    /// <summary>Moves the points.</summary>
    /// <param name="layout">x and y interleaved; changed.</param>
    /// <param name="threads">Threads to use.</param>
    /// <param name="cancel">Checked between passes.</param>
    public void Run(float[] layout, int threads, CancellationToken cancel)
    {
        var other = new float[layout.Length];
        var (from, to) = (layout, other);
        var parts = (_points + PointsInPart - 1) / PointsInPart;
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads) };
        for (var epoch = 1; epoch <= _epochs; epoch++)
        {
            cancel.ThrowIfCancellationRequested();
            var rate = (float)(1 - ((double)(epoch - 1) / _epochs));
            if (threads <= 1 || _points < FewPoints)
            {
                Pass(from, to, 0, _points, epoch, rate);
            }
            else
            {
                var (source, target, pass) = (from, to, epoch);
                Parallel.For(0, parts, parallel, part => Pass(source, target, part * PointsInPart, Math.Min(_points, (part + 1) * PointsInPart), pass, rate));
            }

            (from, to) = (to, from);
        }

        if (from != layout)
        {
            from.CopyTo(layout, 0);
        }
    }

    private void Pass(float[] from, float[] to, int first, int last, int epoch, float rate)
    {
        var spread = _points * (1f / (1 << 24));
        fixed (float* places = from)
        {
            for (var i = first; i < last; i++)
            {
                var (x, y) = (places[2 * i], places[(2 * i) + 1]);
                var state = Vector256.LoadUnsafe(ref _random[i * Lanes]);
                var pending = 0;
                for (var e = _start[i]; e < _start[i + 1]; e++)
                {
                    if (_next[e] > epoch)
                    {
                        continue;
                    }

                    _next[e] += _period[e];
                    var tail = _tail[e];
                    var (dx, dy) = (x - places[tail], y - places[tail + 1]);
                    var squared = (dx * dx) + (dy * dy);
                    if (squared > 0)
                    {
                        var force = _pull.At(squared);
                        x += Math.Clamp(force * dx, -2 * Clip, 2 * Clip) * rate;
                        y += Math.Clamp(force * dy, -2 * Clip, 2 * Clip) * rate;
                    }

                    for (pending += _negatives; pending >= Lanes; pending -= Lanes)
                    {
                        Push(places, i, Lanes, spread, rate, ref state, ref x, ref y);
                    }
                }

                if (pending > 0)
                {
                    Push(places, i, pending, spread, rate, ref state, ref x, ref y);
                }

                state.StoreUnsafe(ref _random[i * Lanes]);
                to[2 * i] = x;
                to[(2 * i) + 1] = y;
            }
        }
    }

    /// <summary>Pushes a point away from eight or fewer others at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Push(float* places, int itself, int count, float spread, float rate, ref Vector256<uint> state, ref float x, ref float y)
    {
        // Marsaglia's xorshift (2003), eight generators side by side.
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        var other = Vector256.Min(Vector256.ConvertToInt32(Vector256.ConvertToSingle((state >>> 8).AsInt32()) * Vector256.Create(spread)), Vector256.Create(_points - 1));
        var (ox, oy) = Gather(places, other << 1);
        var dx = Vector256.Create(x) - ox;
        var dy = Vector256.Create(y) - oy;
        var squared = Lanes8.MultiplyAdd(dx, dx, dy * dy);
        var apart = Lanes8.MultiplyAdd(Lanes8.Power(squared, _b), Vector256.Create(_a), Vector256.Create(1f));
        var force = Vector256.Create(2 * _b) / ((squared + Vector256.Create(0.001f)) * apart);

        // Not from itself, not from its own place, and not from more than were asked for.
        var counted = Vector256.LessThan(Vector256.Create(0, 1, 2, 3, 4, 5, 6, 7), Vector256.Create(count)) & ~Vector256.Equals(other, Vector256.Create(itself));
        force &= counted.AsSingle() & Vector256.GreaterThan(squared, Vector256<float>.Zero);
        var (low, high) = (Vector256.Create(-Clip), Vector256.Create(Clip));
        x += Vector256.Sum(Vector256.Min(Vector256.Max(force * dx, low), high)) * rate;
        y += Vector256.Sum(Vector256.Min(Vector256.Max(force * dy, low), high)) * rate;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> X, Vector256<float> Y) Gather(float* places, Vector256<int> at)
    {
        if (Avx2.IsSupported)
        {
            return (Avx2.GatherVector256(places, at, 4), Avx2.GatherVector256(places + 1, at, 4));
        }

        var (x, y) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var lane = 0; lane < Lanes; lane++)
        {
            x = x.WithElement(lane, places[at.GetElement(lane)]);
            y = y.WithElement(lane, places[at.GetElement(lane) + 1]);
        }

        return (x, y);
    }

    /// <summary>
    /// A function of the squared distance, tabulated at 64 points per power of two and interpolated: the powers in the force
    /// would otherwise take most of the time. Error below 1e-4 of the value.
    /// </summary>
    private sealed class ForceTable
    {
        private const int FractionBits = 6;
        private const int Shift = 23 - FractionBits;
        private const float Step = 1f / (1 << Shift);
        private static readonly int First = BitConverter.SingleToInt32Bits(1e-12f) >> Shift;
        private static readonly int Last = BitConverter.SingleToInt32Bits(1e9f) >> Shift;
        private readonly float[] _values = new float[Last - First + 2];

        public ForceTable(Func<double, double> function)
        {
            for (var i = 0; i < _values.Length; i++)
            {
                _values[i] = (float)function(BitConverter.Int32BitsToSingle((First + i) << Shift));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public float At(float squared)
        {
            var bits = BitConverter.SingleToInt32Bits(squared);
            var index = Math.Clamp((bits >> Shift) - First, 0, _values.Length - 2);
            var share = (bits & ((1 << Shift) - 1)) * Step;
            var low = _values[index];
            return low + ((_values[index + 1] - low) * share);
        }
    }
}
