using System.Diagnostics;

namespace Dashboard.Server.Jobs;

/// <summary>Runs a command of this same program in a process of its own and collects what it prints.</summary>
internal static class ChildProcess
{
    /// <summary>Exit code given where the time was over.</summary>
    public const int TimedOut = -1;

    private const int MostOutput = 16 << 20;

    /// <summary>Starts, waits, and kills where the time is over or the caller is gone.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(IReadOnlyList<string> arguments, TimeSpan limit, CancellationToken cancellation)
    {
        using var process = new Process { StartInfo = SelfStart.Create(arguments) };
        process.Start();
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(limit);
        try
        {
            var output = ReadAsync(process.StandardOutput, timeout.Token);
            var error = ReadAsync(process.StandardError, timeout.Token);
            await process.WaitForExitAsync(timeout.Token);
            return (process.ExitCode, await output, (await error).Trim());
        }
        catch (OperationCanceledException)
        {
            try
            {
                process.Kill(entireProcessTree: true);
            }
            catch (InvalidOperationException)
            {
                // It has just ended.
            }

            cancellation.ThrowIfCancellationRequested();
            return (TimedOut, "", "");
        }
    }

    private static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellation)
    {
        var text = new System.Text.StringBuilder();
        var buffer = new char[8192];
        int read;
        while ((read = await reader.ReadAsync(buffer, cancellation)) > 0)
        {
            if (text.Length < MostOutput)
            {
                text.Append(buffer, 0, read);
            }
        }

        return text.ToString();
    }
}
