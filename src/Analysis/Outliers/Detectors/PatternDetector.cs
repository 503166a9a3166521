using Analysis.Numerics;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// Patterns that a group of samples of one class shares at one place while other classes lack them: likely shortcuts. At each
/// cell of an early layer's grid a sample is compared with its own class and with the rest; a shared mark makes the own class
/// near and the rest far (<see cref="CellComparison"/>). A blank image is near to blank images of any class, a rare one far
/// from both, so neither shows. Only cells where a whole group stands out are believed (<see cref="SharedMarks"/>): what defines
/// the class stands out too, but by degrees and wherever the object happens to be; a mark is there or it is not, and in one place.
/// </summary>
internal sealed class PatternDetector
{
    // What is no mark raises the rank only.
    private const double NoMark = -Slope;

    // Members of a believed group are flagged from here, with this slope of the log-odds.
    private const double Member = 3.2;
    private const double Slope = 1.5;

    private const double NormalThreeQuarters = 0.6744897501960817;
    private const int CalibrationSamples = 2_000_000;

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

        var comparison = new CellComparison(input, references);
        var depths = new List<(Half[] Values, int Grid)>();
        foreach (var grid in input.Grids)
        {
            var done = depths.Count;
            depths.Add((comparison.Compare(grid, byClass, p => progress((done + p) / input.Grids.Count), cancellation), grid.Grid));
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
            var marks = new SharedMarks(r, _grid);
            var (group, candidates) = (marks.Root, marks.Candidates);
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

    private static (double Median, double Spread)? Calibrate(Half[] values)
    {
        var step = Math.Max(1, values.Length / CalibrationSamples);

        // An odd step visits all cells.
        step |= 1;
        // Half precision has few values: counting them sorts them.
        var counts = new int[1 << 16];
        var total = 0;
        for (long i = 0; i < values.Length; i += step)
        {
            if (Half.IsFinite(values[i]))
            {
                counts[Order(values[i])]++;
                total++;
            }
        }

        if (total < Evidence.FewestSamples)
            return null;
        var median = Percentile(counts, total, 50);
        return (median, Math.Max((Percentile(counts, total, 75) - median) / NormalThreeQuarters, 1e-3));
    }

    /// <summary>A number that rises with the value: negative ones have their bits turned round.</summary>
    private static int Order(Half value)
    {
        var bits = BitConverter.HalfToUInt16Bits(value);
        return (bits & 0x8000) != 0 ? 0xFFFF - bits : bits + 0x8000;
    }

    private static double Percentile(int[] counts, int total, double q)
    {
        var position = q / 100 * (total - 1);
        var low = (int)Math.Floor(position);
        return At(low) + ((At(Math.Min(low + 1, total - 1)) - At(low)) * (position - low));

        double At(int rank)
        {
            var order = 0;
            for (var before = counts[0]; before <= rank; before += counts[order])
                order++;
            return (double)BitConverter.UInt16BitsToHalf((ushort)(order >= 0x8000 ? order - 0x8000 : 0xFFFF - order));
        }
    }
}
