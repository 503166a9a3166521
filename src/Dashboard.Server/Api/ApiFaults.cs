using Analysis;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Microsoft.AspNetCore.Mvc;

namespace Dashboard.Server.Api;

/// <summary>Turns faults of the API into problem details: what a person can solve as 400, the rest as 500 without inner workings.</summary>
internal sealed class ApiFaults(RequestDelegate next, ILogger<ApiFaults> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (!context.Request.Path.StartsWithSegments("/api"))
        {
            await next(context);
            return;
        }

        try
        {
            await next(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody waits for the answer.
        }
        catch (Exception fault) when (!context.Response.HasStarted)
        {
            var (status, title, detail) = fault switch
            {
                ServiceException or AnalysisException => (StatusCodes.Status400BadRequest, "The request cannot be carried out", fault.Message),
                BadHttpRequestException bad => (bad.StatusCode, "The request cannot be understood", bad.InnerException?.Message ?? bad.Message),
                _ when Disk.IsFull(fault) => (StatusCodes.Status507InsufficientStorage, "The disk is full", "Free some space and try again: what is done is kept."),
                _ => (StatusCodes.Status500InternalServerError, "The site met an unexpected fault", "The log of the site has the details."),
            };
            if (status >= 500)
            {
                logger.LogError(fault, "{Method} {Path} failed", context.Request.Method, context.Request.Path);
            }

            context.Response.Clear();
            context.Response.StatusCode = status;
            await context.Response.WriteAsJsonAsync(
                new ProblemDetails { Status = status, Title = title, Detail = detail }, options: null, contentType: "application/problem+json");
        }
    }
}
