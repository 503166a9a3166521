using System.Runtime.InteropServices;
using Analysis;

namespace Dashboard.Server.Cli;

/// <summary>Runs a headless command: signals become cancellation, failures become one clear line and an exit code.</summary>
internal static class CommandRunner
{
    /// <summary>Done.</summary>
    public const int Success = 0;

    /// <summary>Failed, with a message on the standard error.</summary>
    public const int Failure = 1;

    /// <summary>Wrong usage.</summary>
    public const int WrongUsage = 2;

    /// <summary>Cancelled by a signal.</summary>
    public const int Cancelled = 130;

    /// <summary>Runs the work on a thread of its own, since tensors belong to one thread.</summary>
    public static int Run(Action<CancellationToken> work)
    {
        using var cancellation = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            cancellation.Cancel();
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        var code = Success;
        var thread = new Thread(() => code = Guarded(work, cancellation.Token), 16 * 1024 * 1024) { Name = "engine" };
        thread.Start();
        thread.Join();
        return code;
    }

    private static int Guarded(Action<CancellationToken> work, CancellationToken cancellation)
    {
        try
        {
            work(cancellation);
            return Success;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            Console.Error.WriteLine("Cancelled. What is done is kept; run the same command again to go on.");
            return Cancelled;
        }
        catch (AnalysisException failure)
        {
            Console.Error.WriteLine(failure.Message);
            return Failure;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"A file could not be read or written: {failure.Message}");
            return Failure;
        }
        catch (Exception failure)
        {
            Console.Error.WriteLine($"The engine failed unexpectedly: {failure.GetType().Name}: {failure.Message.Split('\n')[0]} Set ATLAS_TRACE=1 for details.");
            if (Environment.GetEnvironmentVariable("ATLAS_TRACE") == "1")
            {
                Console.Error.WriteLine(failure);
            }

            return Failure;
        }
    }
}
