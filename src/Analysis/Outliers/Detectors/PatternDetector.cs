using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// Patterns that a group of samples of one class shares at one place while other classes lack them: likely shortcuts. At each
/// cell of an early layer's grid a sample is compared with its own class and with the rest; a shared mark makes the own class
/// near and the rest far: r = log(distance to the rest / distance within the class). A blank image is near to blank images of
/// any class, a rare one far from both, so neither shows. The neighbour that counts within the class lies deep enough for a
/// chance resemblance not to matter, and only cells where a whole group stands out are believed. What defines the class stands
/// out too, but by degrees and wherever the object happens to be; a mark is there or it is not, and in one place.
/// </summary>
internal sealed class PatternDetector
{
    /// <summary>Largest number of samples of the own class compared with.</summary>
    public const int LargestOwn = 250;

    /// <summary>Largest number of samples of all classes compared with.</summary>
    public const int LargestRest = 750;

    // The nearest of each of ten random parts, and the middle one of these, stands for a neighbour that about 4% of the class
    // are nearer than; minima over parts are far cheaper than order statistics over all.
    private const int OwnParts = 10;
    private const int RestParts = 3;
    private const int FewestOwn = 8;
    private const int FewestRest = 20;

    // Distances below this share of the usual ones count as equal.
    private const double Floor = 0.05;

    // In standard deviations of r over all samples and cells: one stands out, and stands out plainly.
    private const double Standing = 3.5;
    private const double Plain = 6;

    // A mark splits the class in two: a group that stands out, a rest that does not, and few in between. In thirds of the way
    // from ordinary to the group's median: where the middle third holds more than one image for every three above it, the
    // pattern comes by degrees, as the look of an object does.
    private const double MostHalfway = 1.0 / 3;

    // An object moves: the class's other images stand out elsewhere, by degrees or next to the group's place. There may not be
    // more of them than there are in the group. Another mark at a distance does not count.
    private const double MostElsewhere = 1;

    // What most of a class has is the class.
    private const double LargestShare = 0.5;

    // What fills more of the image is the scene and not a mark on it.
    private const double LargestExtent = 0.5;

    // What is no mark raises the rank only.
    private const double NoMark = -Slope;

    // Members of a believed group are flagged from here, with this slope of the log-odds.
    private const double Member = 3.2;
    private const double Slope = 1.5;

    private const double NormalThreeQuarters = 0.6744897501960817;
    private const int CalibrationSamples = 2_000_000;
    private const long BlockElements = 1 << 21;

    private readonly OutlierInput _input;
    private readonly int[] _cell;
    private readonly int[] _sharers;
    private int _grid;

    private PatternDetector(OutlierInput input)
    {
        _input = input;
        _cell = new int[input.Class.Count];
        _sharers = new int[input.Class.Count];
        LogOdds = new double[input.Class.Count];
        Array.Fill(LogOdds, Evidence.Absent);
    }

    /// <summary>Log-odds that the sample carries a pattern of its class; 0 at the threshold.</summary>
    public double[] LogOdds { get; }

    public static PatternDetector Run(OutlierInput input, ReferenceSet references, Action<double> progress, CancellationToken cancellation)
    {
        var detector = new PatternDetector(input);
        var byClass = Enumerable.Range(0, input.Class.Count)
            .Where(i => input.Class[i] >= 0)
            .GroupBy(i => input.Class[i])
            .OrderBy(group => group.Key)
            .ToDictionary(group => group.Key, group => group.ToArray());
        if (input.Grids.Count == 0 || byClass.Count < 2)
            return detector;

        var depths = new List<(Half[] Values, int Grid)>();
        foreach (var grid in input.Grids)
        {
            var done = depths.Count;
            depths.Add((detector.Compare(grid, byClass, references, p => progress((done + p) / input.Grids.Count), cancellation), grid.Grid));
        }

        detector.Judge(depths, byClass);
        return detector;
    }

    /// <summary>In words where the pattern is and how many share it.</summary>
    public string Reason(int row)
    {
        var name = _input.ClassNames[_input.Class[row]];
        var members = _input.Class.Count(c => c == _input.Class[row]);
        return $"A pattern {Place(_cell[row])} that {_sharers[row]} of {members} {name} images share and hardly any other image has.";
    }

    private string Place(int cell)
    {
        var (y, x) = ((cell / _grid) + 0.5, (cell % _grid) + 0.5);
        var vertical = y < _grid / 3.0 ? "top" : y > 2 * _grid / 3.0 ? "bottom" : "";
        var horizontal = x < _grid / 3.0 ? "left" : x > 2 * _grid / 3.0 ? "right" : "";
        return (vertical, horizontal) switch
        {
            ("", "") => "in the middle",
            ("", _) => $"on the {horizontal}",
            (_, "") => $"at the {vertical}",
            _ => $"at the {vertical} {horizontal}",
        };
    }

