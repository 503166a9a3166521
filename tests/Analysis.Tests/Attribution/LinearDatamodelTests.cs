using Analysis.Attribution.Retraining;
using Analysis.Numerics;
using Xunit;

namespace Analysis.Tests.Attribution;

public sealed class LinearDatamodelTests
{
    private const int Training = 60;
    private const int Targets = 10;

    /// <summary>Outputs are exactly the sums of known influences, with and without noise.</summary>
    [Fact]
    public void The_true_influences_predict_perfectly_and_random_ones_not_at_all()
    {
        var random = new SplitMix64(1);
        var influence = Random(ref random, Training, Targets);
        var halves = LinearDatamodel.Halves(Training, 30, 4);
        var outputs = new DenseMatrix(30, Targets);
        for (var s = 0; s < 30; s++)
        {
            for (var t = 0; t < Targets; t++)
            {
                outputs[s, t] = halves[s].Sum(i => influence[i, t]);
            }
        }

        var perfect = LinearDatamodel.Score(influence, halves, outputs);
        Assert.Equal(1, perfect.Score, 12);
        Assert.Equal(1, perfect.Low, 12);
        var chance = LinearDatamodel.Score(Random(ref random, Training, Targets), halves, outputs);
        Assert.InRange(chance.Score, -0.25, 0.25);
        Assert.True(chance.Low < chance.Score && chance.Score < chance.High);

        // Of a single target only the subsets are uncertain: about 1/√30 either way where nothing is predicted.
        DenseMatrix One(DenseMatrix of) => new(of.Rows, 1, of.Column(0));
        var single = LinearDatamodel.Score(One(Random(ref random, Training, Targets)), halves, One(outputs));
        Assert.InRange(single.High - single.Low, 0.3, 1.2);
        var turned = influence.Clone();
        Vectors.Scale(turned.Values, -1);
        Assert.Equal(-1, LinearDatamodel.Score(turned, halves, outputs).Score, 12);
    }

    [Fact]
    public void Halves_are_halves_and_do_not_depend_on_their_number()
    {
        var many = LinearDatamodel.Halves(101, 12, 7);
        Assert.All(many, h => Assert.Equal(50, h.Distinct().Count()));
        Assert.All(many, h => Assert.Equal(h.Order(), h));
        Assert.Equal(many.Take(3), LinearDatamodel.Halves(101, 3, 7));
        Assert.NotEqual(many[0], many[1]);
        Assert.InRange(many.Average(h => h.Count(i => i < 50)), 20, 30);
    }

    [Fact]
    public void The_margin_of_a_sure_answer_keeps_its_size()
    {
        Assert.Equal(Math.Log(0.7 / 0.3), LinearDatamodel.Margin([(float)Math.Log(0.7), (float)Math.Log(0.1), (float)Math.Log(0.2)], 0), 1e-6);
        Assert.Equal(200 - Math.Log(2), LinearDatamodel.Margin([200, 0, 0], 0), 1e-6);
        Assert.Equal(-200, LinearDatamodel.Margin([200, 0, -100], 1), 1e-6);
    }

    private static DenseMatrix Random(ref SplitMix64 random, int rows, int columns)
    {
        var matrix = new DenseMatrix(rows, columns);
        foreach (ref var value in matrix.Values.AsSpan())
        {
            value = random.NextNormal();
        }

        return matrix;
    }
}
