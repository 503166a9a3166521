using System.Text.Json;

namespace Dashboard.Client.Contracts;

/// <summary>Smallest changes of samples for a concept, as the task <c>backpropagate</c> writes them (docs/file-formats.md).</summary>
public sealed record BackpropagationView
{
    /// <summary>Kind of the task.</summary>
    public const string TaskKind = "backpropagate";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>Layer of the probes.</summary>
    public string Layer { get; init; } = "";

    /// <summary>pixels, fourier, latent or columns.</summary>
    public string Space { get; init; } = "";

    /// <summary>The concept's probe, then those of the others.</summary>
    public IReadOnlyList<ChangeProbe> Probes { get; init; } = [];

    /// <summary>What became of each sample.</summary>
    public IReadOnlyList<ChangedSampleView> Samples { get; init; } = [];

    /// <summary>How the probes hang together; null for a single one.</summary>
    public EntanglementView? Entanglement { get; init; }

    /// <summary>The concept's changes in figures.</summary>
    public ChangeFigures Summary { get; init; } = new();

    /// <summary>The same for probes of shuffled labels; null where none were asked for.</summary>
    public ChangeFigures? Control { get; init; }

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Reads a result; null where it is none.</summary>
    public static BackpropagationView? Parse(string? json)
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize<BackpropagationView>(json, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>A probe.</summary>
/// <param name="Name">Name of its concept.</param>
/// <param name="Continuous">True where it answers a number.</param>
/// <param name="Positives">Samples that show the concept.</param>
/// <param name="Negatives">Samples that do not.</param>
/// <param name="BalancedAccuracy">On held-out samples.</param>
/// <param name="Auc">On held-out samples.</param>
/// <param name="R2">On held-out samples, for numbers.</param>
public sealed record ChangeProbe(string Name, bool Continuous, int Positives, int Negatives, double? BalancedAccuracy, double? Auc, double? R2);

/// <summary>A sample and its smallest change.</summary>
public sealed record ChangedSampleView
{
    /// <summary>Row.</summary>
    public int Row { get; init; }

    /// <summary>Path.</summary>
    public string Path { get; init; } = "";

    /// <summary>Class.</summary>
    public string Class { get; init; } = "";

    /// <summary>True where the probe was to say yes, or more.</summary>
    public bool Yes { get; init; }

    /// <summary>Wanted value.</summary>
    public double Goal { get; init; }

    /// <summary>changed, already or unreachable.</summary>
    public string Outcome { get; init; } = "";

    /// <summary>λ.</summary>
    public double Lambda { get; init; }

    /// <summary>Steps in all.</summary>
    public int Steps { get; init; }

    /// <summary>Answers of all probes before.</summary>
    public IReadOnlyList<double> Before { get; init; } = [];

    /// <summary>Answers of all probes after.</summary>
    public IReadOnlyList<double> After { get; init; } = [];

    /// <summary>How large the change is.</summary>
    public ChangeSizeView Size { get; init; } = new(0, 0, 0, 0, 0);

    /// <summary>Change of the answer for a unit of size.</summary>
    public double? GainPerSize { get; init; }

    /// <summary>Share inside the region; null without one.</summary>
    public double? Inside { get; init; }

    /// <summary>Share of the picture that the region covers.</summary>
    public double? RegionArea { get; init; }

    /// <summary>The region in shares of the picture; null without one.</summary>
    public RegionView? Region { get; init; }

    /// <summary>Predicted output before.</summary>
    public string PredictedBefore { get; init; } = "";

    /// <summary>Predicted output after.</summary>
    public string PredictedAfter { get; init; } = "";

    /// <summary>The outputs that are largest before or after.</summary>
    public IReadOnlyList<OutputChangeView> Outputs { get; init; } = [];

    /// <summary>Pictures; null for recorded activations.</summary>
    public ChangePicturesView? Pictures { get; init; }

    /// <summary>Changes from hardly any to more than needed.</summary>
    public IReadOnlyList<ChangeFrameView> Frames { get; init; } = [];

    /// <summary>Changed columns, largest change first.</summary>
    public IReadOnlyList<ColumnChangeView> Columns { get; init; } = [];
}

/// <summary>A rectangle in shares of a picture.</summary>
public sealed record RegionView(double Left, double Top, double Width, double Height);

/// <summary>Size of a change.</summary>
public sealed record ChangeSizeView(double L1, double L2, double Largest, double Mean, double Share);

/// <summary>An output before and after.</summary>
public sealed record OutputChangeView(string Name, double LogitBefore, double LogitAfter, double Before, double After);

/// <summary>Picture files; <paramref name="Scale"/> is the difference shown in full colour.</summary>
public sealed record ChangePicturesView(string Original, string Changed, string Difference, double Scale, int Width, int Height);

/// <summary>A change on the way.</summary>
public sealed record ChangeFrameView(double Lambda, double Answer, double L1, double L2, string Predicted, string? Picture, string? Difference, bool Chosen);

/// <summary>A changed column.</summary>
public sealed record ColumnChangeView(int Column, double Before, double After, double Deviations);

/// <summary>Entanglement of probes, row by row.</summary>
public sealed record EntanglementView(
    IReadOnlyList<string> Names, IReadOnlyList<IReadOnlyList<double?>> Change, IReadOnlyList<IReadOnlyList<double?>> Ratio, IReadOnlyList<IReadOnlyList<double?>> Entangled,
    IReadOnlyList<IReadOnlyList<double>> Cosine, IReadOnlyList<int> Samples, IReadOnlyList<double?> ClassChanged, IReadOnlyList<double?> L2);

/// <summary>Changes of several samples in figures.</summary>
public sealed record ChangeFigures(
    int Wishes = 0, int Reached = 0, int Already = 0, double? MedianL1 = null, double? MedianL2 = null, double? Inside = null, double? ClassChanged = null, double? ConceptChange = null, double? HeldOut = null);
