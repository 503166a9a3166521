using Analysis.Search;
using Xunit;

namespace Analysis.Tests.Search;

public sealed class CombinationSearchTests
{
    private const int N = 1000;
    private static readonly float[][] Scores = Columns(3);
    private static readonly int[] ClassOf = [.. Enumerable.Range(0, N).Select(row => row / 250)];

    [Fact]
    public void The_matches_are_those_of_the_definition_weakest_present_concept_decides()
    {
        var found = Search(present: [0, 1], absent: [2], strongest: 0.3, outside: 0.4).Find(N);
        int Above(int column, int row) => Scores[column].Count(s => s > Scores[column][row]);
        var expected = Enumerable.Range(0, N)
            .Where(row => Above(0, row) < 300 && Above(1, row) < 300 && Above(2, row) >= 400)
            .OrderBy(row => Math.Max(Above(0, row), Above(1, row))).ThenBy(row => Above(0, row) + Above(1, row)).ThenBy(row => row).ToArray();
        Assert.InRange(expected.Length, 20, 100);
        Assert.Equal(expected, found.Rows);
        Assert.Equal(expected.Length, found.Matches);
        Assert.Equal(expected.GroupBy(row => row / 250).ToDictionary(g => g.Key, g => g.Count()), found.ByClass.OrderBy(pair => pair.Key).ToDictionary());
        // Each by itself, and what chance would give: 1000 · 0.3 · 0.3 · 0.6.
        Assert.Equal([300, 300, 600], found.Alone);
        Assert.Equal(54, found.Expected, 9);
        Assert.Equal(expected.Take(7), Search([0, 1], [2], 0.3, 0.4).Find(7).Rows);
    }

    [Fact]
    public void By_likeness_alone_the_classes_are_those_of_the_nearest()
    {
        var like = Enumerable.Range(0, N).Select(row => row is >= 245 and < 255 ? 1f : 0f).ToArray();
        var found = (Search([], [], 0.5, 0) with { Likeness = like, Except = 245 }).Find(9);
        Assert.Equal(N - 1, found.Matches);
        Assert.Equal(new Dictionary<int, int> { [0] = 4, [1] = 5 }, found.ByClass.OrderBy(pair => pair.Key).ToDictionary());
    }

    [Fact]
    public void Without_a_present_concept_those_that_have_least_of_the_absent_ones_come_first()
    {
        var found = Search(present: [], absent: [1], strongest: 0.3, outside: 0.5).Find(5);
        Assert.Equal(500, found.Matches);
        Assert.Equal(Enumerable.Range(0, N).OrderBy(row => Scores[1][row]).Take(5), found.Rows);
    }

    [Fact]
    public void Likeness_orders_what_matches_a_class_limits_it_and_the_image_itself_is_left_out()
    {
        var like = Columns(4)[3];
        var best = Enumerable.Range(0, N).Where(row => row / 250 == 2 && Scores[0].Count(s => s > Scores[0][row]) < 500).OrderByDescending(row => like[row]).ToArray();
        var found = (Search([0], [], 0.5, 0) with { Likeness = like, Class = 2, Except = best[0] }).Find(10);
        Assert.Equal(best.Skip(1).Take(10), found.Rows);
        Assert.Equal(best.Length - 1, found.Matches);
        Assert.Equal([2], found.ByClass.Keys);
        // The condition is counted over all classes.
        Assert.Equal([500], found.Alone);
    }

    [Fact]
    public void Nothing_asked_for_matches_everything_and_nothing_taken_counts_all_the_same()
    {
        Assert.Equal(N, Search([], [], 0.1, 0.5).Find(3).Matches);
        var found = Search([2], [], 0.1, 0.5).Find(0);
        Assert.Equal((100, 0), (found.Matches, found.Rows.Length));
        Assert.Throws<AnalysisException>(() => new CombinationSearch { ClassOf = ClassOf, Present = [Placing.Of([1, 2])] }.Find(1));
    }

    private static CombinationSearch Search(int[] present, int[] absent, double strongest, double outside) => new()
    {
        ClassOf = ClassOf,
        Present = [.. present.Select(column => Placing.Of(Scores[column]))],
        Absent = [.. absent.Select(column => Placing.Of(Scores[column]))],
        Strongest = strongest,
        Outside = outside,
    };

    private static float[][] Columns(int count)
    {
        var random = new Random(11);
        return [.. Enumerable.Range(0, count).Select(_ => Enumerable.Range(0, N).Select(_ => (float)random.NextDouble()).ToArray())];
    }
}
