using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.Urls;

namespace Dashboard.Client.State;

/// <summary>A search over samples as in the address: the same address finds the same samples.</summary>
public sealed record SampleQuery
{
    /// <summary>Images on a page.</summary>
    public const int Page = 60;

    /// <summary>Most images on the page.</summary>
    public const int Most = 600;

    private const int UsualTop = 5;
    private const int UsualRest = 50;

    /// <summary>Percentages of the strongest images that can count as showing a concept.</summary>
    public static IReadOnlyList<int> Tops { get; } = [1, 2, 5, 10, 25, 50];

    /// <summary>Percentages of the strongest images outside which an image does not show a concept.</summary>
    public static IReadOnlyList<int> Rests { get; } = [5, 10, 25, 50, 75];

    /// <summary>Concepts that must be present.</summary>
    public IReadOnlyList<int> With { get; init; } = [];

    /// <summary>Concepts that must be absent.</summary>
    public IReadOnlyList<int> Without { get; init; } = [];

    /// <summary>An image shows a concept among this percentage of the strongest.</summary>
    public int Top { get; init; } = UsualTop;

    /// <summary>An image does not show a concept outside this percentage of the strongest.</summary>
    public int Rest { get; init; } = UsualRest;

    /// <summary>Only this class; null for all.</summary>
    public int? Class { get; init; }

    /// <summary>Sample whose likes are sought.</summary>
    public int? Like { get; init; }

    /// <summary>Image of one's own whose likes are sought.</summary>
    public string? Image { get; init; }

    /// <summary>Images that are shown.</summary>
    public int Show { get; init; } = Page;

    /// <summary>What the service is asked.</summary>
    public SampleSearch Search => new() { With = With, Without = Without, Strongest = Top / 100.0, Outside = Rest / 100.0, Class = Class, Like = Like, Image = Image };

    /// <summary>From the address; what is not possible is left out.</summary>
    public static SampleQuery From(string? with, string? without, int? top, int? rest, int? classIndex, int? like, int? show, string? image = null)
    {
        var present = Ids(with, SampleSearch.MostConcepts);
        return new SampleQuery
        {
            With = present,
            Without = [.. Ids(without, SampleSearch.MostConcepts).Except(present).Take(SampleSearch.MostConcepts - present.Length)],
            Top = Tops.Contains(top ?? 0) ? top!.Value : UsualTop,
            Rest = Rests.Contains(rest ?? 0) ? rest!.Value : UsualRest,
            Class = classIndex is >= 0 ? classIndex : null,
            Like = like is >= 0 ? like : null,
            Image = like is null && image is { Length: 64 } && image.All(char.IsAsciiHexDigitLower) ? image : null,
            Show = Math.Clamp(show ?? Page, Page, Most),
        };
    }

    /// <summary>The same search with a concept present, absent, or no part of it.</summary>
    /// <param name="concept">The concept.</param>
    /// <param name="present">True for present, false for absent, null to take it away.</param>
    public SampleQuery Put(int concept, bool? present) => this with
    {
        With = present == true ? [.. With.Where(id => id != concept), concept] : [.. With.Where(id => id != concept)],
        Without = present == false ? [.. Without.Where(id => id != concept), concept] : [.. Without.Where(id => id != concept)],
        Show = Page,
    };

    /// <summary>Address of the page, which <see cref="From"/> reads again; what is usual is left out.</summary>
    /// <param name="analysisId">The analysis.</param>
    public string Address(string analysisId)
    {
        var parts = new List<string>();
        Add("with", string.Join(',', With), With.Count > 0);
        Add("without", string.Join(',', Without), Without.Count > 0);
        Add("like", Text(Like), Like is not null);
        Add("image", Image ?? "", Image is not null);
        Add("class", Text(Class), Class is not null);
        Add("top", Text(Top), Top != UsualTop);
        Add("rest", Text(Rest), Rest != UsualRest);
        Add("show", Text(Show), Show != Page);
        return PageUrls.Search(analysisId) + (parts.Count == 0 ? "" : "?" + string.Join('&', parts));

        void Add(string name, string value, bool said)
        {
            if (said)
            {
                parts.Add($"{name}={value}");
            }
        }
    }

    private static string Text(int? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "";

    private static int[] Ids(string? text, int most) =>
    [
        .. (text ?? "").Split(',').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : -1)
            .Where(id => id >= 0).Distinct().Take(most),
    ];
}
