using System.Net;
using Dashboard.Server.Components;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>A browser that leaves a page gets its connection back at once, however long the page's circuit takes to end.</summary>
public sealed class CircuitEndTests : IAsyncLifetime
{
    private readonly TaskCompletionSource<string?> _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WebApplication _site = default!;
    private HttpClient _client = default!;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _site = builder.Build();
        _site.UseRouting();
        _site.UseCircuitEnd();
        _site.MapPost("/_blazor/disconnect", async context =>
        {
            _asked.SetResult((await context.Request.ReadFormAsync(context.RequestAborted))["circuitId"]);
            // As a component does that waits for a browser that is gone.
            await _release.Task;
            context.Response.StatusCode = StatusCodes.Status200OK;
            _ended.SetResult();
        });
        await _site.StartAsync(TestContext.Current.CancellationToken);
        _client = new HttpClient { BaseAddress = new Uri(_site.Urls.First()), Timeout = TimeSpan.FromSeconds(20) };
    }

    public async ValueTask DisposeAsync()
    {
        _release.TrySetResult();
        _client.Dispose();
        await _site.DisposeAsync();
    }

    [Fact]
    public async Task The_answer_does_not_wait_for_the_circuit()
    {
        using var form = new MultipartFormDataContent { { new StringContent("abc"), "circuitId" } };
        using var answer = await _client.PostAsync("/_blazor/disconnect", form, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.False(_ended.Task.IsCompleted);

        // The circuit is ended all the same, with what the browser sent.
        Assert.Equal("abc", await _asked.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        _release.SetResult();
        await _ended.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_form_that_is_too_long_is_refused()
    {
        using var form = new MultipartFormDataContent { { new StringContent(new string('a', 100_000)), "circuitId" } };
        using var answer = await _client.PostAsync("/_blazor/disconnect", form, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.False(_asked.Task.IsCompleted);
    }
}
