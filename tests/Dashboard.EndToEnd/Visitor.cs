using System.Collections.Concurrent;

namespace Dashboard.EndToEnd;

/// <summary>One browser profile with one page, which notes everything that must not happen on any page.</summary>
public sealed class Visitor : IAsyncDisposable
{
    /// <summary>How long an expectation may take to come true, in milliseconds: generous, for busy machines.</summary>
    public const float Patience = 30_000;

    private readonly IBrowserContext _context;
    private readonly Site _site;
    private readonly ConcurrentQueue<string> _faults = new();
    private readonly ConcurrentQueue<string> _addresses = new();

    private Visitor(IBrowserContext context, Site site)
    {
        _context = context;
        _site = site;
    }

    public IPage Page { get; private set; } = default!;

    /// <summary>Addresses asked for so far.</summary>
    public IEnumerable<string> Addresses => _addresses;

    public static async Task<Visitor> ArriveAsync(IBrowserContext context, Site site)
    {
        var visitor = new Visitor(context, site);
        context.SetDefaultTimeout(Patience);
        context.SetDefaultNavigationTimeout(Patience);
        context.Request += (_, request) =>
        {
            visitor._addresses.Enqueue(request.Url);
            if (!request.Url.StartsWith(site.Address + "/", StringComparison.Ordinal) && !request.Url.StartsWith("data:", StringComparison.Ordinal)
                && !request.Url.StartsWith("blob:", StringComparison.Ordinal) && !request.Url.StartsWith("file:", StringComparison.Ordinal))
            {
                visitor._faults.Enqueue($"a request to another host: {request.Url}");
            }
        };
        context.Response += (_, answer) =>
        {
            if (answer.Status >= 500)
            {
                visitor._faults.Enqueue($"{answer.Status} for {answer.Url}");
            }
        };
        // Violations of the content security policy come as errors on the console, too.
        context.Console += (_, message) =>
        {
            if (message.Type == "error")
            {
                visitor._faults.Enqueue($"{message.Type} on the console at {message.Location}: {message.Text}");
            }
        };
        context.WebError += (_, fault) => visitor._faults.Enqueue($"error in a script: {fault.Error}");
        visitor.Page = await context.NewPageAsync();
        return visitor;
    }

    /// <summary>Opens an address and waits until the page answers: what stands before is drawn by the server only.</summary>
    public async Task GoAsync(string address)
    {
        await Page.GotoAsync(address, new() { WaitUntil = WaitUntilState.DOMContentLoaded });
        await AnswersAsync();
    }

    /// <summary>Waits until the page answers.</summary>
    public Task AnswersAsync() => Page.Locator("html[data-live][data-keys]").WaitForAsync(new() { State = WaitForSelectorState.Attached });

    /// <summary>From now on nothing but the site can be reached, and a request that fails is a fault.</summary>
    public async Task CutOffAsync()
    {
        _context.RequestFailed += (_, request) =>
        {
            // What a page still asks for when it is left is given up by the browser itself.
            if (request.Failure != "net::ERR_ABORTED")
            {
                _faults.Enqueue($"{request.Failure} for {request.Url}");
            }
        };
        await _context.RouteAsync(
            url => !url.StartsWith(_site.Address + "/", StringComparison.Ordinal),
            route => route.AbortAsync(RequestAbortErrorCode.InternetDisconnected));
    }

    /// <summary>Opens a page of the list and waits until it is complete.</summary>
    public async Task OpenAsync(SitePage place)
    {
        if (place.Live)
        {
            await GoAsync(place.Address);
        }
        else
        {
            await Page.GotoAsync(place.Address);
        }

        await Assertions.Expect(Page.Locator(place.Ready).First).ToBeVisibleAsync();
        if (place.Status != 200)
        {
            Forgive();
        }
    }

    /// <summary>Fails where a page caused an error, broke the content policy or asked another host.</summary>
    public void AssertNoFault() =>
        Assert.True(_faults.IsEmpty, $"{string.Join('\n', _faults)}\nThe page is {Page.Url}. The host printed:\n{_site.Output}");

    /// <summary>Forgets a fault that a test provoked.</summary>
    public void Forgive() => _faults.Clear();

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();
}
