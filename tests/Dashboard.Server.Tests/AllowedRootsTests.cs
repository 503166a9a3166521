using Dashboard.Client.Contracts;
using Dashboard.Server.Services;
using Xunit;

namespace Dashboard.Server.Tests;

public sealed class AllowedRootsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("atlas-roots-").FullName;
    private readonly AllowedRoots _roots;

    public AllowedRootsTests()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "allowed", "inside"));
        Directory.CreateDirectory(Path.Combine(_folder, "allowed-not"));
        Directory.CreateDirectory(Path.Combine(_folder, "secret"));
        File.WriteAllText(Path.Combine(_folder, "secret", "key"), "x");
        File.CreateSymbolicLink(Path.Combine(_folder, "allowed", "link"), Path.Combine(_folder, "secret", "key"));
        Directory.CreateSymbolicLink(Path.Combine(_folder, "allowed", "up"), "../secret");
        File.CreateSymbolicLink(Path.Combine(_folder, "allowed", "loop"), "loop");
        Directory.CreateSymbolicLink(Path.Combine(_folder, "allowed", "good"), "inside");
        _roots = new AllowedRoots([Path.Combine(_folder, "allowed")], []);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("allowed/../secret/key")]
    [InlineData("secret/key")]
    [InlineData("allowed-not")]
    [InlineData("allowed/link")]
    [InlineData("allowed/up/key")]
    [InlineData("allowed/inside/../../secret")]
    [InlineData("")]
    public void What_lies_outside_is_refused_however_it_is_written(string path) =>
        Assert.Contains("outside the folders", Assert.Throws<ServiceException>(() => _roots.Require(Path.Combine(_folder, path))).Message);

    [Fact]
    public void A_loop_of_links_and_a_missing_file_are_named() =>
        Assert.All(new[] { "allowed/loop", "allowed/none" }, path =>
            Assert.Contains("nothing at", Assert.Throws<ServiceException>(() => _roots.Require(Path.Combine(_folder, path))).Message));

    [Fact]
    public void A_link_inside_leads_to_its_target() =>
        Assert.Equal(Path.Combine(_folder, "allowed", "inside"), _roots.Require(Path.Combine(_folder, "allowed", "good")));

    [Theory]
    [InlineData("images")]
    [InlineData("../images")]
    [InlineData("/a\0b")]
    public void A_path_that_is_not_full_or_not_a_path_is_refused(string path) => Assert.Throws<ServiceException>(() => _roots.Require(path));
}
