using Microsoft.AspNetCore.OpenApi;

namespace Dashboard.Server.Api;

/// <summary>The description of the API at <c>/openapi/v1.json</c>.</summary>
internal static class ApiDocument
{
    public static void Configure(OpenApiOptions options) => options.AddDocumentTransformer((document, _, _) =>
    {
        document.Info.Title = "Concept Atlas";
        document.Info.Version = "v1";
        document.Info.Description =
            "Start analyses of a network on a data set and read their atlas. Lists are paged by skip and take; faults are problem details (RFC 9457).";
        return Task.CompletedTask;
    });
}
