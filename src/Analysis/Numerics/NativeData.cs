using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>Direct access to the numbers of a tensor on the CPU.</summary>
internal static unsafe class NativeData
{
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