    /// <summary>r per sample and cell, N·G²; NaN for samples that were not compared.</summary>
    private Half[] Compare(
        GridFeature grid, Dictionary<int, int[]> byClass, ReferenceSet references, Action<double> progress, CancellationToken cancellation)
    {
        var cells = grid.Grid * grid.Grid;
        var result = new Half[(long)_input.Class.Count * cells];
        Array.Fill(result, Half.NaN);
        using var scope = NewDisposeScope();
        var device = _input.Pooled.device;
        var classified = references.Unique.Where(i => _input.Class[i] >= 0).ToArray();
        var restRows = ReferenceSet.Sample(classified, LargestRest, _input.Seed + 1);
        if (restRows.Length < FewestRest)
            return result;

        var raw = Read(grid, restRows, device);
        var (mean, scale) = Scaling.Of(raw.permute(1, 0, 2));
        (mean, scale) = (mean.permute(1, 0, 2), scale.permute(1, 0, 2));
        var rest = (raw - mean) / scale;
        var floor = UsualDistance(rest) * Floor;
        var uniqueByClass = classified.GroupBy(i => _input.Class[i]).ToDictionary(group => group.Key, group => group.ToArray());

        var done = 0;
        foreach (var (label, rows) in byClass)
        {
            cancellation.ThrowIfCancellationRequested();
            CompareClass(grid, label, rows, uniqueByClass.GetValueOrDefault(label, []), restRows, rest, mean, scale, floor, result, cancellation);
            done += rows.Length;
            progress((double)done / _input.Class.Count);
        }

        return result;
    }

    private void CompareClass(
        GridFeature grid, int label, int[] rows, int[] unique, int[] restRows, Tensor rest, Tensor mean, Tensor scale, Tensor floor, Half[] result, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var cells = grid.Grid * grid.Grid;
        var device = rest.device;
        var ownRows = ReferenceSet.Sample(unique, LargestOwn, _input.Seed + 2 + label);
        var others = Enumerable.Range(0, restRows.Length).Where(i => _input.Class[restRows[i]] != label).Select(i => (long)i).ToArray();
        if (ownRows.Length < FewestOwn || others.Length < FewestRest)
            return;

        var ownParts = Math.Clamp(ownRows.Length / 4, 1, OwnParts);
        var restParts = Math.Clamp(others.Length / FewestRest, 1, RestParts);
        Array.Resize(ref ownRows, ownRows.Length / ownParts * ownParts);
        Array.Resize(ref others, others.Length / restParts * restParts);

        var own = Reference((Read(grid, ownRows, device) - mean) / scale, ownParts);
        var far = Reference(rest.index_select(1, tensor(others, device: device)), restParts);
        var position = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < ownRows.Length; i++)
            position[_input.ContentHash[ownRows[i]]] = i;

        var block = (int)Math.Clamp(BlockElements / ((long)cells * Math.Max(others.Length, ownRows.Length)), 1, 512);
        foreach (var part in rows.Chunk(block))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            var queries = (Read(grid, part, device) - mean) / scale;

            // A sample and its copies are no neighbours of it.
            var copies = new List<long>();
            for (var i = 0; i < part.Length; i++)
            {
                if (position.TryGetValue(_input.ContentHash[part[i]], out var at))
                    copies.Add(((long)i * ownRows.Length) + Place(at, ownRows.Length, ownParts));
            }

