using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class AtlasQueryTests
{
    private static readonly ClassTile[] Classes =
    [
        Samples.Class(0, "zebra", 0.95, outliers: 1, images: 30, strongest: [Samples.Tile(0, 0.7, "stripes")]) with { Labels = ["striped AND NOT grass", "savanna"] },
        Samples.Class(1, "Apple", 0.6, outliers: 4, confounded: 2, strategies: 3, images: 90, strongest: [Samples.Tile(3, 0.4, "red skin")]),
        Samples.Class(2, "mule", null, images: 60, strongest: [Samples.Tile(6, 0.9)]),
    ];

    [Theory]
    [InlineData("", "Apple,mule,zebra")]
    [InlineData("LE", "Apple,mule")]
    [InlineData("stripes", "zebra")]
    [InlineData("skin red", "Apple")]
    [InlineData("GRASS", "zebra")]
    [InlineData("savanna zeb", "zebra")]
    [InlineData("nothing", "")]
    public void Search_finds_classes_by_their_names_and_those_and_labels_of_their_concepts(string search, string expected) => Assert.Equal(expected, Apply(new AtlasQuery(search)));

    [Theory]
    [InlineData("name", "Apple,mule,zebra")]
    [InlineData("accuracy", "Apple,zebra,mule")]
    [InlineData("images", "Apple,mule,zebra")]
    [InlineData("outliers", "Apple,zebra,mule")]
    [InlineData("concentration", "mule,zebra,Apple")]
    [InlineData("strategies", "Apple,zebra,mule")]
    [InlineData("no such order", "Apple,mule,zebra")]
    public void Orders(string sort, string expected) => Assert.Equal(expected, Apply(new AtlasQuery(Sort: sort)));

    [Theory]
    [InlineData("outliers", "Apple,zebra")]
    [InlineData("shortcuts", "Apple")]
    [InlineData("weak", "Apple")]
    [InlineData("strategies", "Apple")]
    public void Filters(string filter, string expected) => Assert.Equal(expected, Apply(new AtlasQuery(Filter: filter)));

    private static string Apply(AtlasQuery query) => string.Join(',', query.Apply(Classes).Select(c => c.Name));
}
