using System.Globalization;
using Dashboard.Client.Urls;

namespace Dashboard.Client.State;

/// <summary>What the page of training images is asked for, as in its address. Concepts are codes as in <see cref="BackpropagationQuery"/>.</summary>
public sealed record TrainingImagesQuery
{
    /// <summary>Number of features where none is chosen.</summary>
    public const int DefaultDimensions = 512;

    /// <summary>Kinds of target.</summary>
    public static IReadOnlyList<(string Value, string Text)> Targets { get; } = [("concept", "A concept"), ("class", "A class"), ("sample", "One image")];

    /// <summary>Ways to project.</summary>
    public static IReadOnlyList<(string Value, string Text)> Projections { get; } = [("auto", "Automatic"), ("dense", "Dense: exact to the last entry, slow"), ("factorised", "Factorised: much faster")];

    /// <summary>Numbers of features.</summary>
    public static IReadOnlyList<int> AllDimensions { get; } = [128, 256, 512, 1024, 2048];

    /// <summary>concept, class or sample.</summary>
    public string Target { get; init; } = "concept";

    /// <summary>Code of the concept, index of the class, or row of the sample; empty for none.</summary>
    public string Of { get; init; } = "";

    /// <summary>Whether the probe's own images are weighed instead of the network's.</summary>
    public bool ProbeItself { get; init; }

    /// <summary>Path of the training images; empty for those of the analysis.</summary>
    public string Dataset { get; init; } = "";

    /// <summary>Paths of more networks.</summary>
    public IReadOnlyList<string> Networks { get; init; } = [];

    /// <summary>auto, dense or factorised.</summary>
    public string Projection { get; init; } = "auto";

    /// <summary>Number of features.</summary>
    public int Dimensions { get; init; } = DefaultDimensions;

    /// <summary>Layer of the probe; empty for the analysis's.</summary>
    public string Layer { get; init; } = "";

    /// <summary>From the address; what is not possible becomes the default.</summary>
    public static TrainingImagesQuery From(string? target, string? of, string? variant, string? dataset, string? networks, string? projection, int? dimensions, string? layer) => new()
    {
        Target = Targets.Any(t => t.Value == target) ? target! : "concept",
        Of = of ?? "",
        ProbeItself = variant == "probe" && target is null or "concept",
        Dataset = dataset?.Trim() ?? "",
        Networks = [.. (networks ?? "").Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)],
        Projection = Projections.Any(p => p.Value == projection) ? projection! : "auto",
        Dimensions = dimensions is { } d && AllDimensions.Contains(d) ? d : DefaultDimensions,
        Layer = layer ?? "",
    };

    /// <summary>Number of the class or sample; null where there is none.</summary>
    public int? Number => int.TryParse(Of, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>Parameters of the task; null while something is missing.</summary>
    /// <param name="definition">Definition of the concept; null where it is not known (yet).</param>
    public object? Parameters(object? definition)
    {
        if (Target == "concept" ? definition is null : Number is null)
        {
            return null;
        }

        return new
        {
            target = Target,
            concept = Target == "concept" ? definition : null,
            @class = Target == "class" ? Number : null,
            sample = Target == "sample" ? Number : null,
            variant = ProbeItself ? "probe" : "representation",
            dataset = Dataset.Length == 0 || ProbeItself ? null : Dataset,
            networks = ProbeItself ? [] : Networks,
            projection = ProbeItself ? "auto" : Projection,
            dimensions = ProbeItself ? DefaultDimensions : Dimensions,
            layer = Layer.Length == 0 ? null : Layer,
        };
    }

    /// <summary>Address of the page.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="target">concept, class or sample; null to choose on the page.</param>
    /// <param name="of">Code of the concept, index of the class, or row of the sample.</param>
    public static string Address(string analysisId, string? target = null, string? of = null) =>
        PageUrls.TrainingImages(analysisId) + (target is null ? "" : $"?target={target}" + (of is null ? "" : $"&of={Uri.EscapeDataString(of)}"));
}
