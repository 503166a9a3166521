using Analysis.Concepts;
using Analysis.Visualization;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Visualization;

/// <summary>Maps of a concept whose place in the layer is known.</summary>
public sealed class AttributionMapTests
{
    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(1, 1, 4)]
    public void The_fast_map_shows_the_concept_where_it_is_and_leaves_out_weak_places(int concept, int row, int column)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();

        // One channel a concept: strong at one place of 6×6; elsewhere weak, a little stronger from place to place.
        var values = new float[72];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = 0.1f + (0.001f * (i % 36));
        }

        values[7] = 3;
        values[36 + 10] = 2;
        var activation = tensor(values, [1, 2, 6, 6]);
        using var encoder = new ContrastEncoder(eye(2, dtype: ScalarType.Float64), zeros(2, ScalarType.Float64));
        var map = AttributionMaps.Fast(activation, encoder, concept, 48, 48);
        Assert.Equal([48L, 48], map.shape);
        Assert.Equal(map.max().item<float>(), map[(8 * row) + 4, (8 * column) + 4].item<float>());

        // Above all of the background; the strongest of that is kept in the lowest row, and nothing between the two.
        Assert.True(map.max().item<float>() > 0.2f);
        Assert.Equal(0, map[12, (8 * (5 - column)) + 4].item<float>());
        Assert.True(map.narrow(0, 24, 4).max().item<float>() < 0.05f);
    }
}
