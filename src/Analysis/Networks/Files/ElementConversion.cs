using System.Runtime.InteropServices;

namespace Analysis.Networks.Files;

/// <summary>Conversion of stored elements to float32.</summary>
internal static class ElementConversion
{
    /// <summary>Converts little-endian elements; the source length is the destination's times the element size.</summary>
    public static void ToFloats(ElementType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        switch (type)
        {
            case ElementType.Float32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case ElementType.Float16:
                Convert(MemoryMarshal.Cast<byte, Half>(source), destination, v => (float)v);
                break;
            case ElementType.BFloat16:
                Convert(MemoryMarshal.Cast<byte, ushort>(source), destination, v => BitConverter.UInt32BitsToSingle((uint)v << 16));
                break;
            case ElementType.Float64:
                Convert(MemoryMarshal.Cast<byte, double>(source), destination, v => (float)v);
                break;
            case ElementType.Int64:
                Convert(MemoryMarshal.Cast<byte, long>(source), destination, v => v);
                break;
            case ElementType.UInt64:
                Convert(MemoryMarshal.Cast<byte, ulong>(source), destination, v => v);
                break;
            case ElementType.Int32:
                Convert(MemoryMarshal.Cast<byte, int>(source), destination, v => v);
                break;
            case ElementType.UInt32:
                Convert(MemoryMarshal.Cast<byte, uint>(source), destination, v => v);
                break;
            case ElementType.Int16:
                Convert(MemoryMarshal.Cast<byte, short>(source), destination, v => v);
                break;
            case ElementType.UInt16:
                Convert(MemoryMarshal.Cast<byte, ushort>(source), destination, v => v);
                break;
            case ElementType.Int8:
                Convert(MemoryMarshal.Cast<byte, sbyte>(source), destination, v => v);
                break;
            default:
                Convert(source, destination, v => v);
                break;
        }
    }

    private static void Convert<T>(ReadOnlySpan<T> source, Span<float> destination, Func<T, float> convert)
    {
        for (var i = 0; i < destination.Length; i++)
        {
            destination[i] = convert(source[i]);
        }
    }
}
