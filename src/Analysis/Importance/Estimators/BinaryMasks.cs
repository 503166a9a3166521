using Analysis.Numerics;

namespace Analysis.Importance.Estimators;

/// <summary>Masks that keep (1) or drop (0) each concept.</summary>
internal static class BinaryMasks
{
    private const int MostBits = 30;

    /// <summary>All 2^k masks where they are no more than asked for, which leaves nothing to chance; else fair coin flips.</summary>
    /// <param name="concepts">k.</param>
    /// <param name="count">Number of masks.</param>
    /// <param name="seed">Equal seeds give equal masks.</param>
    public static DenseMatrix Create(int concepts, int count, int seed)
    {
        if (concepts < MostBits && 1 << concepts <= count)
        {
            return All(concepts);
        }

        var random = new SplitMix64(unchecked((ulong)seed));
        var masks = new DenseMatrix(count, concepts);
        for (var i = 0; i < masks.Values.Length; i++)
        {
            masks.Values[i] = random.Next() >> 63;
        }

        return masks;
    }

    /// <summary>All masks; bit i of the row's number tells whether concept i is kept.</summary>
    public static DenseMatrix All(int concepts)
    {
        var masks = new DenseMatrix(1 << concepts, concepts);
        for (var row = 0; row < masks.Rows; row++)
        {
            for (var i = 0; i < concepts; i++)
            {
                masks[row, i] = (row >> i) & 1;
            }
        }

        return masks;
    }
}
