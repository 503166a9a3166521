using System.Runtime.InteropServices;

namespace Analysis.Numerics;

/// <summary>The heap of native code, from which the CPU's tensors come.</summary>
internal static partial class NativeHeap
{
    // Often enough that holes stay small beside what a stage needs, seldom enough that the pages given back and taken again
    // cost nothing that shows.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    private static bool s_missing;

    /// <summary>
    /// Calls <see cref="Trim"/> twice a second until disposed. A long computation runs within it: each of its threads has a part
    /// of the heap of its own, and without this every part stays as large as it ever was.
    /// </summary>
    public static IDisposable TrimRegularly() => new Timer(_ => Trim(), null, Interval, Interval);

    /// <summary>
    /// Gives unused pages back to the system. The C library of many systems (glibc before 2.38) does not use the holes again that
    /// freed aligned blocks leave, so that a loop of equal steps, each of which frees all it took, grows all the same: call this
    /// now and then in such a loop. Does nothing where the C library has no such function.
    /// </summary>
    public static void Trim()
    {
        if (s_missing || !OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            _ = MallocTrim(0);
        }
        catch (Exception absent) when (absent is EntryPointNotFoundException or DllNotFoundException)
        {
            s_missing = true;
        }
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MallocTrim(nuint pad);
}
