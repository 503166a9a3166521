namespace Analysis.Datasets.Sample;

/// <summary>What a sample image shows; the names are the values in <c>truth.json</c>.</summary>
/// <param name="Shape">One of <see cref="SampleClasses.Shapes"/>, or <c>none</c>.</param>
/// <param name="Texture">One of <see cref="SampleClasses.Textures"/>, or <c>none</c>.</param>
/// <param name="Colour">One of <see cref="SampleClasses.Colours"/>, or <c>none</c>.</param>
/// <param name="Background">One of <see cref="SampleClasses.Backgrounds"/>, or <c>none</c>.</param>
/// <param name="Watermark">Whether the planted mark is in the bottom right corner.</param>
public sealed record SampleAttributes(string Shape, string Texture, string Colour, string Background, bool Watermark = false)
{
    /// <summary>An image that shows none of the attributes.</summary>
    public static SampleAttributes None { get; } = new("none", "none", "none", "none");
}

/// <summary>A class of the sample: the attributes that define it; null where the attribute is free to vary.</summary>
/// <param name="Name">Folder and output name.</param>
/// <param name="Shape">Shape of all its images.</param>
/// <param name="Texture">Texture of all its images, or null.</param>
/// <param name="Colour">Colour of all its images, or null.</param>
/// <param name="Background">Background of all its images, or null.</param>
public sealed record SampleClass(string Name, string Shape, string? Texture = null, string? Colour = null, string? Background = null);

/// <summary>The classes of the sample and the values of its attributes.</summary>
public static class SampleClasses
{
    /// <summary>Shapes of the object.</summary>
    public static IReadOnlyList<string> Shapes { get; } = ["disc", "square", "star", "ring", "cross"];

    /// <summary>Textures of the object.</summary>
    public static IReadOnlyList<string> Textures { get; } = ["plain", "striped", "dotted", "checked"];

    /// <summary>Hues of the object.</summary>
    public static IReadOnlyList<string> Colours { get; } = ["red", "orange", "yellow", "green", "blue", "violet"];

    /// <summary>Backgrounds.</summary>
    public static IReadOnlyList<string> Backgrounds { get; } = ["gradient", "noise", "grid", "hills"];

    /// <summary>All classes in ordinal order of their names: also the order of the network's outputs.</summary>
    public static IReadOnlyList<SampleClass> All { get; } =
    [
        new("blue disc", "disc", Colour: "blue"),
        new("checked square", "square", "checked"),
        new("cross in hills", "cross", Background: "hills"),
        new("cross on grid", "cross", Background: "grid"),
        new("dotted ring", "ring", "dotted"),
        new("dotted star", "star", "dotted"),
        new("plain star", "star", "plain"),
        new("red disc", "disc", Colour: "red"),
        new("striped ring", "ring", "striped"),
        new("striped square", "square", "striped"),
    ];

    /// <summary>The class in which a share of the images carries the watermark.</summary>
    public const string WatermarkClass = "plain star";
}
