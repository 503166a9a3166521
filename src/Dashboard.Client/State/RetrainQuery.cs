using System.Globalization;
using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>What remove and retrain is asked for, as in the address.</summary>
public sealed record RetrainQuery
{
    /// <summary>Networks a condition where nothing is said.</summary>
    public const int UsualNetworks = 3;

    /// <summary>Epochs where nothing is said.</summary>
    public const int UsualEpochs = 12;

    /// <summary>Most epochs that the page offers.</summary>
    public const int MostEpochs = 200;

    /// <summary>Sets that can be removed.</summary>
    public static IReadOnlyList<(string Value, string Text, string Why)> AllSets { get; } =
    [
        ("top", "Top", "Images with the highest score: those said to teach the concept"),
        ("random", "Random", "As many at random, class by class: what removing anything costs"),
        ("bottom", "Bottom", "Images with the lowest score: those said to work against it"),
        ("labelled", "Labelled", "Images that show the concept themselves, whatever their score"),
    ];

    /// <summary>Shares that the page offers.</summary>
    public static IReadOnlyList<double> AllShares { get; } = [0.01, 0.05, 0.1];

    /// <summary>Ways to rank.</summary>
    public static IReadOnlyList<(string Value, string Text, string Why)> Rankings { get; } =
    [
        ("attribution", "Attribution (TRAK)", "By what the image's gradient does to the probe's answer on held-out images of the concept"),
        ("probe", "Answer of the probe", "By how strongly the probe says yes to the image itself: the plain rival of attribution"),
    ];

    /// <summary>Code of the concept; empty for none.</summary>
    public string Concept { get; init; } = "";

    /// <summary>How images are ranked.</summary>
    public string Ranking { get; init; } = "attribution";

    /// <summary>Sets to remove.</summary>
    public IReadOnlyList<string> Sets { get; init; } = [.. AllSets.Select(s => s.Value)];

    /// <summary>Shares to remove.</summary>
    public IReadOnlyList<double> Shares { get; init; } = [0.05];

    /// <summary>Networks a condition.</summary>
    public int Networks { get; init; } = UsualNetworks;

    /// <summary>Epochs of each training.</summary>
    public int Epochs { get; init; } = UsualEpochs;

    /// <summary>From the address; what is not possible becomes the default.</summary>
    public static RetrainQuery From(string? concept, string? ranking, string? sets, string? shares, int? networks, int? epochs)
    {
        string[] chosen = [.. AllSets.Select(s => s.Value).Where((sets ?? "").Split(',').Contains)];
        double[] sizes = [.. AllShares.Where(s => (shares ?? "").Split(',').Contains(Text(s)))];
        return new RetrainQuery
        {
            Concept = concept ?? "",
            Ranking = Rankings.Any(r => r.Value == ranking) ? ranking! : Rankings[0].Value,
            Sets = chosen.Length > 0 ? chosen : [.. AllSets.Select(s => s.Value)],
            Shares = sizes.Length > 0 ? sizes : [0.05],
            Networks = networks is >= 1 and <= 20 ? networks.Value : UsualNetworks,
            Epochs = epochs is >= 1 and <= MostEpochs ? epochs.Value : UsualEpochs,
        };
    }

    /// <summary>A share as in the address.</summary>
    public static string Text(double share) => share.ToString("0.###", CultureInfo.InvariantCulture);

    /// <summary>Sets for the address after one was switched; null for all. The last one stays.</summary>
    public string? Toggle(string set)
    {
        var sets = AllSets.Select(s => s.Value).Where(s => Sets.Contains(s) != (s == set)).ToList();
        return sets.Count == AllSets.Count ? null : string.Join(',', sets.Count == 0 ? Sets : sets);
    }

    /// <summary>Shares for the address after one was switched; null for the default. The last one stays.</summary>
    public string? Toggle(double share)
    {
        var shares = AllShares.Where(s => Shares.Contains(s) != (s == share)).ToList();
        shares = shares.Count == 0 ? [.. Shares] : shares;
        return shares is [0.05] ? null : string.Join(',', shares.Select(Text));
    }

    /// <summary>Parameters that only measure the cost.</summary>
    public static object MeasureParameters(object concept) => new { concept, measure = true };

    /// <summary>Parameters of the experiment.</summary>
    public object Parameters(object concept) => new { concept, ranking = Ranking, sets = Sets, shares = Shares, networks = Networks, epochs = Epochs };

    /// <summary>Networks in all.</summary>
    public int AllNetworks => Networks * (1 + (Sets.Count * Shares.Count));

    /// <summary>Seconds that the trainings take by a measurement; reading the probes comes on top.</summary>
    public double Seconds(RetrainCostView cost) =>
        cost.SecondsPerImage * Networks * Epochs * (cost.Training + Shares.Sum(share => (double)Sets.Count * (cost.Training - Math.Max(1, Math.Round(cost.Training * share)))));
}
