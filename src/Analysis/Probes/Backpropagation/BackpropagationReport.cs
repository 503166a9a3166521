namespace Analysis.Probes.Backpropagation;

/// <summary>Content of <c>result.json</c> of the task <c>backpropagate</c>.</summary>
public sealed record BackpropagationReport
{
    /// <summary>What was asked for.</summary>
    public required BackpropagationRequest Request { get; init; }

    /// <summary>Layer of the probes.</summary>
    public required string Layer { get; init; }

    /// <summary><c>pixels</c>, <c>fourier</c>, <c>latent</c> or <c>columns</c>.</summary>
    public required string Space { get; init; }

    /// <summary>The concept's probe, then those of the others.</summary>
    public required IReadOnlyList<ProbeEntry> Probes { get; init; }

    /// <summary>What became of each sample.</summary>
    public required IReadOnlyList<ChangedSample> Samples { get; init; }

    /// <summary>How the probes hang together; null for a single one.</summary>
    public EntanglementEntry? Entanglement { get; init; }

    /// <summary>The concept's changes in figures.</summary>
    public required ChangeSummary Summary { get; init; }

    /// <summary>The same for probes of shuffled labels; null where none were asked for.</summary>
    public ChangeSummary? Control { get; init; }

    /// <summary>Doubts, in words.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}

/// <summary>A probe.</summary>
/// <param name="Name">Name of its concept.</param>
/// <param name="Continuous">True where it answers a number.</param>
/// <param name="Positives">Samples that show the concept.</param>
/// <param name="Negatives">Samples that do not.</param>
/// <param name="BalancedAccuracy">On held-out samples; null where it cannot be told.</param>
/// <param name="Auc">On held-out samples; null where it cannot be told.</param>
/// <param name="R2">On held-out samples, for numbers.</param>
public sealed record ProbeEntry(string Name, bool Continuous, int Positives, int Negatives, double? BalancedAccuracy, double? Auc, double? R2);

/// <summary>A sample and its smallest change for the concept.</summary>
public sealed record ChangedSample
{
    /// <summary>Row in the samples table.</summary>
    public required int Row { get; init; }

    /// <summary>Path.</summary>
    public required string Path { get; init; }

    /// <summary>Class.</summary>
    public required string Class { get; init; }

    /// <summary>The wanted answer: yes or no; a number's goal lies in <see cref="Goal"/>.</summary>
    public required bool Yes { get; init; }

    /// <summary>The wanted value: 1, 0, or the number.</summary>
    public required double Goal { get; init; }

    /// <summary>What became of it.</summary>
    public required ChangeOutcome Outcome { get; init; }

    /// <summary>The largest λ that still reaches the threshold.</summary>
    public required double Lambda { get; init; }

    /// <summary>Start that the change came from.</summary>
    public required int Start { get; init; }

    /// <summary>Steps of the optimiser over all λ.</summary>
    public required int Steps { get; init; }

    /// <summary>Answers of all probes before.</summary>
    public required IReadOnlyList<double> Before { get; init; }

    /// <summary>Answers of all probes after.</summary>
    public required IReadOnlyList<double> After { get; init; }

    /// <summary>How large the change is.</summary>
    public required ChangeSize Size { get; init; }

    /// <summary>Change of the probe's answer for a unit of <see cref="ChangeSize.L2"/>.</summary>
    public double? GainPerSize { get; init; }

    /// <summary>Share of the change inside the region; null without one.</summary>
    public double? Inside { get; init; }

    /// <summary>Share of the picture that the region covers; null without one.</summary>
    public double? RegionArea { get; init; }

    /// <summary>Region in shares of the picture as the network sees it; null without one.</summary>
    public BackpropagationRegion? Region { get; init; }

    /// <summary>Predicted output before.</summary>
    public required string PredictedBefore { get; init; }

    /// <summary>Predicted output after.</summary>
    public required string PredictedAfter { get; init; }

    /// <summary>The outputs that are largest before or after.</summary>
    public required IReadOnlyList<OutputChange> Outputs { get; init; }

    /// <summary>Pictures; null for recorded activations.</summary>
    public ChangePictures? Pictures { get; init; }

    /// <summary>Changes from none to more than needed, as they become cheaper.</summary>
    public IReadOnlyList<ChangeFrame> Frames { get; init; } = [];

