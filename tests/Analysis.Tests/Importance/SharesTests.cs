using Analysis.Importance;
using Analysis.Numerics;
using Xunit;

namespace Analysis.Tests.Importance;

public sealed class SharesTests
{
    // Concept 1 takes over where concept 0 fails; concept 2 goes with concept 0 and against the class; the last column is the rest.
    private static readonly float[] Rows = [3, 1, -1, 0.5f, 1, 3, -0.5f, 0.5f, 2, 2, -0.75f, 0.5f, 4, 0, -1.25f, 0.5f];

    [Fact]
    public void The_spread_of_one_concept_is_that_of_its_share()
    {
        var shares = Shares.Of(new DenseMatrix(4, 4, Array.ConvertAll(Rows, v => (double)v)), 3);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(shares.Spread[i], Shares.JointSpread(Rows, 3, [i]), 12);
        }
    }

    [Fact]
    public void The_effect_of_a_unit_is_found_for_coefficients_with_a_sign_too_which_add_up_to_nothing()
    {
        // Concept 0 is never negative and adds 2 a unit; concept 1 has a sign, a sum of zero, and takes 3 a unit; concept 2 never shows.
        double[] u = [1, -2, 0, 3, 1, 0, 0, 1, 0];
        var contributions = new DenseMatrix(3, 4, [2, 6, 0, 9, 6, -3, 0, 9, 0, -3, 0, 9]);
        Assert.Equal([2, -3, 0], Contributions.EffectOf(new DenseMatrix(3, 3, u), contributions));
    }

    [Fact]
    public void Concepts_that_take_turns_have_no_spread_together_and_those_that_go_against_each_other_have_less()
    {
        Assert.Equal(0, Shares.JointSpread(Rows, 3, [0, 1]), 12);
        // Means 2.5, 1.5 and -0.875; sums of the first and the last: 2, 0.5, 1.25, 2.75.
        Assert.Equal(Math.Sqrt(0.703125) / 4.875, Shares.JointSpread(Rows, 3, [0, 2]), 12);
        Assert.Equal(0, Shares.JointSpread([], 3, [0, 1]));
    }
}
