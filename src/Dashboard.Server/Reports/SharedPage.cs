using Dashboard.Server.Services;

namespace Dashboard.Server.Reports;

/// <summary>Shows what a read-only link leads to, and nothing else: one HTML file without scripts or further requests.</summary>
internal static class SharedPage
{
    private const string Policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static void MapShared(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGet("/shared/{token}", async (HttpContext context, string token, ShareService shares, ReportWriter reports, CancellationToken cancellation) =>
        {
            var place = await shares.OpenAsync(token, cancellation);
            var html = place switch
            {
                { Class: { } index, AnalysisId: var id } => await reports.ClassAsync(id, index, cancellation),
                { AnalysisId: var id, Filter: var filter } => await reports.OutliersAsync(id, filter ?? new(), cancellation),
                null => null,
            };
            context.Response.Headers.ContentSecurityPolicy = Policy;
            context.Response.Headers.CacheControl = "no-store";
            context.Response.Headers["Referrer-Policy"] = "no-referrer";
            context.Response.Headers["X-Robots-Tag"] = "noindex";
            return html is null
                ? Results.Content(
                    ReportHtml.Page("Link not found", "<h1>This link does not work</h1><p>It was ended by its owner, or the address is not complete.</p>"),
                    "text/html; charset=utf-8",
                    statusCode: StatusCodes.Status404NotFound)
                : Results.Content(html, "text/html; charset=utf-8");
        }).ExcludeFromDescription();
}
