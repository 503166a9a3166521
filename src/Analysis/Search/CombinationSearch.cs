namespace Analysis.Search;

/// <summary>
/// Samples that show some concepts and do not show others (docs/methods/search.md). A sample shows a concept where it is
/// among the strongest share of all samples for it, and does not show it where it is outside the strongest
/// <see cref="Outside"/>. Those that meet every condition are ordered by likeness where one is given; else by the present
/// concept that they show least; else, without any, by the absent concept of which they have most, least first.
/// </summary>
public sealed record CombinationSearch
{
    /// <summary>Places by each concept that must be present. Length N each.</summary>
    public IReadOnlyList<Placing> Present { get; init; } = [];

    /// <summary>Places by each concept that must be absent. Length N each.</summary>
    public IReadOnlyList<Placing> Absent { get; init; } = [];

    /// <summary>Share of all samples that counts as showing a concept, in (0, 1].</summary>
    public double Strongest { get; init; } = 0.05;

    /// <summary>A concept is absent outside this share of the strongest samples, in [0, 1).</summary>
    public double Outside { get; init; } = 0.5;

    /// <summary>Order among those that match, most alike first; null for none. Length N.</summary>
    public IReadOnlyList<float>? Likeness { get; init; }

    /// <summary>Class of every sample, for <see cref="Class"/> and the counts. Length N.</summary>
    public required IReadOnlyList<int> ClassOf { get; init; }

    /// <summary>Only samples of this class; null for all.</summary>
    public int? Class { get; init; }

    /// <summary>A row that is never found: the sample whose likes are sought.</summary>
    public int? Except { get; init; }

    /// <summary>Finds the samples. O(N·(conditions + log take)).</summary>
    /// <param name="take">Most rows to give, best first.</param>
    public CombinationMatches Find(int take)
    {
        var n = ClassOf.Count;
        var (present, absent) = (Columns(Present, n), Columns(Absent, n));
        var classes = ClassOf as int[] ?? [.. ClassOf];
        var likeness = Likeness as float[] ?? (Likeness is null ? null : [.. Likeness]);
        var (most, least) = (Strongest * n, Outside * n);
        var byClass = new Dictionary<int, int>();
        var alone = new int[present.Length + absent.Length];
        var best = new PriorityQueue<int, Order>(take + 1);
        var matches = 0;
        for (var row = 0; row < n; row++)
        {
            var meets = true;
            var (worst, sum) = (0, 0L);
            for (var c = 0; c < present.Length; c++)
            {
                var above = present[c][row];
                var shows = above < most;
                alone[c] += shows ? 1 : 0;
                meets &= shows;
                (worst, sum) = (Math.Max(worst, above), sum + above);
            }

            var nearest = n;
            for (var c = 0; c < absent.Length; c++)
            {
                var above = absent[c][row];
                var lacks = above >= least;
                alone[present.Length + c] += lacks ? 1 : 0;
                meets &= lacks;
                nearest = Math.Min(nearest, above);
            }

            if (!meets || row == Except || (Class is { } only && classes[row] != only))
            {
                continue;
            }

            matches++;
            System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(byClass, classes[row], out _)++;
            if (take == 0)
            {
                continue;
            }

            var order = likeness is not null ? new Order(-likeness[row], 0, row)
                : present.Length > 0 ? new Order(worst, sum, row)
                : new Order(n - nearest, 0, row);
            if (best.Count < take)
            {
                best.Enqueue(row, order);
            }
            else if (best.TryPeek(out _, out var last) && order.CompareTo(last) > 0)
            {
                best.DequeueEnqueue(row, order);
            }
        }

        var rows = new int[best.Count];
        for (var place = rows.Length - 1; place >= 0; place--)
        {
            rows[place] = best.Dequeue();
        }

        // Likeness alone leaves nobody out: what tells something is the classes of the nearest.
        return new CombinationMatches(n, matches, rows, alone.Length > 0 || likeness is null ? byClass : rows.CountBy(row => classes[row]).ToDictionary(), alone);
    }

    private static int[][] Columns(IReadOnlyList<Placing> placings, int n) => placings.Any(p => p.Above.Length != n)
        ? throw new AnalysisException("The concepts and the samples of the search belong to different analyses.", "Search again.")
        : [.. placings.Select(p => p.Above)];

    /// <summary>Larger is worse to the search and smaller to the queue, which gives up its smallest: the worst of those kept.</summary>
    private readonly record struct Order(double Key, long Tie, int Row) : IComparable<Order>
    {
        public int CompareTo(Order other) =>
            other.Key.CompareTo(Key) is var key && key != 0 ? key
            : other.Tie.CompareTo(Tie) is var tie && tie != 0 ? tie
            : other.Row.CompareTo(Row);
    }
}

/// <summary>What a search found.</summary>
/// <param name="Samples">Samples searched, N.</param>
/// <param name="Matches">Samples that meet every condition.</param>
/// <param name="Rows">The best of them, best first; equal ones by row.</param>
/// <param name="ByClass">Matches of each class that has any; where only likeness was asked for, those among <paramref name="Rows"/>.</param>
/// <param name="Alone">Samples of all classes that meet each condition by itself: present ones, then absent ones.</param>
public sealed record CombinationMatches(int Samples, int Matches, int[] Rows, IReadOnlyDictionary<int, int> ByClass, int[] Alone)
{
    /// <summary>Samples of all classes that would meet all conditions if these had nothing to do with each other: N Π (alone / N).</summary>
    public double Expected => Alone.Aggregate((double)Samples, (share, alone) => Samples == 0 ? 0 : share * alone / Samples);
}
