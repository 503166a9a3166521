using System.Buffers.Binary;

namespace Dashboard.Server.Services;

/// <summary>Writes point clouds in the binary form of docs/file-formats.md: a header, then one column after the other, little-endian.</summary>
internal sealed class PointCloud(int count)
{
    /// <summary>Kinds of outliers in the order of their index in the flags.</summary>
    private static readonly string[] Kinds = ["", "mislabelled", "confounded", "corrupted", "foreign", "duplicate", "rare"];

    public float[] X { get; } = new float[count];

    public float[] Y { get; } = new float[count];

    public int[] Sample { get; } = new int[count];

    public short[] Strategy { get; } = new short[count];

    public short[] Strongest { get; } = new short[count];

    public byte[] Flags { get; } = new byte[count];

    public float[] OutlierScore { get; } = new float[count];

    /// <summary>Bit 0: the label is known; bit 1: predicted as labelled; bits 2 to 4: kind of outlier.</summary>
    public static byte FlagsOf(bool known, bool correct, string kind) =>
        (byte)((known ? 1 : 0) | (known && correct ? 2 : 0) | (Math.Max(0, Array.IndexOf(Kinds, kind)) << 2));

    public byte[] Write()
    {
        var padding = (4 - (count & 3)) & 3;
        // The two 16-bit columns together keep the alignment; the flags are padded.
        var bytes = new byte[16 + (count * (4 + 4 + 4 + 2 + 2 + 1 + 4)) + padding];
        "CAPC"u8.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), 1);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), (uint)count);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), 0);
        var at = 16;
        Floats(X);
        Floats(Y);
        foreach (var value in Sample)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at), value);
            at += 4;
        }

        Shorts(Strategy);
        Shorts(Strongest);
        Flags.CopyTo(bytes.AsSpan(at));
        at += count + padding;
        Floats(OutlierScore);
        return bytes;

        void Floats(float[] values)
        {
            foreach (var value in values)
            {
                BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(at), value);
                at += 4;
            }
        }

        void Shorts(short[] values)
        {
            foreach (var value in values)
            {
                BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(at), value);
                at += 2;
            }
        }
    }
}
