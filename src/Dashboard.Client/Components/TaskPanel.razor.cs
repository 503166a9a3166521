using System.Text.Json;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Components;

/// <summary>
/// Something made on demand beside a finished analysis. Shows what is stored for equal parameters at once; otherwise a
/// button, the progress with a preview, and the result or what went wrong with its remedy.
/// </summary>
public sealed partial class TaskPanel
{
    private readonly CancellationTokenSource _lifetime = new();
    private IDisposable? _subscription;
    private string? _followed;
    private string? _wish;
    private TaskView? _task;
    private string? _error;
    private bool _busy;
    private bool _looked;
    private bool _disposed;

    /// <summary>The analysis.</summary>
    [Parameter, EditorRequired]
    public string AnalysisId { get; set; } = "";

    /// <summary>Kind of task.</summary>
    [Parameter, EditorRequired]
    public string Kind { get; set; } = "";

    /// <summary>Parameters: an object whose public properties are sent, or a <see cref="JsonElement"/>; null for all defaults.</summary>
    [Parameter]
    public object? Parameters { get; set; }

    /// <summary>Words on the button.</summary>
    [Parameter]
    public string StartText { get; set; } = "Make it";

    /// <summary>What is said above the button.</summary>
    [Parameter]
    public RenderFragment? Intro { get; set; }

    /// <summary>Shows a state whose preview file is there, while the task is at work.</summary>
    [Parameter]
    public RenderFragment<TaskView>? Preview { get; set; }

    /// <summary>Shows the finished task; read its files by <see cref="Urls.ApiUrls.TaskFile"/>, its JSON by <see cref="ITaskService.ResultAsync"/>.</summary>
    [Parameter]
    public RenderFragment<TaskView>? Result { get; set; }

    /// <summary>Called on the circuit when the shown task changes its state, also for one found complete.</summary>
    [Parameter]
    public EventCallback<TaskView> StateChanged { get; set; }

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    [Inject]
    private IProgressFeed Feed { get; set; } = default!;

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        _subscription?.Dispose();
        _lifetime.Cancel();
        _lifetime.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        var wish = $"{AnalysisId}\n{Kind}\n{TaskServiceExtensions.ToParameters(Parameters)?.GetRawText()}";
        if (_wish == wish)
        {
            return;
        }

        _wish = wish;
        (_task, _error, _looked) = (null, null, false);
        Unfollow();
        await TryAsync(async () =>
        {
            var found = await Tasks.FindAsync(AnalysisId, Kind, Parameters, _lifetime.Token);
            if (_wish == wish)
            {
                _looked = true;
                await ShowAsync(found);
            }
        });
    }

    /// <summary>Asks for the task, as the button does.</summary>
    public Task StartAsync() => TryAsync(async () => await ShowAsync(await Tasks.StartAsync(AnalysisId, Kind, Parameters, _lifetime.Token)));

    private Task CancelAsync() => TryAsync(() => _task is { } task ? Tasks.CancelAsync(AnalysisId, task.Id, _lifetime.Token) : Task.CompletedTask);

    private static string Doing(TaskView task) => task.State == AnalysisState.Queued ? "Waiting for the engine" : task.Doing.Length > 0 ? task.Doing : "At work";

    private static string Pace(TaskView task) => string.Join(" · ", new[]
    {
        task.ItemsPerSecond > 0 ? Format.Number(task.ItemsPerSecond) + "/s" : "",
        task.SecondsLeft is { } left ? Format.Left(left) : "",
    }.Where(part => part.Length > 0));

    private async Task ShowAsync(TaskView? task)
    {
        var before = _task?.State;
        if (task is not null && _task?.Id == task.Id && task.Sequence < _task.Sequence)
        {
            return;
        }

        _task = task;
        if (task is null)
        {
            return;
        }

        if (task.AtWork)
        {
            Follow(task.Id);
        }
        else
        {
            Unfollow();
        }

        if (before != task.State)
        {
            await StateChanged.InvokeAsync(task);
        }
    }

    private void Follow(string taskId)
    {
        if (!RendererInfo.IsInteractive || _disposed || _followed == taskId)
        {
            return;
        }

        Unfollow();
        _followed = taskId;
        _subscription = Feed.SubscribeTask(taskId, state => _ = InvokeAsync(async () =>
        {
            if (!_disposed && _followed == taskId)
            {
                await ShowAsync(state);
                StateHasChanged();
            }
        }));
    }

    private void Unfollow()
    {
        _subscription?.Dispose();
        (_subscription, _followed) = (null, null);
    }

    private async Task TryAsync(Func<Task> act)
    {
        (_error, _busy) = (null, true);
        try
        {
            await act();
        }
        catch (ServiceException fault)
        {
            _error = fault.Message;
        }
        catch (OperationCanceledException) when (_disposed)
        {
            // The page was left meanwhile.
        }
        finally
        {
            _busy = false;
        }
    }
}
