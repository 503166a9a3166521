namespace Dashboard.Client.Contracts;

/// <summary>What a finished task <c>decompose</c> gives: the parts of a concept at an earlier layer.</summary>
public sealed record DecompositionView
{
    /// <summary>Kind of the task.</summary>
    public const string Kind = "decompose";

    /// <summary>Layer of what was taken apart.</summary>
    public string ParentLayer { get; init; } = "";

    /// <summary>Earlier layer at which its parts were found.</summary>
    public string Layer { get; init; } = "";

    /// <summary>Crops that show the concept and were taken apart.</summary>
    public int Used { get; init; }

    /// <summary>Share of their variance that the parts explain.</summary>
    public double RSquared { get; init; }

    /// <summary>Parts, most used first.</summary>
    public IReadOnlyList<ConceptPartView> Parts { get; init; } = [];

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>A part of a concept.</summary>
/// <param name="Index">0-based, most used first.</param>
/// <param name="Usage">Share of the coefficients on the crops; the shares add up to 1.</param>
/// <param name="Cosine">How closely it comes and goes with the concept.</param>
/// <param name="Exemplars">Crops that show it best.</param>
public sealed record ConceptPartView(int Index, double Usage, double Cosine, IReadOnlyList<PatchView> Exemplars);

/// <summary>A rectangle of an image, in shares of what the network sees of it.</summary>
/// <param name="Sample">The image.</param>
/// <param name="Score">Coefficient.</param>
/// <param name="Left">Left edge.</param>
/// <param name="Top">Upper edge.</param>
/// <param name="Width">Width.</param>
/// <param name="Height">Height.</param>
public sealed record PatchView(int Sample, double Score, double Left, double Top, double Width, double Height);
