using Analysis.Runs;
using Analysis.Runs.Tasks;
using Dashboard.Server.Jobs;
using Microsoft.AspNetCore.SignalR;

namespace Dashboard.Server.Hubs;

/// <summary>The engine worker's door. Requests reach it only with the secret of the running worker and without an Origin.</summary>
internal sealed class WorkerHub(JobCoordinator coordinator, WorkerSupervisor supervisor) : Hub<IWorkerClient>, IWorkerHub
{
    public override async Task OnConnectedAsync()
    {
        if (!supervisor.Attach(Context.ConnectionId, Secret))
        {
            Context.Abort();
            return;
        }

        await base.OnConnectedAsync();
    }

    public override Task OnDisconnectedAsync(Exception? exception)
    {
        supervisor.Detach(Context.ConnectionId);
        return base.OnDisconnectedAsync(exception);
    }

    public Task Hello(string? jobId)
    {
        supervisor.Greet(Context.ConnectionId);
        return Task.CompletedTask;
    }

    public Task Progress(string jobId, int attempt, RunProgress progress)
    {
        coordinator.OnProgress(jobId, attempt, progress);
        return Task.CompletedTask;
    }

    public Task TaskProgress(string jobId, int attempt, TaskProgress progress)
    {
        coordinator.OnTaskProgress(jobId, attempt, progress);
        return Task.CompletedTask;
    }

    public Task Described(string jobId, int attempt)
    {
        coordinator.OnDescribed(jobId, attempt);
        return Task.CompletedTask;
    }

    public Task SamplesListed(string jobId, int attempt, int count)
    {
        coordinator.OnSamplesListed(jobId, attempt);
        return Task.CompletedTask;
    }

    public Task ClassReady(string jobId, int attempt, int classIndex)
    {
        coordinator.OnClassReady(jobId, attempt, classIndex);
        return Task.CompletedTask;
    }

    public Task Log(string jobId, int attempt, string line)
    {
        coordinator.OnLog(jobId, attempt, line);
        return Task.CompletedTask;
    }

    public Task Ended(string jobId, int attempt, WorkOutcome outcome, string message)
    {
        coordinator.OnEnded(jobId, attempt, outcome, message);
        return Task.CompletedTask;
    }

    private string Secret => Context.GetHttpContext()?.Request.Headers[WorkerIdentity.SecretHeader].ToString() ?? "";
}
