using Analysis.Runs;
using Dashboard.Server.Jobs;
using Microsoft.AspNetCore.SignalR;

namespace Dashboard.Server.Hubs;

/// <summary>The engine worker's door. Requests reach it only with the secret of the running worker and without an Origin.</summary>
internal sealed class WorkerHub(JobCoordinator coordinator) : Hub<IWorkerClient>, IWorkerHub
{
    public override async Task OnConnectedAsync()
    {
        if (!coordinator.Attach(Context.ConnectionId, Secret))
        {
            Context.Abort();
            return;
        }

        await base.OnConnectedAsync();
    }

    public override Task OnDisconnectedAsync(Exception? exception)
    {
        coordinator.Detach(Context.ConnectionId);
        return base.OnDisconnectedAsync(exception);
    }

    public Task Hello(string? analysisId)
    {
        coordinator.Greet(Context.ConnectionId);
        return Task.CompletedTask;
    }

    public Task Progress(string analysisId, int attempt, RunProgress progress)
    {
        coordinator.OnProgress(analysisId, attempt, progress);
        return Task.CompletedTask;
    }

    public Task Described(string analysisId, int attempt)
    {
        coordinator.OnDescribed(analysisId, attempt);
        return Task.CompletedTask;
    }

    public Task SamplesListed(string analysisId, int attempt, int count)
    {
        coordinator.OnSamplesListed(analysisId, attempt);
        return Task.CompletedTask;
    }

    public Task ClassReady(string analysisId, int attempt, int classIndex)
    {
        coordinator.OnClassReady(analysisId, attempt, classIndex);
        return Task.CompletedTask;
    }

    public Task Log(string analysisId, int attempt, string line)
    {
        coordinator.OnLog(analysisId, attempt, line);
        return Task.CompletedTask;
    }

    public Task Ended(string analysisId, int attempt, WorkOutcome outcome, string message)
    {
        coordinator.OnEnded(analysisId, attempt, outcome, message);
        return Task.CompletedTask;
    }

    private string Secret => Context.GetHttpContext()?.Request.Headers[WorkerIdentity.SecretHeader].ToString() ?? "";
}
