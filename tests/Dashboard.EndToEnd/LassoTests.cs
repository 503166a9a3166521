namespace Dashboard.EndToEnd;

/// <summary>The lasso of the plots of points.</summary>
public sealed class LassoTests(Stage stage)
{
    [Fact]
    public async Task Drawn_before_the_server_has_answered_the_button_it_is_a_lasso_all_the_same()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        // What the page says to the server waits, in order, while the line is slow.
        var slow = false;
        var waiting = new Queue<Action>();
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await page.RouteWebSocketAsync(
            new Regex("/_blazor"),
            line =>
            {
                var server = line.ConnectToServer();
                line.OnMessage(frame =>
                {
                    Action send = () =>
                    {
                        if (frame.Binary is { } bytes)
                        {
                            server.Send(bytes);
                        }
                        else
                        {
                            server.Send(frame.Text ?? "");
                        }
                    };
                    lock (waiting)
                    {
                        if (slow)
                        {
                            waiting.Enqueue(send);
                            held.TrySetResult();
                        }
                        else
                        {
                            send();
                        }
                    }
                });
            });
        await visitor.GoAsync(PageUrls.Atlas(sample.Id, "map"));
        await Expect(page.Locator(".plot[data-count]")).ToBeVisibleAsync();
        var lasso = page.GetByRole(AriaRole.Button, new() { Name = "Lasso" });
        lock (waiting)
        {
            slow = true;
        }

        await lasso.ClickAsync();
        await Expect(lasso).ToHaveAttributeAsync("aria-pressed", "true");
        await DrawAsync(page, 0.03, 0.97);
        // What the browser says reaches the line a little after the mouse is let go.
        await held.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        lock (waiting)
        {
            slow = false;
            while (waiting.TryDequeue(out var send))
            {
                send();
            }
        }

        var points = await page.Locator(".plot").GetAttributeAsync("data-count");
        await Expect(page.GetByTestId("selection")).ToHaveAttributeAsync("data-count", points!);
        await Expect(page).ToHaveURLAsync(new Regex("lasso="));
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task One_around_nothing_says_so_and_lets_go_of_the_one_before()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Atlas(sample.Id, "map"));
        await Expect(page.Locator(".plot[data-count]")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Lasso" }).ClickAsync();
        await DrawAsync(page, 0.03, 0.97);
        await Expect(page.GetByTestId("selection")).ToBeVisibleAsync();

        // Points keep a distance to the edge.
        await DrawAsync(page, 0.002, 0.02);

        var told = page.Locator(".plot").GetByText("None of the concepts lies inside the line.");
        await Expect(told.First).ToBeVisibleAsync();
        await Expect(page.Locator(".plot [aria-live]")).ToContainTextAsync("None of the concepts lies inside the line.");
        await Expect(page.GetByTestId("selection")).ToHaveCountAsync(0);
        await Expect(page).Not.ToHaveURLAsync(new Regex("lasso="));

        await DrawAsync(page, 0.03, 0.97);
        await Expect(page.GetByTestId("selection")).ToBeVisibleAsync();
        await Expect(page.Locator(".plot .cloud-note")).ToBeHiddenAsync();
        visitor.AssertNoFault();
    }

    // A rectangle between two parts of the plot's width and height.
    private static async Task DrawAsync(IPage page, double from, double to)
    {
        var plot = page.Locator(".plot");
        await plot.ScrollIntoViewIfNeededAsync();
        var box = (await plot.BoundingBoxAsync())!;
        (double X, double Y)[] corners = [(from, from), (to, from), (to, to), (from, to), (from, (from + to) / 2)];
        for (var corner = 0; corner < corners.Length; corner++)
        {
            await page.Mouse.MoveAsync((float)(box.X + (corners[corner].X * box.Width)), (float)(box.Y + (corners[corner].Y * box.Height)), new() { Steps = corner == 0 ? 1 : 6 });
            if (corner == 0)
            {
                await page.Mouse.DownAsync();
            }
        }

        await page.Mouse.UpAsync();
    }
}
