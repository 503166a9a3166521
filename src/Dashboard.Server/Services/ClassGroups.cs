namespace Dashboard.Server.Services;

/// <summary>Groups classes whose concepts are alike, for colours on the map: spherical k-means from a farthest-first start.</summary>
internal static class ClassGroups
{
    /// <summary>Most groups: as many as there are colours.</summary>
    public const int Most = 8;

    private const int Rounds = 25;

    /// <summary>Assigns each class to a group, the largest group first; equal input gives equal groups.</summary>
    /// <param name="means">One unit vector a class; zero where a class has none.</param>
    /// <returns>Group of each class, and the classes of each group from the most typical on.</returns>
    public static (int[] GroupOf, IReadOnlyList<IReadOnlyList<int>> Members) Of(IReadOnlyList<float[]> means)
    {
        var classes = means.Count;
        var count = classes <= Most ? classes : Math.Clamp((int)Math.Round(Math.Sqrt(classes / 2.0)), 2, Most);
        if (count == 0)
        {
            return ([], []);
        }

        var centres = Start(means, count);
        var group = new int[classes];
        for (var round = 0; round < Rounds; round++)
        {
            var moved = false;
            for (var c = 0; c < classes; c++)
            {
                var best = 0;
                for (var g = 1; g < count; g++)
                {
                    best = ConceptBank.Dot(means[c], centres[g]) > ConceptBank.Dot(means[c], centres[best]) + 1e-9 ? g : best;
                }

                moved |= group[c] != best;
                group[c] = best;
            }

            if (!moved && round > 0)
            {
                break;
            }

            for (var g = 0; g < count; g++)
            {
                centres[g] = Mean(means, group, g) ?? centres[g];
            }
        }

        var members = Enumerable.Range(0, count)
            .Select(g => (IReadOnlyList<int>)[.. Enumerable.Range(0, classes).Where(c => group[c] == g).OrderByDescending(c => ConceptBank.Dot(means[c], centres[g])).ThenBy(c => c)])
            .Where(list => list.Count > 0)
            .OrderByDescending(list => list.Count).ThenBy(list => list.Min())
            .ToList();
        for (var g = 0; g < members.Count; g++)
        {
            foreach (var c in members[g])
            {
                group[c] = g;
            }
        }

        return (group, members);
    }

    private static float[][] Start(IReadOnlyList<float[]> means, int count)
    {
        var centres = new List<float[]> { means[0] };
        var nearest = means.Select(mean => ConceptBank.Dot(mean, means[0])).ToArray();
        while (centres.Count < count)
        {
            var farthest = Array.IndexOf(nearest, nearest.Min());
            centres.Add(means[farthest]);
            for (var c = 0; c < nearest.Length; c++)
            {
                nearest[c] = Math.Max(nearest[c], ConceptBank.Dot(means[c], means[farthest]));
            }
        }

        return [.. centres];
    }

    private static float[]? Mean(IReadOnlyList<float[]> means, int[] group, int wanted)
    {
        var sum = new double[means[0].Length];
        for (var c = 0; c < group.Length; c++)
        {
            for (var i = 0; i < sum.Length && group[c] == wanted; i++)
            {
                sum[i] += means[c][i];
            }
        }

        var norm = Math.Sqrt(sum.Sum(value => value * value));
        return norm > 0 ? [.. sum.Select(value => (float)(value / norm))] : null;
    }
}
