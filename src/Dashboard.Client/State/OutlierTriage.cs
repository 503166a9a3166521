using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>A verdict to be kept.</summary>
/// <param name="Sample">Row of the sample.</param>
/// <param name="Verdict">fine, wronglabel, remove or confounder; null takes it back.</param>
public sealed record VerdictChange(int Sample, string? Verdict);

/// <summary>Samples of one kind and class on the wall.</summary>
/// <param name="Kind">Outlier kind; empty for what was not flagged.</param>
/// <param name="Class">Class index; −1 where images of many classes stand together.</param>
/// <param name="ClassName">Display name of the class; empty for many.</param>
/// <param name="Items">Most odd first.</param>
public sealed record OutlierGroup(string Kind, int Class, string ClassName, IReadOnlyList<SampleTile> Items);

/// <summary>
/// The wall of outliers without the browser: the order in which samples stand, which one is in focus, what a key does.
/// Keys: f fine, l wrong label, r remove, c confounder; u takes the last verdict back.
/// </summary>
public sealed class OutlierTriage
{
    private const int FewHeadings = 24;

    private readonly List<SampleTile> _items = [];
    private readonly Stack<VerdictChange> _past = [];

    /// <summary>Keys that set a verdict, with the verdict.</summary>
    public static IReadOnlyDictionary<string, string> Keys { get; } =
        new Dictionary<string, string> { ["f"] = "fine", ["l"] = "wronglabel", ["r"] = "remove", ["c"] = "confounder" };

    /// <summary>Groups by kind (in the order of <see cref="Names.Kinds"/>), then by class.</summary>
    public IReadOnlyList<OutlierGroup> Groups { get; private set; } = [];

    /// <summary>All samples in the order of the wall.</summary>
    public IReadOnlyList<SampleTile> Items => _items;

    /// <summary>Row of the sample in focus; null where none is.</summary>
    public int? Focus { get; private set; }

    /// <summary>The sample in focus.</summary>
    public SampleTile? Focused => _items.Find(t => t.Index == Focus);

    /// <summary>True where a verdict can be taken back.</summary>
    public bool CanUndo => _past.Count > 0;

    /// <summary>Shows other samples; the focus stays where its sample is still there.</summary>
    public void Load(IEnumerable<SampleTile> samples)
    {
        Arrange(samples.ToList());
        if (_items.TrueForAll(t => t.Index != Focus))
        {
            Focus = null;
        }
    }

    /// <summary>Moves the focus to a sample; nothing happens where it is not on the wall.</summary>
    public bool MoveTo(int sample)
    {
        if (Focus == sample || _items.TrueForAll(t => t.Index != sample))
        {
            return false;
        }

        Focus = sample;
        return true;
    }

    /// <summary>
    /// What a key changes: a verdict on the sample in focus, which then moves on to the next one; or the last verdict taken
    /// back, to which the focus returns. Null where the key does nothing.
    /// </summary>
    public VerdictChange? Press(string key)
    {
        key = key.ToLowerInvariant();
        if (key == "u")
        {
            return Undo();
        }

        return Keys.TryGetValue(key, out var verdict) ? Judge(verdict) : null;
    }

    /// <summary>Sets a verdict on the sample in focus and moves on; the same verdict again takes it back and stays.</summary>
    public VerdictChange? Judge(string verdict)
    {
        var at = _items.FindIndex(t => t.Index == Focus);
        if (at < 0)
        {
            return null;
        }

        var again = _items[at].Verdict == verdict;
        _past.Push(new VerdictChange(_items[at].Index, _items[at].Verdict));
        var change = new VerdictChange(_items[at].Index, again ? null : verdict);
        Apply(change);
        if (!again && at + 1 < _items.Count)
        {
            Focus = _items[at + 1].Index;
        }

        return change;
    }

    private VerdictChange? Undo()
    {
        if (!_past.TryPop(out var change))
        {
            return null;
        }

        Apply(change);
        MoveTo(change.Sample);
        return change;
    }

    private void Apply(VerdictChange change)
    {
        var at = _items.FindIndex(t => t.Index == change.Sample);
        if (at >= 0)
        {
            var items = _items.ToList();
            items[at] = items[at] with { Verdict = change.Verdict };
            Arrange(items);
        }
    }

    private void Arrange(List<SampleTile> samples)
    {
        // Of many classes each has an image or two: a heading for each would be most of the wall.
        var byClass = samples.GroupBy(t => (t.OutlierKind, t.Class)).Count() is var headings && (headings < FewHeadings || samples.Count >= 3 * headings);
        Groups =
        [
            .. samples.GroupBy(t => (t.OutlierKind, Class: byClass ? t.Class : -1))
                .OrderBy(g => KindOrder(g.Key.OutlierKind)).ThenBy(g => g.Key.Class)
                .Select(g => new OutlierGroup(g.Key.OutlierKind, g.Key.Class, byClass ? g.First().ClassName : "", [.. g.OrderByDescending(t => t.OutlierScore ?? 0).ThenBy(t => t.Index)])),
        ];
        _items.Clear();
        _items.AddRange(Groups.SelectMany(g => g.Items));
    }

    private static int KindOrder(string kind)
    {
        for (var i = 0; i < Names.Kinds.Count; i++)
        {
            if (Names.Kinds[i] == kind)
            {
                return i;
            }
        }

        return Names.Kinds.Count;
    }
}
