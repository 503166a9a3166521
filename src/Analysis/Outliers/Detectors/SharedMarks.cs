using System.Numerics;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// The marks that a group of the images of one class carries: cells where enough of them stand out, not by degrees, and not
/// as an object does that is here in one image and there in another. A mark covers the cells that touch and whose groups are
/// the same images.
/// </summary>
internal sealed class SharedMarks
{
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

    private readonly float[][] _r;
    private readonly int _grid;
    private readonly int[] _standing;
    private readonly ulong[][] _who;

    /// <summary>Finds the marks.</summary>
    /// <param name="r">Standardised r per image of the class and cell.</param>
    /// <param name="grid">Cells per side.</param>
    public SharedMarks(float[][] r, int grid)
    {
        (_r, _grid) = (r, grid);
        var cells = grid * grid;
        _standing = new int[cells];
        _who = new ulong[cells][];
        Candidates = new bool[cells];
        for (var cell = 0; cell < cells; cell++)
        {
            var who = _who[cell] = new ulong[(r.Length + 63) / 64];
            var plain = 0;
            for (var i = 0; i < r.Length; i++)
            {
                var value = r[i][cell];
                if (value > Standing)
                    who[i >> 6] |= 1UL << (i & 63);
                plain += value > Plain ? 1 : 0;
            }

            _standing[cell] = Count(who);
            Candidates[cell] = _standing[cell] >= Math.Max(6, 0.08 * r.Length) || plain >= Math.Max(5, 0.02 * r.Length);
        }

        Root = Group();
    }

    /// <summary>Cells where enough images stand out, by degrees or not.</summary>
    public bool[] Candidates { get; }

    /// <summary>Per cell the strongest cell of the mark that covers it; −1 for none.</summary>
    public int[] Root { get; }

    private int[] Group()
    {
        var cells = _grid * _grid;
        var sharp = new bool[cells];
        for (var cell = 0; cell < cells; cell++)
            sharp[cell] = Candidates[cell] && _standing[cell] <= LargestShare * _r.Length && !ByDegrees(cell);
        var region = Regions();
        var root = new int[cells];
        Array.Fill(root, -1);
        var refused = new HashSet<int>();
        foreach (var seed in Enumerable.Range(0, cells).Where(cell => sharp[cell]).OrderByDescending(cell => _standing[cell]).ThenBy(cell => cell))
        {
            if (root[seed] >= 0 || Elsewhere(seed, sharp, region) > MostElsewhere * _standing[seed])
                continue;
            Grow(seed, root);
            if (root.Count(cell => cell == seed) > LargestExtent * cells)
                refused.Add(seed);
        }

        return [.. root.Select(seed => refused.Contains(seed) ? -1 : seed)];
    }

    /// <summary>Images outside the seed's group that stand out at another place of what may be the same object.</summary>
    private int Elsewhere(int seed, bool[] sharp, int[] region)
    {
        var union = new ulong[_who[seed].Length];
        for (var cell = 0; cell < _who.Length; cell++)
        {
            if (!Candidates[cell] || Touch(seed, cell) || (sharp[cell] && region[cell] != region[seed]))
                continue;
            for (var i = 0; i < union.Length; i++)
                union[i] |= _who[cell][i] & ~_who[seed][i];
        }

        return Count(union);
    }

    private void Grow(int seed, int[] root)
    {
        var open = new Queue<int>([seed]);
        root[seed] = seed;
        while (open.TryDequeue(out var from))
        {
            for (var cell = 0; cell < root.Length; cell++)
            {
                if (root[cell] >= 0 || !Candidates[cell] || !Touch(from, cell))
                    continue;
                var shared = 0;
                for (var i = 0; i < _who[cell].Length; i++)
                    shared += BitOperations.PopCount(_who[cell][i] & _who[seed][i]);
                if (shared * 2 <= _standing[cell])
                    continue;
                root[cell] = seed;
                open.Enqueue(cell);
            }
        }
    }

    private bool ByDegrees(int cell)
    {
        var group = _r.Select(values => values[cell]).Where(value => value > Standing).Order().ToArray();
        if (group.Length == 0)
            return true;
        var third = group[group.Length / 2] / 3;
        var halfway = _r.Count(values => values[cell] > third && values[cell] <= 2 * third);
        return halfway > MostHalfway * _r.Count(values => values[cell] > 2 * third);
    }

    /// <summary>Candidates that hang together have the same number; −1 for the other cells.</summary>
    private int[] Regions()
    {
        var region = new int[Candidates.Length];
        Array.Fill(region, -1);
        for (var seed = 0; seed < region.Length; seed++)
        {
            if (!Candidates[seed] || region[seed] >= 0)
                continue;
            var open = new Queue<int>([seed]);
            region[seed] = seed;
            while (open.TryDequeue(out var from))
            {
                for (var cell = 0; cell < region.Length; cell++)
                {
                    if (!Candidates[cell] || region[cell] >= 0 || !Touch(from, cell))
                        continue;
                    region[cell] = seed;
                    open.Enqueue(cell);
                }
            }
        }

        return region;
    }

    private bool Touch(int a, int b) => Math.Abs((a / _grid) - (b / _grid)) <= 1 && Math.Abs((a % _grid) - (b % _grid)) <= 1;

    private static int Count(ulong[] bits)
    {
        var count = 0;
        foreach (var word in bits)
            count += BitOperations.PopCount(word);
        return count;
    }
}
