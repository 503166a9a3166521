using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace Analysis.Tests.Repository;

/// <summary>Rules of the whole repository that no compiler checks.</summary>
public sealed partial class RepositoryRulesTests
{
    [Theory]
    [InlineData("Analysis", "")]
    [InlineData("Dashboard.Client", "")]
    [InlineData("Dashboard.Server", "Analysis,Dashboard.Client")]
    public void ProjectsReferToNothingElseOfOurs(string project, string allowed)
    {
        var file = XDocument.Load(Path.Combine(TestData.Repository, "src", project, project + ".csproj"));
        var references = file.Descendants("ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value)).Order(StringComparer.Ordinal);
        Assert.Equal(allowed, string.Join(',', references));
    }

    [Fact]
    public void TheEngineKnowsNeitherWebNorDatabase()
    {
        var file = XDocument.Load(Path.Combine(TestData.Repository, "src", "Analysis", "Analysis.csproj"));
        var packages = file.Descendants().Where(e => e.Name.LocalName is "PackageReference" or "FrameworkReference").Select(e => e.Attribute("Include")?.Value ?? "").ToList();
        Assert.Contains("TorchSharp", packages);
        Assert.DoesNotContain(packages, p => p.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal) || p.StartsWith("Microsoft.EntityFrameworkCore", StringComparison.Ordinal) || p == "MudBlazor");
    }

    [Fact]
    public void NoCallThatAbortsTheProcessIsMade()
    {
        var sources = Sources().ToList();
        Assert.True(sources.Count > 50, $"Only {sources.Count} source files were found.");
        var found = sources
            .SelectMany(path => File.ReadLines(path).Select((line, i) => (Path: path, Line: i + 1, Text: line)))
            .Where(l => !l.Text.TrimStart().StartsWith("//", StringComparison.Ordinal) && AbortingCall().IsMatch(l.Text))
            .Select(l => $"{Path.GetRelativePath(TestData.Repository, l.Path)}:{l.Line}: {l.Text.Trim()}");
        Assert.Empty(found);
    }

    [Theory]
    [InlineData("var c = a.matmul(b);", true)]
    [InlineData("var c = torch.matmul(a, b);", true)]
    [InlineData("var g = autograd.grad([y], [x]);", true)]
    [InlineData("var c = a.mm(b);", false)]
    [InlineData("autograd.backward([y], inputs: [x]);", false)]
    public void TheSearchForAbortingCallsFindsThem(string line, bool found) => Assert.Equal(found, AbortingCall().IsMatch(line));

    [Fact]
    public void TheReadmeNamesTheTwoCommands()
    {
        var lines = File.ReadAllLines(Path.Combine(TestData.Repository, "README.md")).Select(l => l.Trim()).ToList();
        Assert.Contains("dotnet run --project src/Dashboard.Server", lines);
        Assert.Contains("./test.sh", lines);
    }

    [Fact]
    public void LinksBetweenDocumentsLeadSomewhere()
    {
        var documents = Directory.EnumerateFiles(TestData.Repository, "*.md").Concat(
            Directory.EnumerateFiles(Path.Combine(TestData.Repository, "docs"), "*.md", SearchOption.AllDirectories)).ToList();
        Assert.Contains(documents, d => Path.GetFileName(d) == "architecture.md");
        var broken =
            from document in documents
            from Match link in Link().Matches(File.ReadAllText(document))
            let target = link.Groups[1].Value
            where !target.Contains("://", StringComparison.Ordinal)
            where !LeadsSomewhere(document, target)
            select $"{Path.GetRelativePath(TestData.Repository, document)}: {target}";
        Assert.Empty(broken);
    }

    private static bool LeadsSomewhere(string document, string target)
    {
        var parts = target.Split('#', 2);
        var path = parts[0].Length == 0 ? document : Path.Combine(Path.GetDirectoryName(document)!, parts[0]);
        return Path.Exists(path) && (parts.Length == 1 || Headings(path).Contains(parts[1]));
    }

    /// <summary>Headings as their addresses: lower case, spaces as hyphens, no other signs.</summary>
    private static IEnumerable<string> Headings(string path) => File.ReadLines(path).Where(l => l.StartsWith('#'))
        .Select(l => new string([.. l.TrimStart('#').Trim().ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_')]).Replace(' ', '-'));

    private static IEnumerable<string> Sources() =>
        Directory.EnumerateFiles(Path.Combine(TestData.Repository, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(p => !p.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal));

    [GeneratedRegex(@"[.\s(]matmul\s*\(|autograd\s*\.\s*grad\s*\(")]
    private static partial Regex AbortingCall();

    [GeneratedRegex(@"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}
