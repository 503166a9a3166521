using Analysis.Numerics;
using static TorchSharp.torch;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// Compares samples cell by cell with their own class and with the rest: r = log(distance to the rest / distance within the
/// class). The neighbour that counts within the class lies deep enough for a chance resemblance not to matter.
/// </summary>
/// <param name="input">The samples.</param>
/// <param name="references">First samples of each content.</param>
internal sealed class CellComparison(OutlierInput input, ReferenceSet references)
{
    /// <summary>Largest number of samples of the own class compared with.</summary>
    public const int LargestOwn = 250;

    /// <summary>Largest number of samples of all classes compared with.</summary>
    public const int LargestRest = 750;

    // The middle one of the nearest of ten random parts stands for a neighbour that about 4% of the class are nearer than.
    private const int OwnParts = 10;
    private const int RestParts = 3;
    private const int FewestOwn = 8;
    private const int FewestRest = 20;

    // Distances below this share of the usual ones count as equal.
    private const double Floor = 0.05;
    private const int UsualQueries = 300;
    private const int QueryBlock = 512;

    private readonly int _threads = get_num_threads();

    /// <summary>r per sample and cell, N·G²; NaN for samples that were not compared.</summary>
    /// <param name="grid">The view.</param>
    /// <param name="byClass">Samples of each class.</param>
    /// <param name="progress">Receives the share that is done.</param>
    /// <param name="cancellation">Checked between blocks.</param>
    public Half[] Compare(GridFeature grid, IReadOnlyDictionary<int, int[]> byClass, Action<double> progress, CancellationToken cancellation)
    {
        var cells = grid.Grid * grid.Grid;
        var result = new Half[(long)input.Class.Count * cells];
        Array.Fill(result, Half.NaN);
        var classified = references.Unique.Where(i => input.Class[i] >= 0).ToArray();
        var restRows = ReferenceSet.Sample(classified, LargestRest, input.Seed + 1);
        Array.Resize(ref restRows, restRows.Length / RestParts * RestParts);
        if (restRows.Length < FewestRest)
            return result;

        var view = new View(grid, _threads);
        var restValues = view.Calibrate(restRows);
        var rest = new CellReferences(restValues, cells, restRows.Length, grid.Channels, RestParts, _threads);
        var floor = UsualDistance(rest, restValues, restRows.Length, grid);
        var uniqueByClass = classified.GroupBy(i => input.Class[i]).ToDictionary(group => group.Key, group => group.ToArray());
        var done = 0;
        foreach (var (label, rows) in byClass)
        {
            cancellation.ThrowIfCancellationRequested();
            var ownRows = ReferenceSet.Sample(uniqueByClass.GetValueOrDefault(label, []), LargestOwn, input.Seed + 2 + label);
            var own = Enumerable.Range(0, restRows.Length).Where(i => input.Class[restRows[i]] == label).ToArray();
            if (ownRows.Length >= FewestOwn && restRows.Length - own.Length >= FewestRest)
                CompareClass(view, rows, ownRows, Others(rest, restValues, restRows.Length, own, grid), floor, result, cancellation);
            done += rows.Length;
            progress((double)done / input.Class.Count);
        }

        return result;
    }

    /// <summary>References of the other classes: the own ones are pushed away, or left out where parts would get too small.</summary>
    private (CellReferences References, float[]? Squares) Others(CellReferences rest, float[] values, int rows, int[] own, GridFeature grid)
    {
        var others = rows - own.Length;
        if (others >= FewestRest * RestParts)
            return (rest, rest.Without(own));
        var parts = Math.Clamp(others / FewestRest, 1, RestParts);
        var kept = Enumerable.Range(0, rows).Except(own).Take(others / parts * parts).ToArray();
        var cells = grid.Grid * grid.Grid;
        return (new CellReferences(Take(values, cells, rows, grid.Channels, kept), cells, kept.Length, grid.Channels, parts, _threads), null);
    }

    private void CompareClass(
        View view, int[] rows, int[] ownRows, (CellReferences References, float[]? Squares) others, float[] floor, Half[] result, CancellationToken cancellation)
    {
        var cells = floor.Length;
        var parts = Math.Clamp(ownRows.Length / 4, 1, OwnParts);
        Array.Resize(ref ownRows, ownRows.Length / parts * parts);
        var position = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < ownRows.Length; i++)
            position[input.ContentHash[ownRows[i]]] = i;

