using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.Urls;

namespace Dashboard.Client.State;

/// <summary>
/// What the page of smallest changes is asked for, as in its address. A concept is a code: <c>c30</c> a discovered concept,
/// <c>n12</c> a neuron, <c>k:name</c> a class, <c>a:column</c> or <c>a:column=value</c> an attribute, <c>u:id</c> one that a
/// person defined.
/// </summary>
public sealed record BackpropagationQuery
{
    /// <summary>Most samples at a time.</summary>
    public const int MostSamples = 32;

    /// <summary>Most concepts to compare with.</summary>
    public const int MostOthers = 7;

    /// <summary>Kinds of change.</summary>
    public static IReadOnlyList<ChangeWay> Ways { get; } =
    [
        new("patches", "Patches", "Few places, and neighbouring pixels together: the easiest to look at (l1 and total variation)", "pixels", 1, 0, 1),
        new("place", "One place", "As patches, then again and again with changes elsewhere made dearer: shows whether one place is enough (reweighted l1)", "pixels", 1, 0, 1, 2),
        new("few", "Few pixels", "As few pixels as possible; the rest stays exactly as it is (l1)", "pixels", 1, 0, 0),
        new("small", "Small everywhere", "No pixel much, but many (l2)", "pixels", 0, 1, 0),
        new("waves", "Soft waves", "Broad shapes before fine grain (Fourier)", "fourier", 0, 1, 0),
        new("latent", "Autoencoder", "Along the pictures that the autoencoder beside the network can draw", "latent", 0, 1, 0),
    ];

    /// <summary>Directions.</summary>
    public static IReadOnlyList<(string Value, string Text, string Why)> Directions { get; } =
        [("flip", "Opposite", "The opposite of what the probe says of the image now"), ("yes", "Yes", "Until the probe says that the concept is there"), ("no", "No", "Until the probe says that it is not there")];

    /// <summary>Code of the concept; empty for none.</summary>
    public string Concept { get; init; } = "";

    /// <summary>Rows of the samples.</summary>
    public IReadOnlyList<int> Samples { get; init; } = [];

    /// <summary>Codes of concepts to compare with.</summary>
    public IReadOnlyList<string> Others { get; init; } = [];

    /// <summary>flip, yes or no.</summary>
    public string Direction { get; init; } = "flip";

    /// <summary>Kind of change.</summary>
    public ChangeWay Way { get; init; } = Ways[0];

    /// <summary>Where the change is expected; null for nowhere.</summary>
    public RegionView? Region { get; init; }

    /// <summary>Layer of the probe; null for the analysis's.</summary>
    public string? Layer { get; init; }

    /// <summary>Probes of few channels (l1) instead of all.</summary>
    public bool Sparse { get; init; }

    /// <summary>Ready to be asked for.</summary>
    public bool Complete => Concept.Length > 0 && Samples.Count > 0;

    /// <summary>From the address; what is not possible becomes the default.</summary>
    public static BackpropagationQuery From(string? concept, string? sample, string? others, string? direction, string? way, string? region, string? layer = null, bool? sparse = null) => new()
    {
        Concept = Codes(concept).FirstOrDefault() ?? "",
        Samples = [.. (sample ?? "").Split(',').Select(s => int.TryParse(s, NumberStyles.None, CultureInfo.InvariantCulture, out var row) ? row : -1).Where(r => r >= 0).Distinct().Take(MostSamples)],
        Others = [.. Codes(others).Where(c => c != concept).Distinct().Take(MostOthers)],
        Direction = direction is "yes" or "no" ? direction : "flip",
        Way = Ways.FirstOrDefault(w => w.Value == way) ?? Ways[0],
        Region = RegionOf(region),
        Layer = layer is { Length: > 0 and <= 200 } ? layer : null,
        Sparse = sparse == true,
    };

    /// <summary>Address of the page.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="concept">Code of the concept; null to choose on the page.</param>
    /// <param name="sample">Row of a sample; null to choose on the page.</param>
    /// <param name="layer">Layer of the probe; null for the analysis's.</param>
    public static string Address(string analysisId, string? concept = null, int? sample = null, string? layer = null)
    {
        var query = new List<string>(2);
        if (concept is not null)
        {
            query.Add("concept=" + Uri.EscapeDataString(concept));
        }

        if (sample is not null)
        {
            query.Add(FormattableString.Invariant($"sample={sample}"));
        }

        if (layer is not null)
        {
            query.Add("layer=" + Uri.EscapeDataString(layer));
        }

        return PageUrls.Backpropagation(analysisId) + (query.Count == 0 ? "" : "?" + string.Join('&', query));
    }

    /// <summary>Parameters of the task.</summary>
    /// <param name="definition">The definition that belongs to a code; null where it is not known (yet).</param>
    public object? Parameters(Func<string, object?> definition)
    {
        if (!Complete || definition(Concept) is not { } concept)
        {
            return null;
        }

        var others = Others.Select(definition).ToList();
        return others.Contains(null)
            ? null
            : new { concept, others, samples = Samples, layer = Layer, probe = Sparse ? "l1" : "l2", direction = Direction, space = Way.Space, l1 = Way.L1, l2 = Way.L2, totalVariation = Way.TotalVariation, concentrations = Way.Concentrations, region = Region };
    }

    /// <summary>Codes, separated by commas; a comma inside a name is written twice.</summary>
    public static IReadOnlyList<string> Codes(string? text) =>
        [.. (text ?? "").Replace(",,", "\u0001", StringComparison.Ordinal).Split(',', StringSplitOptions.RemoveEmptyEntries).Select(c => c.Replace('\u0001', ','))];

    /// <summary>Codes for the address.</summary>
    public static string? Join(IEnumerable<string> codes)
    {
        var text = string.Join(',', codes.Select(c => c.Replace(",", ",,", StringComparison.Ordinal)));
        return text.Length == 0 ? null : text;
    }

    private static RegionView? RegionOf(string? text)
    {
        double[] parts = [.. (text ?? "").Split(',').Select(p => double.TryParse(p, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : double.NaN)];
        return parts is [>= 0, >= 0, > 0, > 0] && parts[0] + parts[2] <= 1 + 1e-6 && parts[1] + parts[3] <= 1 + 1e-6 ? new RegionView(parts[0], parts[1], parts[2], parts[3]) : null;
    }
}

/// <summary>A kind of change.</summary>
/// <param name="Value">As in the address.</param>
/// <param name="Title">Name.</param>
/// <param name="Why">What it gives.</param>
/// <param name="Space">What is varied.</param>
/// <param name="L1">Weight of the sum of magnitudes.</param>
/// <param name="L2">Weight of the sum of squares.</param>
/// <param name="TotalVariation">Weight of the total variation.</param>
/// <param name="Concentrations">Times that the search is done again with changes elsewhere made dearer.</param>
public sealed record ChangeWay(string Value, string Title, string Why, string Space, double L1, double L2, double TotalVariation, int Concentrations = 0);
