using System.Net;
using Dashboard.Server.Jobs;

namespace Dashboard.Server.Access;

/// <summary>The login with the token that was printed at the start.</summary>
internal static class LoginEndpoints
{
    public static void MapLogin(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/login", (HttpContext context, HostAddress address, LoginCookie cookie, string? t, string? returnUrl) =>
            address.LoopbackOnly ? Results.LocalRedirect("/") : t is null ? Page(context, returnUrl, null) : Login(context, address, cookie, t, returnUrl))
            .ExcludeFromDescription();
        endpoints.MapPost("/login", async (HttpContext context, HostAddress address, LoginCookie cookie) =>
        {
            if (!context.Request.HasFormContentType || context.Request.ContentLength is > 8192)
            {
                return Page(context, null, "Send the token with the form.");
            }

            var form = await context.Request.ReadFormAsync();
            return Login(context, address, cookie, form["t"].ToString(), form["returnUrl"].ToString());
        }).DisableAntiforgery().ExcludeFromDescription();
    }

    private static IResult Login(HttpContext context, HostAddress address, LoginCookie cookie, string token, string? returnUrl)
    {
        if (!AccessMiddleware.Matches(token.Trim(), address.Token))
        {
            return Page(context, returnUrl, "This is not the token of the running site. It is printed at each start.");
        }

        cookie.Write(context);
        return Results.LocalRedirect(IsLocal(returnUrl) ? returnUrl! : "/");
    }

    private static bool IsLocal(string? url) =>
        url is { Length: > 0 and < 2000 } && url[0] == '/' && (url.Length == 1 || url[1] is not ('/' or '\\')) && !url.Any(char.IsControl);

    private static IResult Page(HttpContext context, string? returnUrl, string? fault) => Results.Content(
        $$"""
        <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Log in · Concept Atlas</title><style>
        :root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:26rem;margin:18vh auto;padding:0 1.5rem}
        h1{font-size:1.3rem}input{width:100%;box-sizing:border-box;font:inherit;padding:.55rem;margin:.3rem 0 .9rem}
        button{font:inherit;padding:.5rem 1.2rem}.fault{color:#c62828}</style></head><body>
        <h1>Concept Atlas</h1><p>Paste the token that was printed when the site was started.</p>
        {{(fault is null ? "" : $"<p class=\"fault\" role=\"alert\">{WebUtility.HtmlEncode(fault)}</p>")}}
        <form method="post" action="/login"><label for="t">Token</label>
        <input id="t" name="t" type="password" autocomplete="current-password" autofocus required>
        <input name="returnUrl" type="hidden" value="{{WebUtility.HtmlEncode(IsLocal(returnUrl) ? returnUrl : "/")}}">
        <button type="submit">Log in</button></form></body></html>
        """,
        "text/html; charset=utf-8",
        statusCode: fault is null ? StatusCodes.Status200OK : StatusCodes.Status401Unauthorized);
}