            var within = Nearest(queries, own, [.. copies]);
            var without = Nearest(queries, far, []);
            var ratio = ((without + floor).log() - (within + floor).log()).t().contiguous().cpu().data<float>();
            for (var i = 0; i < part.Length; i++)
            {
                for (var cell = 0; cell < cells; cell++)
                    result[((long)part[i] * cells) + cell] = (Half)ratio[(i * cells) + cell];
            }
        }
    }

    /// <summary>Distance to the nearest of each part, the middle one over the parts; cells×queries.</summary>
    /// <param name="queries">cells×q×C.</param>
    /// <param name="reference">From <see cref="Reference"/>.</param>
    /// <param name="excluded">Query × n + place of the reference for pairs that are no neighbours of each other.</param>
    private static Tensor Nearest(Tensor queries, References reference, long[] excluded)
    {
        using var scope = NewDisposeScope();

        // |q − r|² = |q|² + (|r|² − 2 q·r): one product, with |r|² as one more channel, gives all that the minimum depends on.
        var distance = bmm(cat([queries * -2, ones_like(queries.narrow(2, 0, 1))], 2), reference.Transposed);
        if (excluded.Length > 0)
        {
            distance.view(distance.shape[0], -1).index_fill_(1, tensor(excluded, device: queries.device), float.PositiveInfinity);
        }

        var nearest = distance.view(distance.shape[0], distance.shape[1], reference.Parts, distance.shape[2] / reference.Parts).amin([3L]);
        var (sorted, _) = nearest.sort(2);
        return sorted.select(2, (reference.Parts - 1) / 2).add(queries.pow(2).sum(2)).clamp_min_(0).sqrt().MoveToOuterDisposeScope();
    }

    /// <summary>Prepares rows to be compared with.</summary>
    /// <param name="rows">cells×n×C, n a multiple of the parts.</param>
    /// <param name="parts">Number of parts.</param>
    private static References Reference(Tensor rows, int parts)
    {
        // Part p holds the rows p, p + parts, …: rows are ascending, so parts mix early and late ones. Each part lies in one piece.
        var order = arange(rows.shape[1], ScalarType.Int64, rows.device).view(-1, parts).t().reshape(-1);
        var ordered = rows.index_select(1, order);
        return new References(cat([ordered.transpose(1, 2), ordered.pow(2).sum(2).unsqueeze(1)], 1), parts);
    }

    /// <summary>Where row i of the original order lies in the order of <see cref="Reference"/>.</summary>
    private static int Place(int row, int rows, int parts) => (row % parts * (rows / parts)) + (row / parts);

    /// <summary>Rows to be compared with.</summary>
    /// <param name="Transposed">cells×(C + 1)×n; the last channel is the squared length.</param>
    /// <param name="Parts">Number of parts.</param>
    private sealed record References(Tensor Transposed, int Parts);

    /// <summary>Median distance to a near reference of any class, per cell: cells×1.</summary>
    private static Tensor UsualDistance(Tensor rest)
    {
        using var scope = NewDisposeScope();
        var count = (int)(rest.shape[1] / RestParts) * RestParts;
        var references = rest.narrow(1, 0, count);
        var queries = references.narrow(1, 0, Math.Min(count, 300));
        var itself = Enumerable.Range(0, (int)queries.shape[1]).Select(i => ((long)i * count) + Place(i, count, RestParts)).ToArray();
        var usual = Nearest(queries, Reference(references, RestParts), itself);
        var (sorted, _) = usual.sort(1);
        return sorted.narrow(1, sorted.shape[1] / 2, 1).add(1e-6).MoveToOuterDisposeScope();
    }

    /// <summary>Rows as cells×rows×channels.</summary>
    private static Tensor Read(GridFeature grid, int[] rows, Device device)
    {
        using var scope = NewDisposeScope();
        var values = grid.Read(rows).to(ScalarType.Float32).to(device).nan_to_num(0, 0, 0);
        return values.flatten(2).permute(2, 0, 1).contiguous().MoveToOuterDisposeScope();
    }

    private void Judge(List<(Half[] Values, int Grid)> depths, Dictionary<int, int[]> byClass)
    {
        _grid = depths.Max(depth => depth.Grid);
        var cells = _grid * _grid;
        var calibrated = depths.Select(depth => (depth.Values, depth.Grid, Scale: Calibrate(depth.Values))).ToArray();
        if (calibrated.Any(depth => depth.Scale is null))
            return;

        foreach (var (label, rows) in byClass)
        {
            var r = new float[rows.Length][];
            for (var i = 0; i < rows.Length; i++)
                Standardised(rows[i], r[i] = new float[cells]);
            var group = Groups(r, out var candidates);
            var sharers = new int[cells];
            foreach (var root in group.Where(root => root >= 0).Distinct())
                sharers[root] = r.Count(values => Enumerable.Range(0, cells).Any(cell => group[cell] == root && values[cell] > Member));
            for (var i = 0; i < rows.Length; i++)
            {
                var (best, at, candidate) = (double.NegativeInfinity, -1, double.NegativeInfinity);
                for (var cell = 0; cell < cells; cell++)
                {
                    if (group[cell] >= 0 && r[i][cell] > best)
                        (best, at) = (r[i][cell], cell);
                    if (candidates[cell])
                        candidate = Math.Max(candidate, r[i][cell]);
                }

                var anywhere = r[i].Max();
                if (float.IsNaN(anywhere))
                    continue;

                // What comes by degrees, and a single sample that resembles its class at a place, are worth a low rank only.
                var weak = Math.Max(Math.Min(NoMark, Slope * (candidate - Member)), Math.Min(-Slope, anywhere - 9));
                LogOdds[rows[i]] = Math.Max(Slope * (best - Member), weak);
                if (at >= 0)
                {
                    _cell[rows[i]] = group[at];
                    _sharers[rows[i]] = sharers[group[at]];
                }
            }
        }

        void Standardised(int row, float[] into)
        {
            for (var cell = 0; cell < cells; cell++)
            {
                double sum = 0;
                foreach (var (values, grid, scale) in calibrated)
                {
                    var (y, x) = (cell / _grid * grid / _grid, cell % _grid * grid / _grid);
                    sum += ((double)values[((long)row * grid * grid) + (y * grid) + x] - scale!.Value.Median) / scale.Value.Spread;
                }

                into[cell] = (float)(sum / calibrated.Length);
            }
        }
    }

    /// <summary>
    /// Cells where a group of the class carries a mark: per cell the strongest cell of the mark, or −1. A mark covers the cells
    /// that touch and whose groups are the same images.
    /// </summary>
    /// <param name="r">Standardised r per image of the class and cell.</param>
    /// <param name="candidates">Receives the cells where enough images stand out, by degrees or not.</param>
    private int[] Groups(float[][] r, out bool[] candidates)
    {
        var cells = _grid * _grid;
        var standing = new int[cells];
        var enough = new bool[cells];
        for (var cell = 0; cell < cells; cell++)
        {
            standing[cell] = r.Count(values => values[cell] > Standing);
            enough[cell] = standing[cell] >= Math.Max(6, 0.08 * r.Length)
                || r.Count(values => values[cell] > Plain) >= Math.Max(5, 0.02 * r.Length);
        }

        candidates = enough;
        var sharp = Enumerable.Range(0, cells).Where(cell => enough[cell] && !ByDegrees(r, cell) && standing[cell] <= LargestShare * r.Length).ToHashSet();
        var region = Regions(enough);
        var root = new int[cells];
        Array.Fill(root, -1);
        var refused = new HashSet<int>();
        foreach (var seed in sharp.OrderByDescending(cell => standing[cell]).ThenBy(cell => cell))
        {
            var elsewhere = Enumerable.Range(0, cells)
                .Where(cell => enough[cell] && !Touch(seed, cell) && (!sharp.Contains(cell) || region[cell] == region[seed]))
                .ToArray();
            if (root[seed] >= 0 || r.Count(values => values[seed] <= Standing && elsewhere.Any(cell => values[cell] > Standing)) > MostElsewhere * standing[seed])
                continue;
            var open = new Queue<int>([seed]);
            root[seed] = seed;
            while (open.TryDequeue(out var from))
            {
                for (var cell = 0; cell < cells; cell++)
                {
                    if (root[cell] >= 0 || !enough[cell] || !Touch(from, cell))
                        continue;
                    var shared = r.Count(values => values[cell] > Standing && values[seed] > Standing);
                    if (shared * 2 <= standing[cell])
                        continue;
                    root[cell] = seed;
                    open.Enqueue(cell);
                }
            }

            if (root.Count(cell => cell == seed) > LargestExtent * cells)
                refused.Add(seed);
        }

        return [.. root.Select(seed => refused.Contains(seed) ? -1 : seed)];
    }

    private static bool ByDegrees(float[][] r, int cell)
    {
        var group = r.Select(values => values[cell]).Where(value => value > Standing).Order().ToArray();
        var third = group[group.Length / 2] / 3;
        var halfway = r.Count(values => values[cell] > third && values[cell] <= 2 * third);
        return halfway > MostHalfway * r.Count(values => values[cell] > 2 * third);
    }

    /// <summary>Cells that hang together have the same number; −1 for those that are not among the given ones.</summary>
    private int[] Regions(bool[] among)
    {
        var region = new int[among.Length];
        Array.Fill(region, -1);
        for (var seed = 0; seed < among.Length; seed++)
        {
            if (!among[seed] || region[seed] >= 0)
                continue;
            var open = new Queue<int>([seed]);
            region[seed] = seed;
            while (open.TryDequeue(out var from))
            {
                for (var cell = 0; cell < among.Length; cell++)
                {
                    if (!among[cell] || region[cell] >= 0 || !Touch(from, cell))
                        continue;
                    region[cell] = seed;
                    open.Enqueue(cell);
                }
            }
        }

        return region;
    }

    private bool Touch(int a, int b) => Math.Abs((a / _grid) - (b / _grid)) <= 1 && Math.Abs((a % _grid) - (b % _grid)) <= 1;

    private static (double Median, double Spread)? Calibrate(Half[] values)
    {
        var step = Math.Max(1, values.Length / CalibrationSamples);

        // An odd step visits all cells.
        step |= 1;
        var sample = new List<double>();
        for (long i = 0; i < values.Length; i += step)
        {
            if (Half.IsFinite(values[i]))
                sample.Add((double)values[i]);
        }

        if (sample.Count < Evidence.FewestSamples)
            return null;
        var sorted = sample.ToArray();
        Array.Sort(sorted);
        var median = RobustStatistics.PercentileOfSorted(sorted, 50);
        return (median, Math.Max((RobustStatistics.PercentileOfSorted(sorted, 75) - median) / NormalThreeQuarters, 1e-3));
    }
}
