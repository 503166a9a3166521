using Analysis.Numerics;

namespace Analysis.Probes;

/// <summary>Divides samples into those that a probe is fitted to and those that it is tested on.</summary>
public static class ConceptSplit
{
    /// <summary>Share of the samples that is kept for testing.</summary>
    public const double Share = 0.3;

    private const int Strata = 5;

    /// <summary>
    /// Chooses the samples for testing, in equal shares of those that show the concept and those that do not (of each fifth of the
    /// values where the concept is continuous). Samples of one group stay together; a group with both kinds counts as showing it.
    /// </summary>
    /// <param name="targets">1, 0 or a number for each sample; NaN takes no part.</param>
    /// <param name="continuous">True where targets are numbers.</param>
    /// <param name="groups">Group of each sample: exact duplicates have the same.</param>
    /// <param name="seed">Equal seeds give equal choices.</param>
    /// <returns>True for the samples for testing; at least one group of each kind is on each side where there are two of it.</returns>
    public static bool[] HeldOut(ReadOnlySpan<double> targets, bool continuous, ReadOnlySpan<ulong> groups, int seed)
    {
        var known = new List<int>();
        for (var i = 0; i < targets.Length; i++)
        {
            if (!double.IsNaN(targets[i]))
            {
                known.Add(i);
            }
        }

        var values = targets.ToArray();
        var of = groups.ToArray();
        var members = known.GroupBy(i => of[i]).Select(g => (Rows: g.ToArray(), Value: g.Max(i => values[i]))).ToArray();
        var order = Ranks.Ascending(Array.ConvertAll(members, m => m.Value));
        var stratum = new int[members.Length];
        for (var place = 0; place < order.Length; place++)
        {
            stratum[order[place]] = continuous ? place * Strata / order.Length : members[order[place]].Value > 0 ? 1 : 0;
        }

        var random = new SplitMix64(unchecked((ulong)seed));
        var result = new bool[targets.Length];
        for (var s = 0; s < Strata; s++)
        {
            var chosen = Enumerable.Range(0, members.Length).Where(g => stratum[g] == s).ToArray();
            random.Shuffle(chosen);
            var samples = chosen.Sum(g => members[g].Rows.Length);
            var wanted = Share * samples;
            var taken = 0;
            for (var i = 0; i < chosen.Length; i++)
            {
                var size = members[chosen[i]].Rows.Length;
                // The first group always, the last never: both sides need something of each kind.
                if (chosen.Length > 1 && i < chosen.Length - 1 && (i == 0 || taken + (size / 2.0) <= wanted))
                {
                    taken += size;
                    foreach (var row in members[chosen[i]].Rows)
                    {
                        result[row] = true;
                    }
                }
            }
        }

        return result;
    }
}
