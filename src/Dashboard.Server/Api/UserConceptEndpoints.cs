using Dashboard.Client.Contracts;
using Microsoft.AspNetCore.Mvc;

namespace Dashboard.Server.Api;

/// <summary>Concepts that people define for an analysis.</summary>
internal static class UserConceptEndpoints
{
    public static void MapUserConcepts(this RouteGroupBuilder analysis)
    {
        var group = analysis.MapGroup("/user-concepts").WithTags("user concepts");
        group.MapGet("", async (string id, IUserConceptService concepts, CancellationToken cancellation, int skip = 0, int take = 50) =>
                await ApiEndpoints.Page(skip, take, () => concepts.ListAsync(id, skip, take, cancellation)))
            .WithName("ListUserConcepts").WithSummary("Concepts that people defined, newest first.").Produces<Paged<UserConcept>>();
        group.MapPost("", async (string id, ConceptDraft draft, IUserConceptService concepts, CancellationToken cancellation) =>
            {
                var concept = await concepts.CreateAsync(id, draft, cancellation);
                return TypedResults.Created($"/api/analyses/{id}/user-concepts/{concept.Id}", concept);
            })
            .WithName("DefineConcept")
            .WithSummary("Defines a concept by classes, tagged samples, a column of attributes.csv, regions, a discovered concept or a neuron.")
            .WithDescription("Refused where fewer than two different images are on one of the sides. The definition is what the tasks probe, backpropagate and attribute take as their parameter concept.")
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapPost("/preview", async (string id, ConceptDraft draft, IUserConceptService concepts, CancellationToken cancellation) =>
                TypedResults.Ok(await concepts.PreviewAsync(id, draft, cancellation)))
            .WithName("PreviewConcept").WithSummary("Which images a definition means: how many show it, how many do not, and how many of each are kept for testing.")
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapGet("/{concept}", async Task<IResult> (string id, string concept, IUserConceptService concepts, CancellationToken cancellation) =>
                ApiEndpoints.Found(await concepts.GetAsync(id, concept, cancellation), "defined concept"))
            .WithName("GetUserConcept").WithSummary("One defined concept.").Produces<UserConcept>();
        group.MapPatch("/{concept}", async Task<IResult> (string id, string concept, [FromBody] NewName body, IUserConceptService concepts, CancellationToken cancellation) =>
                await concepts.GetAsync(id, concept, cancellation) is null
                    ? ApiEndpoints.Missing("There is no such defined concept.")
                    : TypedResults.Ok(await concepts.RenameAsync(id, concept, body.Name, cancellation)))
            .WithName("RenameUserConcept").WithSummary("Gives a concept another name; what was computed for it stays.")
            .Produces<UserConcept>().ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapDelete("/{concept}", async Task<IResult> (string id, string concept, IUserConceptService concepts, CancellationToken cancellation) =>
            {
                if (await concepts.GetAsync(id, concept, cancellation) is null)
                {
                    return ApiEndpoints.Missing("There is no such defined concept.");
                }

                await concepts.DeleteAsync(id, concept, cancellation);
                return TypedResults.NoContent();
            })
            .WithName("DeleteUserConcept").WithSummary("Deletes a defined concept.").Produces(StatusCodes.Status204NoContent);
        analysis.MapGet("/samples/{sample:int}/frame", async Task<IResult> (string id, int sample, IUserConceptService concepts, CancellationToken cancellation) =>
                ApiEndpoints.Found(await concepts.FrameAsync(id, sample, cancellation), "picture of a sample"))
            .WithTags("user concepts").WithName("GetFrame").WithSummary("The part of an image that its thumbnail shows, in shares of the image: places drawn on the thumbnail are places in the image by it.").Produces<PictureFrame>();
        analysis.MapGet("/attributes", async (string id, IUserConceptService concepts, CancellationToken cancellation) =>
                TypedResults.Ok(await concepts.AttributesAsync(id, cancellation)))
            .WithTags("user concepts").WithName("GetAttributes").WithSummary("Columns of the data set's attributes.csv with their values.");
    }
}

/// <summary>What a thing is to be called.</summary>
/// <param name="Name">The name.</param>
internal sealed record NewName(string Name);
