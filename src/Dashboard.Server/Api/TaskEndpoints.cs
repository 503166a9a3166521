using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Services;
using Microsoft.Net.Http.Headers;

namespace Dashboard.Server.Api;

/// <summary>Tasks beside a finished analysis: comparisons, concept images, and the like.</summary>
internal static class TaskEndpoints
{
    public static void MapTasks(this RouteGroupBuilder analysis)
    {
        var group = analysis.MapGroup("/tasks").WithTags("tasks");
        group.MapPost("", async Task<IResult> (string id, NewTask request, ITaskService tasks, CancellationToken cancellation) =>
            {
                var task = await tasks.StartAsync(id, request.Kind, request.Parameters, cancellation);
                var place = $"/api/analyses/{id}/tasks/{task.Id}";
                return task.State == AnalysisState.Completed ? TypedResults.Ok(task) : TypedResults.Accepted(place, task);
            })
            .WithName("StartTask")
            .WithSummary("Asks for a task beside a complete analysis.")
            .WithDescription("Answers 202 with the queued or running task. An equal wish whose result is stored is answered by it, with 200. The hub /hubs/analyses tells the progress: SubscribeTask.")
            .Produces<TaskView>(StatusCodes.Status202Accepted).Produces<TaskView>().ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapGet("", async (string id, ITaskService tasks, CancellationToken cancellation, string? kind = null, int skip = 0, int take = 50) =>
                await ApiEndpoints.Page(skip, take, async () =>
                {
                    var all = await tasks.ListAsync(id, kind, cancellation);
                    return new Paged<TaskView>([.. all.Skip(skip).Take(take)], all.Count);
                }))
            .WithName("ListTasks").WithSummary("Tasks of the analysis, newest first.").Produces<Paged<TaskView>>();
        group.MapGet("/{task}", async Task<IResult> (string id, string task, ITaskService tasks, CancellationToken cancellation) =>
                ApiEndpoints.Found(await tasks.GetAsync(id, task, cancellation), "task"))
            .WithName("GetTask").WithSummary("One task with its progress.").Produces<TaskView>();
        group.MapGet("/{task}/result", (HttpContext context, string id, string task, TaskService tasks, CancellationToken cancellation) =>
                SendAsync(context, id, task, TaskRunner.ResultFile, tasks, cancellation))
            .WithName("GetTaskResult").WithSummary("The result as JSON.").Produces<object>();
        group.MapGet("/{task}/files/{name}", (HttpContext context, string id, string task, string name, TaskService tasks, CancellationToken cancellation) =>
                SendAsync(context, id, task, name, tasks, cancellation))
            .WithName("GetTaskFile").WithSummary("A file that the task made; the preview while it runs.")
            .Produces(StatusCodes.Status200OK, contentType: "application/octet-stream").Produces(StatusCodes.Status304NotModified);
        group.MapPost("/{task}/cancel", async Task<IResult> (string id, string task, ITaskService tasks, CancellationToken cancellation) =>
            {
                if (await tasks.GetAsync(id, task, cancellation) is null)
                {
                    return ApiEndpoints.Missing("There is no such task.");
                }

                await tasks.CancelAsync(id, task, cancellation);
                return ApiEndpoints.Found(await tasks.GetAsync(id, task, cancellation), "task");
            })
            .WithName("CancelTask").WithSummary("Stops a queued or running task; what it has written is kept for the next try.")
            .Produces<TaskView>().ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapDelete("/{task}", async Task<IResult> (string id, string task, ITaskService tasks, CancellationToken cancellation) =>
            {
                if (await tasks.GetAsync(id, task, cancellation) is null)
                {
                    return ApiEndpoints.Missing("There is no such task.");
                }

                await tasks.DeleteAsync(id, task, cancellation);
                return TypedResults.NoContent();
            })
            .WithName("DeleteTask").WithSummary("Stops a task where it is at work, and deletes it with its files.").Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> SendAsync(HttpContext context, string id, string task, string name, TaskService tasks, CancellationToken cancellation)
    {
        if (await tasks.FileAsync(id, task, name, cancellation) is not { } file)
        {
            return ApiEndpoints.Missing("The task has no such file, or not yet.");
        }

        // Previews change under the same name: caches ask each time, and mostly hear "not modified".
        context.Response.Headers.CacheControl = "private, no-cache";
        var tag = new EntityTagHeaderValue($"\"{file.Changed.UtcTicks:x}-{file.Length:x}\"");
        try
        {
            // Opened before the answer begins: a preview may be replaced meanwhile, and the open file stays whole.
            var stream = new FileStream(file.Path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            return TypedResults.Stream(stream, file.ContentType, entityTag: tag);
        }
        catch (Exception fault) when (fault is FileNotFoundException or DirectoryNotFoundException)
        {
            return ApiEndpoints.Missing("The task has no such file, or not yet.");
        }
    }
}
