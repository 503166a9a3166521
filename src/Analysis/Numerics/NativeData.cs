using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>Direct access to the numbers of a tensor on the CPU.</summary>
internal static unsafe class NativeData
{
    /// <summary>
    /// A matrix whose numbers lie where libtorch would put them. A tensor made straight from a managed array keeps the array's
    /// address, which may be any multiple of 8; products of matrices then differ in the last bits from one run to the next.
    /// </summary>
    /// <param name="values">Entries, row by row.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <returns>rows×columns float64 on the CPU.</returns>
    public static Tensor Matrix(double[] values, int rows, int columns)
    {
        using var moving = tensor(values, [rows, columns], ScalarType.Float64);
        return moving.clone();
    }

    /// <summary>Address of the first entry. The tensor must stay alive while it is used.</summary>
    /// <typeparam name="T">The tensor's element type.</typeparam>
    /// <param name="tensor">Contiguous, on the CPU, not empty.</param>
    public static T* Pointer<T>(Tensor tensor)
        where T : unmanaged
    {
        if (!tensor.is_contiguous() || tensor.device.type != TorchSharp.DeviceType.CPU || tensor.element_size() != sizeof(T))
        {
            throw new ArgumentException("A contiguous tensor of the element type on the CPU is expected.", nameof(tensor));
        }

        // A span counts in 32 bits; one entry is enough to know where the numbers are. They do not move: libtorch owns them.
        using var flat = tensor.view(-1);
        using var first = flat.narrow(0, 0, 1);
        return (T*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}
