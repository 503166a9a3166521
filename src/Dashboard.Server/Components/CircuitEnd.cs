using Microsoft.AspNetCore.Http.Features;

namespace Dashboard.Server.Components;

/// <summary>
/// Answers a browser that says it leaves a page at once, and ends the page's circuit afterwards. Ending waits for components that
/// ask the browser for something, which answers no more: for a minute. Each request that waits so holds one of the six connections
/// that a browser has to a site, and the next page waited for a free one.
/// </summary>
internal static class CircuitEnd
{
    private const string Address = "/_blazor/disconnect";

    // An identifier of a circuit and the name of its field.
    private const int MostCharacters = 4096;

    /// <summary>Comes after routing: the endpoint is known.</summary>
    public static void UseCircuitEnd(this IApplicationBuilder app) => app.Use(async (context, next) =>
    {
        if (context.Request.Path != Address || !HttpMethods.IsPost(context.Request.Method) || !context.Request.HasFormContentType
            || context.GetEndpoint()?.RequestDelegate is not { } end)
        {
            await next(context);
            return;
        }

        IFormCollection form;
        try
        {
            form = await context.Request.ReadFormAsync(new FormOptions { MultipartBodyLengthLimit = MostCharacters, ValueLengthLimit = MostCharacters }, context.RequestAborted);
        }
        // The latter where the browser is gone before its message is whole.
        catch (Exception fault) when (fault is InvalidDataException or IOException)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        var scopes = context.RequestServices.GetRequiredService<IServiceScopeFactory>();
        var log = context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(CircuitEnd));
        _ = Task.Run(() => EndAsync(end, form, scopes, log), CancellationToken.None);
        context.Response.StatusCode = StatusCodes.Status200OK;
    });

    private static async Task EndAsync(RequestDelegate end, IFormCollection form, IServiceScopeFactory scopes, ILogger log)
    {
        await using var scope = scopes.CreateAsyncScope();
        // The request is over, and what belongs to it serves the next one: the endpoint gets a request of its own.
        var own = new DefaultHttpContext { RequestServices = scope.ServiceProvider };
        (own.Request.Method, own.Request.Path) = (HttpMethods.Post, Address);
        own.Features.Set<IFormFeature>(new FormFeature(form));
        try
        {
            await end(own);
        }
        catch (Exception fault)
        {
            log.LogDebug(fault, "A circuit could not be ended");
        }
    }
}
