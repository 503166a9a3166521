using System.Security.Cryptography;
using Analysis;
using Dashboard.Server.Services;
using Microsoft.Net.Http.Headers;

namespace Dashboard.Server.Images;

/// <summary>Serves pictures with cache headers; sizes are limited to a few, so that the cache stays small.</summary>
internal static class PictureEndpoints
{
    public static void MapPictures(this RouteGroupBuilder analysis)
    {
        var group = analysis.MapGroup("").WithTags("pictures");
        group.MapGet("/samples/{sample:int}/thumbnail", (HttpContext context, string id, int sample, PictureService pictures, CancellationToken cancellation, int size = 96) =>
                SendAsync(context, size, () => pictures.ThumbnailAsync(id, sample, size, cancellation), "sample"))
            .WithName("GetThumbnail").WithSummary("A sample's picture as a square WebP of 48, 96, 192 or 384 pixels.");
        group.MapGet("/concepts/{concept:int}/exemplars/{exemplar:int}/crop", (HttpContext context, string id, int concept, int exemplar, PictureService pictures, CancellationToken cancellation, int size = 96) =>
                SendAsync(context, size, () => pictures.CropAsync(id, concept, exemplar, size, cancellation), "exemplar"))
            .WithName("GetCrop").WithSummary("The crop of a concept's exemplar as a square WebP.");
        group.MapGet("/concepts/{concept:int}/maps/{sample:int}", (HttpContext context, string id, int concept, int sample, PictureService pictures, CancellationToken cancellation) =>
                SendAsync(context, null, () => pictures.MapAsync(id, concept, sample, cancellation), "concept map"))
            .WithName("GetMap").WithSummary("A concept's map over a sample as a transparent WebP.");
    }

    public static void MapPreviewPictures(this RouteGroupBuilder api) =>
        api.MapGet("/previews/{token}/{sample:int}", (HttpContext context, string token, int sample, SourceService sources, PictureService pictures, CancellationToken cancellation, string? network = null) =>
                SendAsync(
                    context,
                    null,
                    async () => sources.PreviewPlace(token, network) is { } place ? await pictures.PreviewAsync(place.Dataset, sample, place.Preprocessing, cancellation) : null,
                    "preview"))
            .WithName("GetPreview").WithSummary("A picture of a data set preview.").WithTags("pictures");

    internal static async Task<IResult> SendAsync(HttpContext context, int? size, Func<Task<byte[]?>> make, string what)
    {
        if (size is { } asked && !PictureService.Sizes.Contains(asked))
        {
            return TypedResults.Problem($"The size is {asked}. Use one of {string.Join(", ", PictureService.Sizes)}.", statusCode: StatusCodes.Status400BadRequest);
        }

        byte[]? bytes;
        try
        {
            bytes = await make();
        }
        catch (AnalysisException fault)
        {
            return TypedResults.Problem(fault.Message, statusCode: StatusCodes.Status422UnprocessableEntity, title: "The picture cannot be made");
        }

        if (bytes is null)
        {
            return TypedResults.Problem($"There is no such {what}.", statusCode: StatusCodes.Status404NotFound, title: "Not found");
        }

        // The same address can show another picture after the data or the run changed: caches ask, and mostly hear "not modified".
        context.Response.Headers.CacheControl = "private, max-age=300, stale-while-revalidate=86400";
        var tag = new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 12))}\"");
        return TypedResults.Bytes(bytes, Placeholder.TypeOf(bytes), entityTag: tag);
    }
}
