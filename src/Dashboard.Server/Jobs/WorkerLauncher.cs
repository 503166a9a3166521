using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Dashboard.Server.Jobs;

/// <summary>A started engine worker.</summary>
internal sealed class WorkerProcess : IDisposable
{
    private readonly Process _process;
    private readonly byte[] _secret;

    private WorkerProcess(Process process, string secret)
    {
        _process = process;
        Id = process.Id;
        _secret = Encoding.UTF8.GetBytes(secret);
        Exited = WaitAsync();
    }

    /// <summary>Process id.</summary>
    public int Id { get; }

    /// <summary>Completes with the exit code when the process has ended.</summary>
    public Task<int> Exited { get; }

    /// <summary>Completes with the connection when the worker has announced itself for the first time.</summary>
    public TaskCompletionSource Connected { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Connection on the worker hub; null while there is none.</summary>
    public string? ConnectionId { get; set; }

    /// <summary>Lines that the process prints; set to direct them to a run's log.</summary>
    public Action<string>? Output { get; set; }

    /// <summary>Starts <c>worker --host URL</c> of this same program.</summary>
    public static WorkerProcess Start(string host)
    {
        var secret = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        var start = SelfStart.Create(["worker", "--host", host]);
        start.Environment[WorkerIdentity.SecretVariable] = secret;
        start.Environment[WorkerIdentity.ParentVariable] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        var process = new Process { StartInfo = start };
        process.Start();
        var worker = new WorkerProcess(process, secret);
        process.OutputDataReceived += (_, line) => worker.Print(line.Data);
        process.ErrorDataReceived += (_, line) => worker.Print(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return worker;
    }

    /// <summary>True for the secret that this process was started with; takes the same time whatever is given.</summary>
    public bool Knows(string secret) => CryptographicOperations.FixedTimeEquals(_secret, Encoding.UTF8.GetBytes(secret));

    /// <summary>Ends the process at once.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (Exception fault) when (fault is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // It has ended by itself.
        }
    }

    public void Dispose() => _process.Dispose();

    private void Print(string? line)
    {
        if (line is not null)
        {
            Output?.Invoke(line);
        }
    }

    private async Task<int> WaitAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }
}

/// <summary>Starts this same program again as another process.</summary>
internal static class SelfStart
{
    /// <summary>Start information with redirected output and no shell.</summary>
    public static ProcessStartInfo Create(IReadOnlyList<string> arguments)
    {
        var assembly = typeof(SelfStart).Assembly.Location;
        var native = Path.Combine(AppContext.BaseDirectory, Path.GetFileNameWithoutExtension(assembly) + (OperatingSystem.IsWindows() ? ".exe" : ""));
        var start = new ProcessStartInfo
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = false,
            WorkingDirectory = AppContext.BaseDirectory,
        };
        if (File.Exists(native))
        {
            start.FileName = native;
        }
        else
        {
            start.FileName = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : "dotnet";
            start.ArgumentList.Add(assembly);
        }

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return start;
    }
}
