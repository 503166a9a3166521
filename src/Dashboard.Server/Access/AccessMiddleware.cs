using System.Security.Cryptography;
using System.Text;
using Dashboard.Server.Jobs;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.AspNetCore.Mvc;

namespace Dashboard.Server.Access;

/// <summary>
/// Decides who may ask. On loopback there is no login, but any web page could send requests to this machine, so the Host,
/// Origin and Sec-Fetch-Site headers must show that the request comes from this site or from a program. On other
/// addresses everything but shared pages, health and the login itself needs the cookie or the token.
/// </summary>
internal sealed class AccessMiddleware(RequestDelegate next, HostAddress address, LoginCookie cookie, WorkerSupervisor supervisor)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (address.LoopbackOnly && !HostAddress.IsLoopbackHost(request.Host.Host))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "Unknown host name", $"This site answers to localhost only, not to '{request.Host.Host}'.");
            return;
        }

        if (request.Path.StartsWithSegments(WorkerIdentity.HubPath))
        {
            // Browsers always send an Origin with WebSockets, and cannot add headers to them.
            if (request.Headers.ContainsKey("Origin") || !supervisor.Knows(request.Headers[WorkerIdentity.SecretHeader].ToString()))
            {
                await RefuseAsync(context, StatusCodes.Status403Forbidden, "Not for browsers", "Only the engine that this site started may connect here.");
                return;
            }

            await next(context);
            return;
        }

        if (ChangesThings(request) && !ComesFromThisSite(request))
        {
            await RefuseAsync(context, StatusCodes.Status403Forbidden, "Request from another site", "Open the dashboard itself and try again there.");
            return;
        }

        if (address.LoopbackOnly || IsOpen(request.Path) || cookie.IsValid(context) || BearerIsValid(request))
        {
            await next(context);
            return;
        }

        if (HttpMethods.IsGet(request.Method) && request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase) && !request.Path.StartsWithSegments("/api"))
        {
            context.Response.Redirect("/login?returnUrl=" + Uri.EscapeDataString(request.Path + request.QueryString));
            return;
        }

        await RefuseAsync(
            context,
            StatusCodes.Status401Unauthorized,
            "Login required",
            "Open the address with the token that was printed at the start, or send it as 'Authorization: Bearer TOKEN'.");
    }

    /// <summary>
    /// Requests that may change something or cost much: unsafe methods, connections over which anything can be asked, and the API,
    /// where looking at a network or a data set starts work on local files.
    /// </summary>
    private static bool ChangesThings(HttpRequest request) =>
        !(HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || HttpMethods.IsOptions(request.Method))
        || request.Path.StartsWithSegments("/api")
        || request.Path.StartsWithSegments("/hubs")
        || request.Path.StartsWithSegments("/_blazor");

    /// <summary>True without any of the headers (a program, not a browser) or where all that are there name this site.</summary>
    private static bool ComesFromThisSite(HttpRequest request)
    {
        var origin = request.Headers.Origin;
        if (origin.Count > 0 && (origin.Count > 1 || !string.Equals(origin[0], request.Scheme + "://" + request.Host, StringComparison.OrdinalIgnoreCase)))
        {
            return false;
        }

        var site = request.Headers["Sec-Fetch-Site"].ToString();
        return site is "" or "same-origin" or "none";
    }

    /// <summary>What can be seen without a login: these addresses and none below them, which would be answered by a page of the site.</summary>
    private static bool IsOpen(PathString path) =>
        path == "/login" || path == "/healthz" || path == "/readyz" || path == "/favicon.svg"
        || (path.StartsWithSegments("/shared", out var token) && token.Value?.TrimEnd('/') is { Length: > 1 } value && value.LastIndexOf('/') == 0);

    private bool BearerIsValid(HttpRequest request)
    {
        const string scheme = "Bearer ";
        var header = request.Headers.Authorization.ToString();
        return header.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) && Matches(header[scheme.Length..].Trim(), address.Token);
    }

    /// <summary>Compares in a time that does not depend on where the texts differ.</summary>
    internal static bool Matches(string given, string expected) => CryptographicOperations.FixedTimeEquals(
        SHA256.HashData(Encoding.UTF8.GetBytes(given)), SHA256.HashData(Encoding.UTF8.GetBytes(expected)));

    private static Task RefuseAsync(HttpContext context, int status, string title, string detail)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(
            new ProblemDetails { Status = status, Title = title, Detail = detail, Instance = context.Request.GetEncodedPathAndQuery() is { Length: < 200 } path ? path : null },
            options: null,
            contentType: "application/problem+json");
    }
}
