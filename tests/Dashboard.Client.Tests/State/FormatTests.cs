using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class FormatTests
{
    [Theory]
    [InlineData(0.66, "66%")]
    [InlineData(0.004, "0.4%")]
    [InlineData(-0.05, "−5%")]
    [InlineData(-0.00001, "0%")]
    [InlineData(0.0002, "<0.1%")]
    [InlineData(0, "0%")]
    [InlineData(1, "100%")]
    [InlineData(double.NaN, "unknown")]
    public void Shares_read_as_percent(double share, string expected) => Assert.Equal(expected, Format.Percent(share));

    [Theory]
    [InlineData(0, "0 s")]
    [InlineData(0.4, "0.4 s")]
    [InlineData(42.2, "42 s")]
    [InlineData(190, "3 min 10 s")]
    [InlineData(120, "2 min")]
    [InlineData(7500, "2 h 5 min")]
    public void Durations_use_the_fitting_unit(double seconds, string expected) => Assert.Equal(expected, Format.Duration(seconds));

    [Theory]
    [InlineData(3, "a few seconds")]
    [InlineData(31, "about 35 s")]
    [InlineData(61, "about 2 min")]
    public void Time_left_is_rounded_up_so_that_it_does_not_flicker(double seconds, string expected) => Assert.Equal(expected, Format.Left(seconds));

    [Theory]
    [InlineData(412.4, "image", "412 images/s")]
    [InlineData(3.44, "class", "3.4 classes/s")]
    [InlineData(0.1, "class", "6.0 classes/min")]
    public void Rates_name_their_unit(double rate, string unit, string expected) => Assert.Equal(expected, Format.Rate(rate, unit));

    [Theory]
    [InlineData(10, "just now")]
    [InlineData(300, "5 min ago")]
    [InlineData(7300, "2 h ago")]
    [InlineData(90000, "yesterday")]
    [InlineData(300000, "3 days ago")]
    [InlineData(30 * 86400, "1 Nov 2026")]
    public void Moments_are_relative_while_near(double secondsAgo, string expected)
    {
        var now = new DateTimeOffset(2026, 12, 1, 12, 0, 0, TimeSpan.Zero);
        Assert.Equal(expected, Format.Ago(now.AddSeconds(-secondsAgo), now));
    }

    [Fact]
    public void Counts_agree_with_their_noun()
    {
        Assert.Equal("1 image", Format.Count(1, "image"));
        Assert.Equal("1,300 images", Format.Count(1300, "image"));
        Assert.Equal("2 strategies", Format.Count(2, "strategy", "strategies"));
    }
}
