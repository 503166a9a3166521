using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Dashboard.Server.Images;
using Dashboard.Server.Jobs;
using Dashboard.Server.Reports;
using Dashboard.Server.Services;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Api;

/// <summary>The HTTP API: thin over the same services that the pages use.</summary>
internal static class ApiEndpoints
{
    private const int MostRows = AnalysisService.MostRows;

    public static void MapApi(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/healthz", () => Results.Text("ok")).ExcludeFromDescription();
        endpoints.MapGet("/readyz", ReadyAsync).ExcludeFromDescription();

        var api = endpoints.MapGroup("/api");
        MapAnalyses(api.MapGroup("/analyses").WithTags("analyses"));
        var analysis = api.MapGroup("/analyses/{id}").AddEndpointFilter(AnalysisExistsAsync).ProducesProblem(StatusCodes.Status404NotFound);
        MapAnalysis(analysis.MapGroup("").WithTags("analyses"));
        MapAtlas(analysis.MapGroup("").WithTags("atlas"));
        MapComparison(analysis.MapGroup("/compare/{other}").WithTags("atlas"));
        MapAnnotations(analysis.MapGroup("").WithTags("annotations"));
        MapReports(analysis.MapGroup("").WithTags("reports"));
        MapShares(api, analysis);
        analysis.MapTasks();
        analysis.MapUserConcepts();
        analysis.MapSampleSearch();
        analysis.MapOwnImages();
        analysis.MapPictures();
        api.MapPreviewPictures();
        api.MapGet("/search", async (string text, ISearchService search, CancellationToken cancellation, string? analysis = null, int take = 6) =>
                TypedResults.Ok(await search.FindAsync(analysis, text, take, cancellation)))
            .WithName("Search").WithSummary("Analyses, classes, concepts, strategies and labels whose names contain every word.").WithTags("search");
        MapSources(api);
        // Below /api everything is data: an unknown address is a problem, not a page.
        api.MapFallback("{**rest}", () => Results.Problem("There is nothing at this address. /openapi/v1.json lists what there is.", statusCode: StatusCodes.Status404NotFound))
            .ExcludeFromDescription();
    }

    private static async Task<IResult> ReadyAsync(IDbContextFactory<DashboardDbContext> databases, HostAddress address, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return address.Known.IsCompleted && await database.Database.CanConnectAsync(cancellation)
            ? Results.Text("ready")
            : Results.Text("not ready", statusCode: StatusCodes.Status503ServiceUnavailable);
    }