        // A small class is read once, for both sides of the comparison.
        var whole = rows.Length <= QueryBlock ? view.Read(rows) : null;
        var ownValues = whole is null ? view.Read(ownRows) : Take(whole, cells, rows.Length, view.Channels, Array.ConvertAll(ownRows, row => Array.BinarySearch(rows, row)));
        var own = new CellReferences(ownValues, cells, ownRows.Length, view.Channels, parts, _threads);
        foreach (var part in rows.Chunk(QueryBlock))
        {
            cancellation.ThrowIfCancellationRequested();
            var queries = whole ?? view.Read(part);

            // A sample and its copies are no neighbours of it.
            var itself = Array.ConvertAll(part, row => position.TryGetValue(input.ContentHash[row], out var at) ? own.Place(at) : -1);
            var none = new int[part.Length];
            Array.Fill(none, -1);
            var within = own.Nearest(queries, itself, null, _threads);
            var without = others.References.Nearest(queries, none, others.Squares, _threads);
            for (var i = 0; i < part.Length; i++)
            {
                for (var cell = 0; cell < cells; cell++)
                {
                    var at = (cell * part.Length) + i;
                    result[((long)part[i] * cells) + cell] = (Half)MathF.Log((without[at] + floor[cell]) / (within[at] + floor[cell]));
                }
            }
        }
    }

    /// <summary>The distance, per cell, below which all count as equal: a share of the median distance to a near reference of any class.</summary>
    private float[] UsualDistance(CellReferences rest, float[] values, int rows, GridFeature grid)
    {
        var cells = grid.Grid * grid.Grid;
        var queries = Enumerable.Range(0, Math.Min(rows, UsualQueries)).ToArray();
        var distances = rest.Nearest(Take(values, cells, rows, grid.Channels, queries), Array.ConvertAll(queries, rest.Place), null, _threads);
        var floor = new float[cells];
        for (var cell = 0; cell < cells; cell++)
        {
            var own = distances.AsSpan(cell * queries.Length, queries.Length);
            own.Sort();
            floor[cell] = (float)((own[own.Length / 2] + 1e-6) * Floor);
        }

        return floor;
    }

    /// <summary>Some rows of cells×rows×channels.</summary>
    private static float[] Take(float[] values, int cells, int rows, int channels, int[] which)
    {
        var result = new float[cells * which.Length * channels];
        for (var cell = 0; cell < cells; cell++)
        {
            for (var i = 0; i < which.Length; i++)
                values.AsSpan(((cell * rows) + which[i]) * channels, channels).CopyTo(result.AsSpan(((cell * which.Length) + i) * channels));
        }

        return result;
    }

    /// <summary>Reads a grid cell by cell, with channels brought to equal spread.</summary>
    private sealed class View(GridFeature grid, int threads)
    {
        private readonly int _cells = grid.Grid * grid.Grid;
        private float[] _mean = [];
        private float[] _factor = [];

        public int Channels => grid.Channels;

        /// <summary>Takes mean and spread of each cell's channels from these rows, and gives the rows; cells×rows×channels.</summary>
        public float[] Calibrate(int[] rows)
        {
            var width = _cells * Channels;
            _mean = new float[width];
            _factor = new float[width];
            Array.Fill(_factor, 1);
            var values = Read(rows);
            var spread = new double[width];
            Parallel.For(0, _cells, new ParallelOptions { MaxDegreeOfParallelism = threads }, cell =>
            {
                for (var c = 0; c < Channels; c++)
                {
                    double sum = 0, squares = 0;
                    for (var i = 0; i < rows.Length; i++)
                        sum += values[(((cell * rows.Length) + i) * Channels) + c];
                    var mean = sum / rows.Length;
                    for (var i = 0; i < rows.Length; i++)
                    {
                        var difference = values[(((cell * rows.Length) + i) * Channels) + c] - mean;
                        squares += difference * difference;
                    }

                    _mean[(cell * Channels) + c] = (float)mean;
                    spread[(cell * Channels) + c] = Math.Sqrt(squares / rows.Length);
                }
            });

            // A tenth of the mean spread is added, so that dead channels stay small.
            var usual = (0.1 * RobustStatistics.Mean(spread)) + 1e-6;
            _factor = Array.ConvertAll(spread, s => (float)(1 / (s + usual)));
            for (var cell = 0; cell < _cells; cell++)
            {
                for (var i = 0; i < rows.Length; i++)
                    Standardise(values.AsSpan(((cell * rows.Length) + i) * Channels, Channels), cell);
            }

            return values;
        }

        /// <summary>Standardised rows, cells×rows×channels; what is not finite counts as 0 before.</summary>
        public float[] Read(int[] rows)
        {
            var source = grid.Read(rows);
            var width = _cells * Channels;
            var result = GC.AllocateUninitializedArray<float>(rows.Length * width);
            Parallel.For(0, (rows.Length + 31) / 32, new ParallelOptions { MaxDegreeOfParallelism = threads }, part =>
            {
                for (var i = part * 32; i < Math.Min(rows.Length, (part + 1) * 32); i++)
                {
                    var row = source.AsSpan(i * width, width);
                    for (var cell = 0; cell < _cells; cell++)
                    {
                        var target = result.AsSpan(((cell * rows.Length) + i) * Channels, Channels);
                        for (var c = 0; c < target.Length; c++)
                        {
                            var value = row[(c * _cells) + cell];
                            target[c] = float.IsFinite(value) ? value : 0;
                        }

                        Standardise(target, cell);
                    }
                }
            });
            return result;
        }

        private void Standardise(Span<float> target, int cell)
        {
            var mean = _mean.AsSpan(cell * Channels, Channels);
            var factor = _factor.AsSpan(cell * Channels, Channels);
            for (var c = 0; c < target.Length; c++)
                target[c] = (target[c] - mean[c]) * factor[c];
        }
    }
}
