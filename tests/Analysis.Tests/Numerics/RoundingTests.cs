using Analysis.Numerics;
using Xunit;

namespace Analysis.Tests.Numerics;

public sealed class RoundingTests
{
    [Theory]
    [InlineData(1.23456789012345e-5)]
    [InlineData(1.23456789012345e-6)]
    [InlineData(1.23456789012345e-7)]
    [InlineData(-9.87654321012345e-12)]
    [InlineData(4.44444444412345e-150)]
    [InlineData(0.123456789012345)]
    [InlineData(-98765432.1012345)]
    [InlineData(1.23456789012345e10)]
    [InlineData(1.23456789012345e21)]
    public void Numbers_that_differ_in_their_last_bits_become_the_same_number_at_every_size(double value)
    {
        var rounded = Rounding.Significant(value);
        Assert.Equal(rounded, Rounding.Significant(Math.BitIncrement(Math.BitIncrement(value))));
        Assert.Equal(rounded, Rounding.Significant(Math.BitDecrement(Math.BitDecrement(value))));
        Assert.InRange(Math.Abs((rounded - value) / value), 1e-13, 5e-10);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(-0.25)]
    [InlineData(1e-7)]
    [InlineData(2e15)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    public void Numbers_of_few_digits_and_those_that_are_none_stay_as_they_are(double value) => Assert.Equal(value, Rounding.Significant(value));
}
