namespace Analysis.Atlas;

/// <summary>The atlas of a class none of whose images could be read.</summary>
public static class EmptyClass
{
    /// <summary>Creates it, with a note that says why it is empty.</summary>
    public static ClassResult Create(ClassDescription description) => new(
        new ClassAtlas
        {
            Class = description.Index,
            Name = description.Name,
            DisplayName = description.DisplayName,
            Label = description.Label,
            Concepts = [],
            Strategies = [],
            Embedding = "",
            Notes = ["None of its images could be read; the list of files left out gives the reasons."],
        },
        new ClassArrays
        {
            Sample = [],
            Layout = [],
            Strategy = [],
            Strongest = [],
            Predicted = [],
            Target = [],
            RunnerUp = [],
            Concepts = 0,
            Contributions = [],
            Against = [],
            MapHeight = 0,
            MapWidth = 0,
            MapScale = [],
            Maps = ReadOnlyMemory<byte>.Empty,
        },
        [],
        [],
        []);
}
