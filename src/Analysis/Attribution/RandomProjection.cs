using System.Numerics;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>Entries of a random projection.</summary>
public enum ProjectionEntries
{
    /// <summary>+1 and −1 with equal probability.</summary>
    Rademacher,

    /// <summary>Standard normal.</summary>
    Normal,
}

/// <summary>
/// A random matrix of any number of rows and <see cref="Dimension"/> columns that is never held whole: any block of rows of any
/// parameter is made anew from (seed, parameter, block), always with the same entries, whatever the framework's version, the number
/// of threads and the order in which blocks are asked for.
/// </summary>
/// <param name="seed">Equal seeds give equal projections.</param>
/// <param name="dimension">Number of columns k.</param>
/// <param name="entries">What the entries are.</param>
public sealed class RandomProjection(long seed, int dimension, ProjectionEntries entries)
{
    /// <summary>Rows of a block.</summary>
    public const int BlockRows = 1024;

    // The eight signs that a byte stands for, as floats one after the other.
    private static readonly float[] Signs = MakeSigns();

    /// <summary>Number of columns.</summary>
    public int Dimension => dimension;

    /// <summary>Number of blocks for a number of rows.</summary>
    public static int Blocks(long rows) => checked((int)((rows + BlockRows - 1) / BlockRows));

    /// <summary>Makes a block: rows <paramref name="block"/>·<see cref="BlockRows"/> and following.</summary>
    /// <param name="parameter">Name of the parameter.</param>
    /// <param name="block">Number of the block.</param>
    /// <param name="rows">Rows wanted, at most <see cref="BlockRows"/>.</param>
    /// <param name="type">float32 or float64.</param>
    /// <param name="device">Where it shall lie; entries are made on the CPU.</param>
    /// <returns>rows × k.</returns>
    public Tensor Block(string parameter, int block, int rows, ScalarType type, Device device)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, BlockRows);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var values = empty([rows, dimension], ScalarType.Float32);
        var start = Start(parameter, block);
        // One stream for each row: rows can be made side by side.
        unsafe
        {
            var pointer = (nint)NativeData.Pointer<float>(values);
            Parallel.For(0, (rows + 63) / 64, part =>
            {
                for (var row = part * 64; row < Math.Min(rows, (part + 1) * 64); row++)
                {
                    Fill(new Span<float>((float*)pointer + ((long)row * dimension), dimension), start + ((ulong)row * 0xD1342543DE82EF95UL), entries);
                }
            });
        }

        return values.to(type).to(device).MoveToOuterDisposeScope();
    }

    private ulong Start(string parameter, int block)
    {
        // FNV-1a over the name, then mixed with seed and block so that neighbours have nothing in common.
        var hash = 14695981039346656037UL;
        foreach (var letter in parameter)
        {
            hash = (hash ^ letter) * 1099511628211UL;
        }

        var mixer = new SplitMix64(hash ^ BitOperations.RotateLeft((ulong)seed * 0x9E3779B97F4A7C15UL, 17));
        var first = mixer.Next();
        return new SplitMix64(first ^ ((ulong)(uint)block * 0xA24BAED4963EE407UL)).Next();
    }

    private static void Fill(Span<float> row, ulong start, ProjectionEntries entries)
    {
        var random = new SplitMix64(start);
        if (entries == ProjectionEntries.Normal)
        {
            for (var i = 0; i < row.Length; i += 2)
            {
                // Box and Muller's pair, both used.
                var radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
                var (sine, cosine) = Math.SinCos(2 * Math.PI * random.NextDouble());
                row[i] = (float)(radius * cosine);
                if (i + 1 < row.Length)
                {
                    row[i + 1] = (float)(radius * sine);
                }
            }

            return;
        }

        var place = 0;
        while (place < row.Length)
        {
            var word = random.Next();
            for (var b = 0; b < 8 && place < row.Length; b++, place += 8, word >>= 8)
            {
                var eight = Signs.AsSpan((int)(word & 255) * 8, Math.Min(8, row.Length - place));
                eight.CopyTo(row[place..]);
            }
        }
    }

    private static float[] MakeSigns()
    {
        var table = new float[256 * 8];
        for (var value = 0; value < 256; value++)
        {
            for (var bit = 0; bit < 8; bit++)
            {
                table[(value * 8) + bit] = (value >> bit & 1) == 0 ? 1 : -1;
            }
        }

        return table;
    }
}
