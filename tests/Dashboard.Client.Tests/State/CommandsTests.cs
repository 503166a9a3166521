using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class CommandsTests
{
    [Theory]
    [InlineData("analyses/0123456789ab/atlas?tab=shared", "0123456789ab")]
    [InlineData("analyses/0123456789ab", "0123456789ab")]
    [InlineData("compare?analysis=0123456789ab", null)]
    [InlineData("", null)]
    [InlineData("analyses/", null)]
    public void The_analysis_is_read_from_the_address(string address, string? expected) => Assert.Equal(expected, Commands.AnalysisOf(address));

    [Fact]
    public void Every_word_has_to_occur_in_any_case_and_pages_of_the_analysis_come_first()
    {
        Assert.Equal(["Dark colours", "Colours as the system"], Commands.Find("DARK col", null).Select(command => command.Title));
        Assert.Equal(["Compare this analysis", "Compare methods and runs"], Commands.Find("compare", "abc").Select(command => command.Title));
        Assert.True(Commands.IsNamed(Commands.Find("all", null)[0], "ALL ana"));
        Assert.False(Commands.IsNamed(Commands.Find("start", null)[0], "start"));
        Assert.Empty(Commands.Find("dark zebra", "abc"));
    }

    [Fact]
    public void Without_words_everything_is_offered_and_without_an_analysis_none_of_its_pages()
    {
        Assert.Contains(Commands.Find("", "abc"), command => command.Target == "/analyses/abc/outliers");
        Assert.DoesNotContain(Commands.Find("", null), command => command.Target.Contains("/analyses/", StringComparison.Ordinal));
        Assert.Equal(Commands.Find("", "abc").Count, Commands.Find("", "abc").Select(command => command.Target).Distinct().Count());
    }
}
