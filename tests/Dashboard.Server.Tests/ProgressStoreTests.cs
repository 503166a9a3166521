using Dashboard.Client.Contracts;
using Dashboard.Server.Jobs;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Dashboard.Server.Tests;

public sealed class ProgressStoreTests
{
    private const string Id = "0123456789ab";

    [Fact]
    public async Task A_late_subscriber_gets_the_current_state_first()
    {
        var store = new ProgressStore(NullLogger<ProgressStore>.Instance);
        store.Publish(Id, old => old with { Share = 0.4 });
        var first = new TaskCompletionSource<AnalysisProgress>();
        using var subscription = store.Subscribe(Id, progress => first.TrySetResult(progress));
        var state = await first.Task.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        Assert.Equal(0.4, state.Share);
        Assert.Equal(1, state.Sequence);
    }

    [Fact]
    public async Task A_burst_is_thinned_but_its_last_state_arrives_and_order_is_kept()
    {
        var store = new ProgressStore(NullLogger<ProgressStore>.Instance);
        var seen = new List<long>();
        var last = new TaskCompletionSource();
        using var subscription = store.Subscribe(Id, progress =>
        {
            seen.Add(progress.Sequence);
            if (progress.State == AnalysisState.Completed)
            {
                last.TrySetResult();
            }
        });
        for (var step = 0; step < 5000; step++)
        {
            store.Publish(Id, old => old with { State = AnalysisState.Running });
        }

        store.Publish(Id, old => old with { State = AnalysisState.Completed });
        await last.Task.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        Assert.True(seen.Count < 100, $"{seen.Count} calls for 5001 states");
        Assert.Equal(seen.Order(), seen);
        Assert.Equal(5001, seen[^1]);
    }

    [Fact]
    public async Task A_listener_that_throws_does_not_stop_the_others()
    {
        var store = new ProgressStore(NullLogger<ProgressStore>.Instance);
        var heard = new TaskCompletionSource();
        using var bad = store.SubscribeAll(_ => throw new InvalidOperationException("broken listener"));
        using var good = store.SubscribeAll(progress =>
        {
            if (progress.Sequence == 2)
            {
                heard.TrySetResult();
            }
        });
        store.Publish(Id, old => old);
        store.Publish(Id, old => old);
        await heard.Task.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
    }
}
