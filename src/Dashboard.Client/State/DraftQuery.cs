using System.Globalization;
using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>How a concept is being defined, as in the address of the page; tagged images come from the <see cref="TagBasket"/>.</summary>
/// <param name="From">classes, samples, attribute, region, concept or neuron.</param>
/// <param name="Classes">Chosen classes by index.</param>
/// <param name="Attribute">Column.</param>
/// <param name="Value">Value of the column.</param>
/// <param name="Unit">Concept or channel.</param>
/// <param name="Percent">Share of the images with the largest activation that count, in percent.</param>
public sealed record DraftQuery(string From, IReadOnlyList<int> Classes, string? Attribute, string? Value, int? Unit, double Percent)
{
    /// <summary>Share that counts where none is chosen, in percent.</summary>
    public const double DefaultPercent = 5;

    /// <summary>Ways to say a concept.</summary>
    public static IReadOnlyList<(string Value, string Text, string Why)> Sources { get; } =
    [
        ("classes", "Classes", "The images of some classes show it, all others do not."),
        ("samples", "Tagged images", "You say of images whether they show it."),
        ("attribute", "Attribute", "A column of the data set's attributes.csv says which images show it."),
        ("region", "Places in images", "You draw where images show it."),
        ("concept", "Discovered concept", "The images that activate a discovered concept most show it."),
        ("neuron", "Neuron", "The images that activate a channel of the layer most show it."),
    ];

    /// <summary>Shares that can be chosen, in percent.</summary>
    public static IReadOnlyList<double> Percents { get; } = [1, 2, 5, 10, 25, 50];

    /// <summary>From the address; what is not possible becomes the default.</summary>
    public static DraftQuery Of(string? from, string? classes, string? attribute, string? value, int? unit, double? percent) => new(
        Sources.Any(s => s.Value == from) ? from! : "classes",
        Indices(classes),
        string.IsNullOrEmpty(attribute) ? null : attribute,
        string.IsNullOrEmpty(value) ? null : value,
        unit,
        percent is > 0 and <= 50 ? percent.Value : DefaultPercent);

    /// <summary>The classes of an address with one added or taken away; null for none.</summary>
    public static string? Toggle(string? classes, int index)
    {
        var before = Indices(classes);
        return (before.Contains(index) ? before.Where(c => c != index) : before.Append(index).Order()).ToList() is { Count: > 0 } chosen ? string.Join(',', chosen) : null;
    }

    /// <summary>True where enough is said to ask which images are meant.</summary>
    public bool IsSaid(IReadOnlyList<SampleTile> tagged) => From switch
    {
        "classes" => Classes.Count > 0,
        "samples" or "region" => tagged.Count > 0,
        "attribute" => Attribute is not null,
        _ => Unit is not null,
    };

    /// <summary>What is said.</summary>
    /// <param name="name">Name; may be empty.</param>
    /// <param name="atlas">Classes of the analysis.</param>
    /// <param name="tagged">Tagged images.</param>
    /// <param name="tags">What was said of them, by row.</param>
    public ConceptDraft Draft(string name, AtlasView atlas, IReadOnlyList<SampleTile> tagged, IReadOnlyDictionary<int, SampleTag> tags)
    {
        var draft = new ConceptDraft { Name = name, Source = From };
        return From switch
        {
            "classes" => draft with { Classes = [.. atlas.Classes.Where(c => Classes.Contains(c.Index)).Select(c => c.Name)] },
            "samples" => draft with { Positives = Paths(t => t.Shows), Negatives = Paths(t => !t.Shows) },
            "region" => draft with
            {
                Regions = [.. tagged.Where(t => tags.GetValueOrDefault(t.Index) is { Shows: true, Place: not null })
                    .Select(t => (t.Path, tags[t.Index].Place!)).Select(p => new DraftRegion(p.Path, p.Item2.Left, p.Item2.Top, p.Item2.Width, p.Item2.Height))],
                Negatives = Paths(t => !t.Shows),
            },
            "attribute" => draft with { Attribute = Attribute, Value = Value },
            _ => draft with { Unit = Unit, Share = Percent / 100 },
        };

        IReadOnlyList<string> Paths(Func<SampleTag, bool> which) => [.. tagged.Where(t => tags.GetValueOrDefault(t.Index) is { } tag && which(tag)).Select(t => t.Path)];
    }

    /// <summary>How a kept concept was said, in words.</summary>
    public static string InWords(ConceptDraft draft) => draft.Source switch
    {
        "classes" => draft.Classes.Count == 1 ? $"images of the class {draft.Classes[0]}" : $"images of {Format.Count(draft.Classes.Count)} classes: {Join(draft.Classes)}",
        "samples" => $"{Format.Count(draft.Positives.Count, "image")} tagged as showing it, {(draft.Negatives.Count == 0 ? "all others not" : $"{Format.Count(draft.Negatives.Count)} as not")}",
        "attribute" => draft.Value is null ? $"the attribute {draft.Attribute}" : $"images whose {draft.Attribute} is {draft.Value}",
        "region" => $"a place in {Format.Count(draft.Regions.Count, "image")}",
        "concept" => $"the {Format.Percent(draft.Share)} of the images that activate a discovered concept most",
        "neuron" => $"the {Format.Percent(draft.Share)} of the images that activate channel {draft.Unit} most",
        _ => "",
    };

    private static string Join(IReadOnlyList<string> names) => string.Join(", ", names.Take(4)) + (names.Count > 4 ? ", …" : "");

    private static IReadOnlyList<int> Indices(string? classes) =>
        [.. (classes ?? "").Split(',').Select(c => int.TryParse(c, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : -1).Where(c => c >= 0).Distinct().Order()];
}
