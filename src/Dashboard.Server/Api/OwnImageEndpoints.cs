using Analysis.Explanations;
using Dashboard.Client.Contracts;
using Dashboard.Server.Images;
using Microsoft.AspNetCore.Mvc;

namespace Dashboard.Server.Api;

/// <summary>Images that people bring to an analysis.</summary>
internal static class OwnImageEndpoints
{
    // Somewhat more than an image may have: who sends too much hears why.
    private const long LongestBody = OwnImages.MostBytes + (10L << 20);

    public static void MapOwnImages(this RouteGroupBuilder analysis)
    {
        var group = analysis.MapGroup("/images").WithTags("own images");
        group.MapPost("", async Task<IResult> (HttpContext context, string id, IOwnImageService images, CancellationToken cancellation) =>
            {
                if (await ReadAsync(context.Request, cancellation) is not { } file)
                {
                    return TypedResults.Problem(OwnImages.TooLarge().Message, statusCode: StatusCodes.Status413PayloadTooLarge, title: "The image is too large");
                }

                var image = await images.BringAsync(id, file, cancellation);
                return TypedResults.Accepted($"/api/analyses/{id}/images/{image.Hash}", image);
            })
            .WithName("BringImage")
            .WithMetadata(new RequestSizeLimitAttribute(LongestBody))
            .WithSummary("Keeps an image of one's own and has the network look at it; the body is the file itself, at most 20 MB.")
            .WithDescription("JPEG, PNG, WebP, GIF, BMP or TIFF of at most 50 megapixels, told by its first bytes. Kept under the hash of its bytes; at most 200 images an analysis, the oldest go first. The task explain is started.")
            .Produces<OwnImage>(StatusCodes.Status202Accepted).ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status413PayloadTooLarge);
        group.MapGet("/{hash}", async Task<IResult> (string id, string hash, IOwnImageService images, CancellationToken cancellation, int? @class = null) =>
                await images.GetAsync(id, hash, @class, cancellation) is not { } view || (!view.Kept && view.Sample is null)
                    ? ApiEndpoints.Missing("There is no such image.")
                    : TypedResults.Ok(view))
            .WithName("GetImage").WithSummary("What the network makes of an image of one's own, by the concepts of the predicted class or of another; without sample until the task explain is done.").Produces<OwnImageView>();
        group.MapGet("/{hash}/thumbnail", (HttpContext context, string id, string hash, PictureService pictures, CancellationToken cancellation, int size = 96) =>
                PictureEndpoints.SendAsync(context, size, () => pictures.OwnAsync(id, hash, size, cancellation), "image"))
            .WithName("GetOwnThumbnail").WithSummary("An image of one's own as a square WebP of 48, 96, 192 or 384 pixels.");
        group.MapDelete("/{hash}", async Task<IResult> (string id, string hash, IOwnImageService images, CancellationToken cancellation) =>
                await images.DeleteAsync(id, hash, cancellation) ? TypedResults.NoContent() : ApiEndpoints.Missing("There is no such image."))
            .WithName("DeleteImage").WithSummary("Forgets an image of one's own and everything that was computed of it.").Produces(StatusCodes.Status204NoContent);
    }

    /// <summary>
    /// The body; null where it is longer than an image may be. What is over the limit is read without being kept, so that who sends
    /// it hears the answer; the server's own limit on bodies ends that.
    /// </summary>
    private static async Task<byte[]?> ReadAsync(HttpRequest request, CancellationToken cancellation)
    {
        using var file = new MemoryStream();
        var part = new byte[1 << 16];
        var length = 0L;
        for (int read; (read = await request.Body.ReadAsync(part, cancellation)) > 0;)
        {
            length += read;
            if (length <= OwnImages.MostBytes)
            {
                file.Write(part, 0, read);
            }
        }

        return length <= OwnImages.MostBytes ? file.ToArray() : null;
    }
}