    private static async ValueTask<object?> AnalysisExistsAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var id = context.HttpContext.GetRouteValue("id") as string ?? "";
        var service = context.HttpContext.RequestServices.GetRequiredService<AnalysisService>();
        return id.Length != 12 || await service.FindAsync(id, context.HttpContext.RequestAborted) is null
            ? Missing($"There is no analysis '{(id.Length <= 40 ? id : id[..40])}'.")
            : await next(context);
    }

    private static void MapAnalyses(RouteGroupBuilder group)
    {
        group.MapGet("", (IAnalysisService analyses, CancellationToken cancellation, int skip = 0, int take = 50) =>
                Page(skip, take, () => analyses.ListAsync(skip, take, cancellation)))
            .WithName("ListAnalyses").WithSummary("Analyses, newest first.").Produces<Paged<AnalysisSummary>>();
        group.MapGet("/compare", async (string ids, IComparisonService comparisons, CancellationToken cancellation) =>
                TypedResults.Ok(await comparisons.RunsAsync(ids.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), cancellation)))
            .WithName("CompareAnalyses").WithSummary("Figures of finished analyses side by side. ids: up to six identifiers, separated by commas.");
        group.MapPost("", async (NewAnalysis request, IAnalysisService analyses, CancellationToken cancellation) =>
            {
                var summary = await analyses.StartAsync(request, cancellation);
                return TypedResults.Created($"/api/analyses/{summary.Id}", summary);
            })
            .WithName("StartAnalysis").WithSummary("Queues an analysis.").ProducesProblem(StatusCodes.Status400BadRequest);
    }

    private static void MapAnalysis(RouteGroupBuilder group)
    {
        group.MapGet("", async Task<IResult> (string id, IAnalysisService analyses, CancellationToken cancellation) =>
                Found(await analyses.GetAsync(id, cancellation), "analysis"))
            .WithName("GetAnalysis").WithSummary("One analysis.").Produces<AnalysisSummary>();
        group.MapGet("/request", async Task<IResult> (string id, IAnalysisService analyses, CancellationToken cancellation) =>
                Found(await analyses.RequestAsync(id, cancellation), "analysis"))
            .WithName("GetRequest").WithSummary("What was asked for.").Produces<NewAnalysis>();
        group.MapGet("/progress", (string id, IProgressFeed feed) => Found(feed.Current(id), "progress"))
            .WithName("GetProgress").WithSummary("Where the analysis stands; the hub sends the same.").Produces<AnalysisProgress>();
        group.MapPost("/cancel", async (string id, IAnalysisService analyses, CancellationToken cancellation) =>
            {
                await analyses.CancelAsync(id, cancellation);
                return TypedResults.Ok(await analyses.GetAsync(id, cancellation));
            })
            .WithName("CancelAnalysis").WithSummary("Stops a queued or running analysis; what is done is kept.");
        group.MapPost("/resume", async (string id, IAnalysisService analyses, CancellationToken cancellation) =>
            {
                await analyses.ResumeAsync(id, cancellation);
                return TypedResults.Ok(await analyses.GetAsync(id, cancellation));
            })
            .WithName("ResumeAnalysis").WithSummary("Queues a stopped or failed analysis again; it goes on from its checkpoints.");
        group.MapDelete("", async (string id, IAnalysisService analyses, CancellationToken cancellation) =>
            {
                await analyses.DeleteAsync(id, cancellation);
                return TypedResults.NoContent();
            })
            .WithName("DeleteAnalysis").WithSummary("Deletes an analysis and its files.");
        group.MapGet("/log", async (string id, IAnalysisService analyses, CancellationToken cancellation, int lines = 200) =>
                TypedResults.Ok(await analyses.LogAsync(id, lines, cancellation)))
            .WithName("GetLog").WithSummary("The last lines of the run's log.");
        group.MapGet("/skipped", (string id, IAnalysisService analyses, CancellationToken cancellation, int skip = 0, int take = 50) =>
                Page(skip, take, async () =>
                {
                    var all = await analyses.SkippedAsync(id, cancellation);
                    return new Paged<SkippedView>([.. all.Skip(skip).Take(take)], all.Count);
                }))
            .WithName("GetSkipped").WithSummary("Files that were left out, with reasons.").Produces<Paged<SkippedView>>();
        group.MapGet("/manifest", async (string id, IAnalysisService analyses, CancellationToken cancellation) =>
                TypedResults.Content(await analyses.ManifestAsync(id, cancellation), "application/json"))
            .WithName("GetManifest").WithSummary("The recipe of the run: the manifest once finished, the request before.");
    }

    private static void MapComparison(RouteGroupBuilder group)
    {
        group.MapGet("", async Task<IResult> (string id, string other, IComparisonService comparisons, CancellationToken cancellation, double? least = null) =>
                Found(await comparisons.PairAsync(id, other, least, cancellation), "other analysis, or one of the two has not finished"))
            .WithName("CompareTwo").WithSummary("Two finished analyses class by class: matched, gained and lost concepts, shift of importance, accuracy, outliers.").Produces<PairView>();
        group.MapGet("/class", async Task<IResult> (string id, string other, string name, IComparisonService comparisons, CancellationToken cancellation, double? least = null) =>
                Found(await comparisons.ClassPairAsync(id, other, name, least, cancellation), "class in both analyses"))
            .WithName("CompareClass").WithSummary("One class of two analyses, concept by concept.").Produces<ClassPairView>();
        group.MapGet("/changed", (string id, string other, IComparisonService comparisons, CancellationToken cancellation, string? @class = null, int skip = 0, int take = 50) =>
                Page(skip, take, () => comparisons.ChangedAsync(id, other, @class, skip, take, cancellation)))
            .WithName("ListChanged").WithSummary("Images that two analyses predict differently.").Produces<Paged<ChangedSample>>();
    }

    private static void MapAtlas(RouteGroupBuilder group)
    {
        group.MapGet("/atlas", async Task<IResult> (string id, IAtlasService atlas, CancellationToken cancellation) =>
                Found(await atlas.AtlasAsync(id, cancellation), "atlas"))
            .WithName("GetAtlas").WithSummary("Classes, shared concepts and outliers at a glance.").Produces<AtlasView>();
        group.MapGet("/classes", (string id, IAtlasService atlas, CancellationToken cancellation, int skip = 0, int take = 50) =>
                Page(skip, take, async () =>
                {
                    var view = await atlas.AtlasAsync(id, cancellation);
                    return new Paged<ClassTile>([.. (view?.Classes ?? []).Skip(skip).Take(take)], view?.Classes.Count ?? 0);
                }))
            .WithName("ListClasses").WithSummary("Classes in order.").Produces<Paged<ClassTile>>();
        group.MapGet("/classes/{index:int}", async Task<IResult> (string id, int index, IAtlasService atlas, CancellationToken cancellation) =>
                Found(await atlas.ClassAsync(id, index, cancellation), "class, or it is not ready yet"))
            .WithName("GetClass").WithSummary("A class with its concepts and strategies.").Produces<ClassView>();
        group.MapGet("/classes/{index:int}/strategies/{strategy:int}", async Task<IResult> (string id, int index, int strategy, IAtlasService atlas, CancellationToken cancellation) =>
                Found(await atlas.StrategyAsync(id, index, strategy, cancellation), "strategy, or its class is not ready yet"))
            .WithName("GetStrategy").WithSummary("A strategy: its concepts, typical and borderline images, confusions.").Produces<StrategyView>();
        group.MapGet("/classes/{index:int}/samples", (string id, int index, IAtlasService atlas, CancellationToken cancellation, int? strategy = null, int skip = 0, int take = 50) =>
                Page(skip, take, () => atlas.ClassSamplesAsync(id, index, strategy, skip, take, cancellation)))
            .WithName("ListClassSamples").WithSummary("Samples of a class in row order.").Produces<Paged<SampleTile>>();
        group.MapGet("/classes/{index:int}/points", async Task<IResult> (string id, int index, AtlasService atlas, CancellationToken cancellation) =>
                await atlas.ClassPointsAsync(id, index, cancellation) is { } bytes
                    ? TypedResults.Bytes(bytes, "application/octet-stream")
                    : Missing("There is no such class, or it is not ready yet."))
            .WithName("GetClassPoints").WithSummary("Points of the strategic cluster graph, binary (docs/file-formats.md).");
        group.MapGet("/concepts", (string id, AtlasService atlas, CancellationToken cancellation, int skip = 0, int take = 50) =>
                Page(skip, take, () => atlas.ConceptsAsync(id, skip, take, cancellation)))
            .WithName("ListConcepts").WithSummary("Concepts of all classes by identifier.").Produces<Paged<ConceptCard>>();
        group.MapGet("/concepts/{concept:int}", async Task<IResult> (string id, int concept, IAtlasService atlas, CancellationToken cancellation) =>
                Found(await atlas.ConceptAsync(id, concept, cancellation), "concept"))
            .WithName("GetConcept").WithSummary("A concept.").Produces<ConceptView>();
        group.MapGet("/concepts/points", async Task<IResult> (string id, AtlasService atlas, CancellationToken cancellation) =>
                await atlas.ConceptPointsAsync(id, cancellation) is { } bytes
                    ? TypedResults.Bytes(bytes, "application/octet-stream")
                    : Missing("The map of all concepts is not ready yet."))
            .WithName("GetConceptPoints").WithSummary("Points of the map of all concepts, binary (docs/file-formats.md).");
        group.MapGet("/concepts/shared", async Task<IResult> (string id, AtlasService atlas, CancellationToken cancellation) =>
                await atlas.ShareMatrixAsync(id, cancellation) is { } matrix ? TypedResults.Bytes(matrix, "application/octet-stream") : Missing("There is no such analysis."))
            .WithName("GetSharedConcepts").WithSummary("How many concepts each two classes share, binary (docs/file-formats.md).");
        group.MapGet("/concepts/{concept:int}/spread", async Task<IResult> (string id, int concept, IConceptSpreadService spreads, CancellationToken cancellation) =>
                await spreads.SpreadAsync(id, concept, cancellation) is not { } spread ? Missing("There is no such concept.")
                : spread.Problem is { } problem ? TypedResults.Problem(problem, statusCode: StatusCodes.Status409Conflict, title: "The spread is not known")
                : TypedResults.Ok(spread))
            .WithName("ConceptSpread").WithSummary("How strongly the images of each class show a concept: quantiles of its activation.")
            .Produces<ConceptSpread>().ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status409Conflict);
        group.MapGet("/concepts/{concept:int}/tile", async Task<IResult> (string id, int concept, IAtlasService atlas, CancellationToken cancellation) =>
                Found((await atlas.ConceptTilesAsync(id, [concept], cancellation)).FirstOrDefault(), "concept"))
            .WithName("GetConceptTile").WithSummary("A concept in short: its name, class and share.").Produces<SharedMember>();
        group.MapGet("/samples", (string id, AtlasService atlas, CancellationToken cancellation, int skip = 0, int take = 50) =>
                Page(skip, take, () => atlas.AllSamplesAsync(id, skip, take, cancellation)))
            .WithName("ListSamples").WithSummary("Samples in row order.").Produces<Paged<SampleTile>>();
        group.MapGet("/samples/{sample:int}", async Task<IResult> (string id, int sample, IAtlasService atlas, CancellationToken cancellation) =>
                Found(await atlas.SampleAsync(id, sample, cancellation), "sample"))
            .WithName("GetSample").WithSummary("A sample and why it was predicted so.").Produces<SampleView>();
        group.MapGet("/outliers", async Task<IResult> (
                string id, IAtlasService atlas, CancellationToken cancellation, string? kind = null, int? @class = null, bool unjudged = false, bool all = false, int skip = 0, int take = 50) =>
            {
                if (PageFault(skip, take) is { } fault)
                {
                    return fault;
                }

                var view = await atlas.OutliersAsync(id, new OutlierFilter(kind, @class, unjudged, all), skip, take, cancellation);
                return view is null ? Missing("There is no such analysis.") : TypedResults.Ok(new { view.Samples.Items, view.Samples.Total, view.Kinds, view.Pending });
            })
            .WithName("ListOutliers").WithSummary("Samples that do not fit, most odd first.");
    }

    private static void MapAnnotations(RouteGroupBuilder group)
    {
        group.MapPut("/annotations/concepts/{concept:int}", async (string id, int concept, NameAndNote body, IAnnotationService annotations, CancellationToken cancellation) =>
            {
                await annotations.NameConceptAsync(id, concept, body.Name, cancellation);
                await annotations.NoteConceptAsync(id, concept, body.Note, cancellation);
                return TypedResults.NoContent();
            })
            .WithName("AnnotateConcept").WithSummary("Names a concept and notes on it; null removes.");
        group.MapPut("/annotations/concepts/{concept:int}/list", async (string id, int concept, ConceptPlace body, IAnnotationService annotations, CancellationToken cancellation) =>
            {
                await (body.Into is null ? annotations.HideConceptAsync(id, concept, body.Hidden, cancellation) : annotations.MergeConceptAsync(id, concept, body.Into, cancellation));
                return TypedResults.NoContent();
            })
            .WithName("PlaceConcept").WithSummary("Hides a concept, lists it under another one of its class, or takes either back. Numbers do not change.");
        group.MapPut("/annotations/classes/{index:int}/strategies/{strategy:int}", async (string id, int index, int strategy, NameAndNote body, IAnnotationService annotations, CancellationToken cancellation) =>
            {
                await annotations.NameStrategyAsync(id, index, strategy, body.Name, cancellation);
                await annotations.NoteStrategyAsync(id, index, strategy, body.Note, cancellation);
                return TypedResults.NoContent();
            })
            .WithName("AnnotateStrategy").WithSummary("Names a strategy and notes on it; null removes.");
        group.MapPut("/annotations/samples/{sample:int}", async (string id, int sample, SampleAnnotation body, IAnnotationService annotations, CancellationToken cancellation) =>
            {
                await annotations.JudgeSampleAsync(id, sample, body.Verdict, cancellation);
                return TypedResults.NoContent();
            })
            .WithName("JudgeSample").WithSummary("Judges a sample: fine, wronglabel, remove, confounder; null takes it back.");
    }

    private static void MapReports(RouteGroupBuilder group)
    {
        group.MapGet("/classes/{index:int}/report", async Task<IResult> (string id, int index, ReportWriter reports, CancellationToken cancellation) =>
                await reports.ClassAsync(id, index, cancellation) is { } html ? Download(html, $"class-{index}") : Missing("There is no such class, or it is not ready yet."))
            .WithName("GetClassReport").WithSummary("A class page as one self-contained HTML file.");
        group.MapGet("/outliers/report", async Task<IResult> (
                string id, ReportWriter reports, CancellationToken cancellation, string? kind = null, int? @class = null) =>
                await reports.OutliersAsync(id, new OutlierFilter(kind, @class), cancellation) is { } html ? Download(html, "outliers") : Missing("There is no such analysis."))
            .WithName("GetOutlierReport").WithSummary("The outlier list as one self-contained HTML file.");
    }

    private static void MapShares(RouteGroupBuilder api, RouteGroupBuilder analysis)
    {
        analysis.MapGet("/shares", async (string id, IShareService shares, CancellationToken cancellation) =>
            {
                var all = await shares.ListAsync(id, cancellation);
                return TypedResults.Ok(new Paged<ShareLink>(all, all.Count));
            })
            .WithName("ListShares").WithSummary("Read-only links that still work.").WithTags("shares");
        analysis.MapPost("/shares", async (string id, NewShare body, IShareService shares, CancellationToken cancellation) =>
            {
                var link = body.Class is { } index
                    ? await shares.ShareClassAsync(id, index, cancellation)
                    : await shares.ShareOutliersAsync(id, body.Outliers ?? new OutlierFilter(), cancellation);
                return TypedResults.Created(link.Url, link);
            })
            .WithName("Share").WithSummary("Makes a read-only link to a class page or an outlier list.").WithTags("shares");
        api.MapDelete("/shares/{token}", async (string token, IShareService shares, CancellationToken cancellation) =>
            {
                await shares.RevokeAsync(token, cancellation);
                return TypedResults.NoContent();
            })
            .WithName("RevokeShare").WithSummary("Ends a link.").WithTags("shares");
    }

    private static void MapSources(RouteGroupBuilder api)
    {
        var group = api.MapGroup("").WithTags("sources");
        group.MapGet("/methods", (IMethodService methods) => TypedResults.Ok(methods.Catalogue))
            .WithName("ListMethods").WithSummary("Extraction methods and importance estimators, with constraints, parameters and bounds.");
        group.MapGet("/datasets/folders", async (ISourceService sources, CancellationToken cancellation, string path = "") =>
                TypedResults.Ok(await sources.ListAsync(path, cancellation)))
            .WithName("ListFolder").WithSummary("A folder below the allowed roots; without a path the roots.");
        group.MapGet("/datasets/preview", async (string path, ISourceService sources, CancellationToken cancellation) =>
            {
                var view = await sources.PreviewDatasetAsync(path, cancellation);
                return TypedResults.Ok(new
                {
                    view.Path,
                    view.Name,
                    view.Format,
                    view.Images,
                    Classes = view.Classes.Select(entry => new { entry.Name, entry.Images }),
                    Skipped = view.Skipped.Select(entry => new { entry.Path, entry.Reason }),
                    view.SkippedTotal,
                    view.Examples,
                    view.PreviewToken,
                });
            })
            .WithName("PreviewDataset").WithSummary("Recognises a data set.");
        group.MapGet("/networks/preview", async (string path, string dataset, ISourceService sources, CancellationToken cancellation, string? architecture = null) =>
                TypedResults.Ok(await sources.PreviewNetworkAsync(path, dataset, architecture, cancellation)))
            .WithName("PreviewNetwork").WithSummary("Recognises a network and tries it on up to 200 images.");
    }

    internal static ProblemHttpResult Missing(string detail) => TypedResults.Problem(detail, statusCode: StatusCodes.Status404NotFound, title: "Not found");

    internal static IResult Found<T>(T? value, string what)
        where T : class => value is null ? Missing($"There is no such {what}.") : TypedResults.Ok(value);

    internal static async Task<IResult> Page<T>(int skip, int take, Func<Task<Paged<T>>> read) =>
        PageFault(skip, take) is { } fault ? fault : TypedResults.Ok(await read());

    private static ProblemHttpResult? PageFault(int skip, int take) => skip < 0 || take is < 0 or > MostRows
        ? TypedResults.Problem(
            $"skip is {skip} and take is {take}. Use skip from 0 on and take from 0 to {MostRows}.", statusCode: StatusCodes.Status400BadRequest, title: "The page cannot be given")
        : null;

    private static IResult Download(string html, string name) =>
        Results.File(System.Text.Encoding.UTF8.GetBytes(html), "text/html; charset=utf-8", $"concept-atlas-{name}.html");
}

/// <summary>What a person writes about a concept or a strategy.</summary>
/// <param name="Name">Name; null for none.</param>
/// <param name="Note">Note; null for none.</param>
internal sealed record NameAndNote(string? Name, string? Note);

/// <summary>What a person thinks of a sample.</summary>
/// <param name="Verdict">fine, wronglabel, remove, confounder or null.</param>
internal sealed record SampleAnnotation(string? Verdict);

/// <summary>Where lists show a concept.</summary>
/// <param name="Hidden">Left out.</param>
/// <param name="Into">Under this other concept of its class; then <paramref name="Hidden"/> does not count.</param>
internal sealed record ConceptPlace(bool Hidden = false, int? Into = null);

/// <summary>What to share: a class page or an outlier list.</summary>
/// <param name="Class">Class index; null for the outlier list.</param>
/// <param name="Outliers">Which outliers; null for all flagged.</param>
internal sealed record NewShare(int? Class, OutlierFilter? Outliers);
