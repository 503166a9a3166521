using Dashboard.Client.Contracts;

namespace Dashboard.Server.Api;

/// <summary>Search over the samples of an analysis.</summary>
internal static class SampleSearchEndpoints
{
    public static void MapSampleSearch(this RouteGroupBuilder analysis)
    {
        var group = analysis.MapGroup("").WithTags("search");
        group.MapGet("/search", async Task<IResult> (
                string id, ISampleSearchService search, CancellationToken cancellation, int[]? with = null, int[]? without = null, double strongest = 0.05, double outside = 0.5,
                int? @class = null, int? like = null, string? image = null, int skip = 0, int take = 60) =>
                await search.FindAsync(
                    id,
                    new SampleSearch { With = with ?? [], Without = without ?? [], Strongest = strongest, Outside = outside, Class = @class, Like = like, Image = image },
                    skip,
                    take,
                    cancellation) is not { } found ? ApiEndpoints.Missing("There is no such analysis.")
                : found.Problem is { } problem ? TypedResults.Problem(problem, statusCode: StatusCodes.Status409Conflict, title: "The analysis cannot be searched")
                : TypedResults.Ok(found))
            .WithName("SearchSamples")
            .WithSummary("Samples by the concepts that they show (with) and do not show (without), and by what they are like; repeat with and without for more concepts.")
            .WithDescription("A sample shows a concept where its projection on it is among the strongest share of all samples, and does not where it is outside the strongest outside share. Best matches first, at most 2,000.")
            .Produces<SampleSearchView>().ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status409Conflict);
    }
}
