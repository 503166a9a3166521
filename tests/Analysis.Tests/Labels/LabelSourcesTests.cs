using Analysis.Labels;
using Xunit;

namespace Analysis.Tests.Labels;

public sealed class LabelSourcesTests
{
    [Fact]
    public void InnerNodesOfATreeAreUnionsOfTheirClasses()
    {
        const string tree = """{"name":"thing","children":[{"name":"animal","children":[{"name":"dog"},{"id":"n01","name":"puss"}]},{"name":"vehicle","children":[{"name":"car"}]},{"name":"nothing here"}]}""";
        var found = LabelSources.Hierarchy(tree, [0, 1, 2, 3, -1], ["dog", "cat", "car", "tree"], ["n00", "n01", "n02", "n03"]);
        Assert.Equal(["animal", "thing"], found.Select(f => f.Concept.Name));
        Assert.Equal([true, true, false, false, false], found[0].Shown);
        Assert.Equal([true, true, true, false, false], found[1].Shown);
    }

    [Theory]
    [InlineData("[1,2")]
    [InlineData("[]")]
    [InlineData("""{"name":"x","children":[{"name":"unknown"}]}""")]
    [InlineData("""{"children":[]}""")]
    public void AnythingElseIsRefusedInWords(string json) =>
        Assert.Throws<AnalysisException>(() => LabelSources.Hierarchy(json, [0], ["dog"], ["n00"]));

    [Fact]
    public void ATooDeepTreeIsRefused() =>
        Assert.Throws<AnalysisException>(() => LabelSources.Hierarchy(string.Concat(Enumerable.Repeat("""{"name":"x","children":[""", 1000)), [0], ["dog"], ["n00"]));

    [Fact]
    public void ColumnsBecomeConceptsByTheirValues()
    {
        var csv = "path,striped,colour,size,artefact mark\r\n" + string.Join("\r\n", Enumerable.Range(0, 16).Select(i => $"a/{i}.png,{(i % 2 == 0 ? "yes" : "no")},\"{(i < 8 ? "deep, red" : "blue")}\",{i},{(i == 3 ? 1 : 0)}"));
        var found = LabelSources.Attributes(csv, [.. Enumerable.Range(0, 16).Select(i => $"a/{i}.png")]);
        Assert.Equal(["striped", "colour blue", "colour deep, red", "low size", "high size", "artefact mark"], found.Select(f => f.Concept.Name).Order(Comparer<string>.Create((a, b) => Order(a).CompareTo(Order(b)))));
        Assert.Equal([true, false, true], found[0].Shown[..3]);
        Assert.True(found.Single(f => f.Concept.Name == "artefact mark").Concept.Artefact);
        Assert.Equal(4, found.Single(f => f.Concept.Name == "low size").Shown.Count(s => s));

        static int Order(string name) => Array.IndexOf(["striped", "colour blue", "colour deep, red", "low size", "high size", "artefact mark"], name);
    }

    [Theory]
    [InlineData("yes,no,,TRUE,0", AttributeKind.YesNo, false)]
    [InlineData("1,2,3,,2", AttributeKind.Numbers, true)]
    [InlineData("1,2,3,4,5,6,7,8,9,10,11,", AttributeKind.Numbers, false)]
    [InlineData("1.5,-2e3,none", AttributeKind.Words, true)]
    [InlineData("1,2,NaN", AttributeKind.Words, true)]
    [InlineData("red,blue,", AttributeKind.Words, true)]
    public void ValuesAreJudgedInOnePlace(string values, AttributeKind kind, bool levels)
    {
        string?[] column = [.. values.Split(','), null];
        Assert.Equal(kind, AttributeValues.KindOf(column));
        Assert.Equal(levels, AttributeValues.HasLevels(column));
        // Labels follow: levels are concepts of their own, many numbers give quarters.
        var names = LabelSources.Column("v", column, "attribute", artefact: false).Select(c => c.Concept.Name).ToList();
        Assert.Equal(kind == AttributeKind.YesNo, names is ["v"]);
        Assert.Equal(kind == AttributeKind.Numbers && !levels, names is ["low v", "high v"]);
    }

    [Theory]
    [InlineData("name,striped\na,1")]
    [InlineData("path\na/0.png")]
    [InlineData("path,striped\nother.png,1")]
    [InlineData("")]
    public void ATableWithoutMatchingPathsIsRefused(string csv) => Assert.Throws<AnalysisException>(() => LabelSources.Attributes(csv, ["a/0.png"]));
}
