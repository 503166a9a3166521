using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>Copies tensors into managed memory as a block; TorchSharp's own accessors go element by element in most cases.</summary>
internal static class HostMemory
{
    /// <summary>All entries, row by row.</summary>
    /// <param name="tensor">Any device and layout, of the element type <typeparamref name="T"/>, below 2 GiB.</param>
    /// <typeparam name="T">Element type as stored.</typeparam>
    public static T[] ToArray<T>(Tensor tensor)
        where T : unmanaged
    {
        var result = GC.AllocateUninitializedArray<T>(checked((int)tensor.numel()));
        CopyTo<T>(tensor, result);
        return result;
    }

    /// <summary>Copies all entries, row by row.</summary>
    /// <param name="tensor">Any device and layout, of the element type <typeparamref name="T"/>, below 2 GiB.</param>
    /// <param name="target">At least as many places as the tensor has entries.</param>
    /// <typeparam name="T">Element type as stored.</typeparam>
    public static void CopyTo<T>(Tensor tensor, Span<T> target)
        where T : unmanaged
    {
        if (tensor.numel() == 0)
        {
            return;
        }

        using var host = tensor.detach().cpu();
        using var dense = host.contiguous();
        MemoryMarshal.Cast<byte, T>(dense.bytes).CopyTo(target);
    }
}