    /// <summary>Changed columns, largest change first; empty for pictures.</summary>
    public IReadOnlyList<ColumnChange> Columns { get; init; } = [];
}

/// <summary>Size of a change x′ − x: pixel values from 0 to 1, or columns in units of their standard deviation.</summary>
/// <param name="L1">Sum of magnitudes.</param>
/// <param name="L2">Root of the sum of squares.</param>
/// <param name="Largest">Largest magnitude.</param>
/// <param name="Mean">Mean magnitude.</param>
/// <param name="Share">Share of pixels (or columns) that change by more than half a step of 8 bits (or at all).</param>
public sealed record ChangeSize(double L1, double L2, double Largest, double Mean, double Share);

/// <summary>An output of the network before and after.</summary>
/// <param name="Name">Its name.</param>
/// <param name="LogitBefore">Logit before.</param>
/// <param name="LogitAfter">Logit after.</param>
/// <param name="Before">Softmax probability before.</param>
/// <param name="After">Softmax probability after.</param>
public sealed record OutputChange(string Name, double LogitBefore, double LogitAfter, double Before, double After);

/// <summary>Names of picture files.</summary>
/// <param name="Original">The image as the network sees it.</param>
/// <param name="Changed">The changed image.</param>
/// <param name="Difference">The difference: red lighter, blue darker, white unchanged.</param>
/// <param name="Scale">Pixel difference (of the range 0 to 1) that is shown in full colour.</param>
/// <param name="Width">Width of the pictures.</param>
/// <param name="Height">Height of the pictures.</param>
public sealed record ChangePictures(string Original, string Changed, string Difference, double Scale, int Width, int Height);

/// <summary>A change on the way.</summary>
/// <param name="Lambda">λ.</param>
/// <param name="Answer">The probe's answer.</param>
/// <param name="L1">Sum of magnitudes.</param>
/// <param name="L2">Root of the sum of squares.</param>
/// <param name="Predicted">Predicted output.</param>
/// <param name="Picture">File of the changed image; null for recorded activations.</param>
/// <param name="Difference">File of the difference, on the scale of the whole change; null for recorded activations.</param>
/// <param name="Chosen">True for the smallest change that reaches the threshold.</param>
public sealed record ChangeFrame(double Lambda, double Answer, double L1, double L2, string Predicted, string? Picture, string? Difference, bool Chosen);

/// <summary>A column that changes.</summary>
/// <param name="Column">The column, from 0.</param>
/// <param name="Before">Value before.</param>
/// <param name="After">Value after.</param>
/// <param name="Deviations">Change in standard deviations of the column.</param>
public sealed record ColumnChange(int Column, double Before, double After, double Deviations);

/// <summary>Entanglement of probes, row by row: images were changed for the row's probe, the column's probe was read (METHODS 3.3).</summary>
/// <param name="Names">The concepts.</param>
/// <param name="Change">Mean change of the answer E_ij; null where no image could be changed.</param>
/// <param name="Ratio">Mean of E_ij / E_ii.</param>
/// <param name="Entangled">Share of images with |E_ij / E_ii| at least 0.5.</param>
/// <param name="Cosine">Cosine of the probes' weights.</param>
/// <param name="Samples">Images that count, for each row: changed, and their own probe moved by at least a tenth of what it moved at most.</param>
/// <param name="ClassChanged">Share of them whose predicted output changed, for each row.</param>
/// <param name="L2">Mean size of the change, for each row.</param>
public sealed record EntanglementEntry(
    IReadOnlyList<string> Names, IReadOnlyList<IReadOnlyList<double?>> Change, IReadOnlyList<IReadOnlyList<double?>> Ratio, IReadOnlyList<IReadOnlyList<double?>> Entangled,
    IReadOnlyList<IReadOnlyList<double>> Cosine, IReadOnlyList<int> Samples, IReadOnlyList<double?> ClassChanged, IReadOnlyList<double?> L2);

/// <summary>Changes of several samples in figures. Means are over those that reach the threshold by a change.</summary>
/// <param name="Wishes">Samples times probes.</param>
/// <param name="Reached">How many reach the threshold by a change.</param>
/// <param name="Already">How many were there already.</param>
/// <param name="MedianL1">Median of the sums of magnitudes.</param>
/// <param name="MedianL2">Median of the roots of the sums of squares.</param>
/// <param name="Inside">Mean share inside the region; null without one.</param>
/// <param name="ClassChanged">Share whose predicted output changes.</param>
/// <param name="ConceptChange">Mean magnitude of the change of the concept's own probe.</param>
/// <param name="HeldOut">Mean held-out balanced accuracy of the probes.</param>
public sealed record ChangeSummary(int Wishes, int Reached, int Already, double? MedianL1, double? MedianL2, double? Inside, double? ClassChanged, double? ConceptChange, double? HeldOut);
