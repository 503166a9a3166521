using System.Runtime.InteropServices;

namespace Analysis.Networks;

/// <summary>
/// Prepares libtorch before its first use. With the variable ATLAS_LIBTORCH set to the <c>lib</c> folder of another libtorch
/// (for builds with TorchBackend=external), that one is loaded; otherwise the one beside the application.
/// </summary>
public static partial class TorchRuntime
{
    /// <summary>Environment variable that names the folder of an external libtorch.</summary>
    public const string Variable = "ATLAS_LIBTORCH";

    // Each library needs those before it; the CUDA ones are absent from a CPU build.
    private static readonly string[] Libraries = ["c10", "torch_cpu", "c10_cuda", "torch_cuda", "torch"];

    private static readonly Lock Gate = new();
    private static bool _ready;

    /// <summary>Loads libtorch once. Cheap afterwards; callable from any thread.</summary>
    /// <exception cref="AnalysisException">The folder or a library in it cannot be loaded.</exception>
    public static void Prepare()
    {
        lock (Gate)
        {
            if (!_ready)
            {
                CalmWaitingThreads();
                if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } folder)
                {
                    LoadFrom(folder);
                }

                _ready = true;
            }
        }
    }

    /// <summary>
    /// OpenMP's threads spin while they wait, so that on a machine with other work every small operation takes as long as the
    /// others' time slices: measured on two contended cores, an analysis took 27 seconds of processor time instead of 6.
    /// The library reads the variable when it is loaded; .NET's own environment does not reach native code.
    /// </summary>
    private static void CalmWaitingThreads()
    {
        if (OperatingSystem.IsLinux())
        {
            _ = SetEnvironment("OMP_WAIT_POLICY", "passive", overwrite: 0);
        }
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    /// <summary>Loads the libraries of a folder, so that later loads by name find these.</summary>
    internal static void LoadFrom(string folder)
    {
        var (prefix, suffix) = OperatingSystem.IsWindows() ? ("", ".dll") : OperatingSystem.IsMacOS() ? ("lib", ".dylib") : ("lib", ".so");
        if (!File.Exists(Path.Combine(folder, $"{prefix}torch_cpu{suffix}")))
        {
            throw new AnalysisException(
                $"{Variable} names a folder without {prefix}torch_cpu{suffix}.", "Set it to the lib folder of a libtorch, for example that of a PyTorch installation.");
        }

        foreach (var library in Libraries)
        {
            var path = Path.Combine(folder, $"{prefix}{library}{suffix}");
            if (!File.Exists(path))
            {
                continue;
            }

            try
            {
                NativeLibrary.Load(path);
            }
            catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
            {
                throw new AnalysisException(
                    $"{prefix}{library}{suffix} of the folder named by {Variable} cannot be loaded.", "Check that it is a libtorch for this system with all its parts.", exception);
            }
        }
    }
}
