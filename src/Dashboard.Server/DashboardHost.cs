using System.Globalization;
using Analysis;
using Dashboard.Client;
using Dashboard.Client.Contracts;
using Dashboard.Server.Access;
using Dashboard.Server.Api;
using Dashboard.Server.Components;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Hubs;
using Dashboard.Server.Images;
using Dashboard.Server.Jobs;
using Dashboard.Server.Reports;
using Dashboard.Server.Services;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting.StaticWebAssets;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace Dashboard.Server;

/// <summary>Composes the site. Everything that a test or the command line can set comes in as configuration.</summary>
internal static class DashboardHost
{
    private const string AssemblyName = "Dashboard.Server";

    /// <summary>
    /// Builds the site, checks its settings and opens the catalogue; the caller runs it.
    /// </summary>
    /// <param name="settings">Configuration that comes before files and environment variables, such as <c>Dashboard:DataDirectory</c>.</param>
    /// <param name="cancellation">Ends the preparation.</param>
    /// <exception cref="AnalysisException">A setting is wrong, or the data directory or catalogue cannot be used.</exception>
    public static async Task<WebApplication> CreateAsync(IReadOnlyDictionary<string, string?> settings, CancellationToken cancellation = default)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = [],
            // The site's files lie beside the program, wherever it is started from.
            ContentRootPath = AppContext.BaseDirectory,
            ApplicationName = AssemblyName,
        });
        builder.Configuration.AddInMemoryCollection(settings);
        if (File.Exists(Path.Combine(AppContext.BaseDirectory, AssemblyName + ".staticwebassets.runtime.json")))
        {
            // Built, not published: the files are served from where they lie in the source tree.
            StaticWebAssetsLoader.UseStaticWebAssets(builder.Environment, builder.Configuration);
            if (!builder.Environment.IsDevelopment())
            {
                // Watching these files for edits would forbid browsers to keep any of them.
                builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["ReloadStaticAssetsAtRuntime"] = bool.FalseString });
            }
        }

        ConfigureLogging(builder);
        ConfigureServices(builder.Services, builder.Configuration);
        var options = ReadOptions(builder.Configuration);
        builder.WebHost.UseUrls([.. options.Addresses]);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = 1 << 20;
        });
        // A fault in the queue is handled there; the site stays up.
        builder.Services.Configure<HostOptions>(host =>
        {
            host.BackgroundServiceExceptionBehavior = BackgroundServiceExceptionBehavior.Ignore;
            host.ShutdownTimeout = TimeSpan.FromSeconds(5);
        });

        var app = builder.Build();
        try
        {
            var folders = app.Services.GetRequiredService<DataFolders>();
            folders.Prepare();
            var databases = app.Services.GetRequiredService<IDbContextFactory<DashboardDbContext>>();
            await Catalogue.OpenAsync(databases, folders, cancellation);
            await app.Services.GetRequiredService<Recovery>().RestoreAsync(cancellation);
            Map(app);
            return app;
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    private static void ConfigureLogging(WebApplicationBuilder builder)
    {
        builder.Logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss ";
        });
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error);
        builder.Logging.AddFilter("Microsoft.AspNetCore.StaticAssets", LogLevel.Error);
        builder.Logging.AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning);
        // The command line says in its own words why the site could not start.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Logging.AddFilter("Microsoft.EntityFrameworkCore", LogLevel.Critical);
    }

    private static void ConfigureServices(IServiceCollection services, IConfiguration configuration)
    {
        services.Configure<DashboardOptions>(configuration.GetSection(DashboardOptions.Section));
        services.PostConfigure<DashboardOptions>(options => TakeUrls(options, configuration));
        services.AddSingleton<IValidateOptions<DashboardOptions>, DashboardOptionsValidator>();
        services.AddSingleton<DataFolders>();
        services.AddCatalogue();
        services.AddSingleton<Recovery>();

        services.AddSingleton<HostAddress>();
        services.AddSingleton<ProgressStore>();
        services.AddSingleton<IProgressFeed>(provider => provider.GetRequiredService<ProgressStore>());
        services.AddSingleton<AtlasIngestion>();
        services.AddSingleton<StoreCleaner>();
        services.AddSingleton<WorkerSupervisor>();
        services.AddSingleton<AnalysisQueue>();
        services.AddSingleton<TaskQueue>();
        services.AddSingleton<JobCoordinator>();
        services.AddHostedService(provider => provider.GetRequiredService<JobCoordinator>());
        services.AddHostedService<SampleStarter>();

        services.AddSingleton<AllowedRoots>();
        services.AddSingleton<IMethodService, MethodService>();
        services.AddSingleton<AnalysisService>();
        services.AddSingleton<IAnalysisService>(provider => provider.GetRequiredService<AnalysisService>());
        services.AddSingleton<TaskService>();
        services.AddSingleton<ITaskService>(provider => provider.GetRequiredService<TaskService>());
        services.AddSingleton<SourceService>();
        services.AddSingleton<ISourceService>(provider => provider.GetRequiredService<SourceService>());
        services.AddSingleton<LabelIndex>();
        services.AddSingleton<AtlasService>();
        services.AddSingleton<IComparisonService, ComparisonService>();
        services.AddSingleton<IAtlasService>(provider => provider.GetRequiredService<AtlasService>());
        services.AddSingleton<IAnnotationService, AnnotationService>();
        services.AddSingleton<DraftResolver>();
        services.AddSingleton<IUserConceptService, UserConceptService>();
        services.AddSingleton<ISearchService, SearchService>();
        services.AddSingleton<SampleSearchService>();
        services.AddSingleton<ISampleSearchService>(provider => provider.GetRequiredService<SampleSearchService>());
        services.AddSingleton<IConceptSpreadService, ConceptSpreadService>();
        services.AddSingleton<IOwnImageService, OwnImageService>();
        services.AddSingleton<ShareService>();
        services.AddSingleton<IShareService>(provider => provider.GetRequiredService<ShareService>());
        services.AddSingleton<ReportWriter>();
        services.AddSingleton<OpenDatasets>();
        services.AddSingleton<PictureService>();
        services.AddSingleton<ClassArraysCache>();

        services.AddDataProtection().SetApplicationName("ConceptAtlas");
        services.AddOptions<Microsoft.AspNetCore.DataProtection.KeyManagement.KeyManagementOptions>()
            .Configure<DataFolders, ILoggerFactory>((keys, folders, logging) =>
                keys.XmlRepository = new Microsoft.AspNetCore.DataProtection.Repositories.FileSystemXmlRepository(new DirectoryInfo(folders.Keys), logging));
        services.AddSingleton<LoginCookie>();
        services.AddHttpContextAccessor();
        services.AddAntiforgery(options => options.SuppressXFrameOptionsHeader = true);

        services.AddSignalR(hub =>
        {
            hub.MaximumReceiveMessageSize = 1 << 20;
            hub.EnableDetailedErrors = false;
        }).AddJsonProtocol(protocol => Json.Configure(protocol.PayloadSerializerOptions));
        services.AddSingleton<HubSubscriptions>();
        services.ConfigureHttpJsonOptions(http => Json.Configure(http.SerializerOptions));
        services.AddProblemDetails();
        // Faults in a request's body are told like all others.
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.AddOpenApi("v1", ApiDocument.Configure);
        // Over plain HTTP only, which is the default: compressed secrets beside reflected text could be guessed over HTTPS.
        services.AddResponseCompression(compression => compression.MimeTypes = ["text/html", "text/css", "text/javascript", "application/json", "image/svg+xml"]);
        services.AddRazorComponents().AddInteractiveServerComponents();
        services.AddDashboardClient();
    }

    private static void Map(WebApplication app)
    {
        app.UseSecurityHeaders();
        app.UseResponseCompression();
        app.UseMiddleware<AccessMiddleware>();
        app.UseMiddleware<ApiFaults>();
        app.UseWhen(context => context.Request.Path.StartsWithSegments("/api"), api => api.UseStatusCodePages());
        app.UseWhen(
            context => !context.Request.Path.StartsWithSegments("/api"),
            site =>
            {
                site.UseExceptionHandler(fault => fault.Run(context => context.Response.WriteAsync(ReportHtml.Page(
                    "Fault",
                    "<h1>This page could not be made</h1><p>The site met an unexpected fault; its log has the details. Nothing is lost.</p><p><a href=\"/\">To the start page</a></p>"))));
                site.UseStatusCodePagesWithReExecute("/not-found", createScopeForStatusCodePages: true);
            });
        app.UseRouting();
        app.UseCircuitEnd();
        app.UseAntiforgery();

        app.MapStaticAssets();
        app.MapLogin();
        app.MapApi();
        app.MapShared();
        app.MapOpenApi("/openapi/{documentName}.json");
        app.MapHub<AnalysisHub>("/hubs/analyses");
        app.MapHub<WorkerHub>(WorkerIdentity.HubPath);
        app.MapRazorComponents<App>()
            // The policy of SecurityHeaders says who may frame a page; a second header would hide it.
            .AddInteractiveServerRenderMode(mode => mode.ContentSecurityFrameAncestorsPolicy = null)
            .AddAdditionalAssemblies(typeof(Routes).Assembly);
    }

    private static DashboardOptions ReadOptions(IConfiguration configuration)
    {
        var options = new DashboardOptions();
        try
        {
            configuration.GetSection(DashboardOptions.Section).Bind(options);
        }
        catch (InvalidOperationException fault)
        {
            throw new AnalysisException($"The settings cannot be read: {fault.InnerException?.Message ?? fault.Message}", "Correct the value, or leave it out to use the default.", fault);
        }

        TakeUrls(options, configuration);
        var outcome = new DashboardOptionsValidator().Validate(null, options);
        if (outcome.Failed)
        {
            throw new AnalysisException(string.Join(Environment.NewLine, outcome.Failures));
        }

        return options;
    }

    /// <summary>ASPNETCORE_URLS and the like are honoured where the site's own setting is empty.</summary>
    private static void TakeUrls(DashboardOptions options, IConfiguration configuration)
    {
        if (options.Urls.Length == 0)
        {
            options.Urls = configuration["urls"]
                ?? (configuration["http_ports"] is { Length: > 0 } ports
                    ? string.Join(';', ports.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(port => string.Create(CultureInfo.InvariantCulture, $"http://*:{port}")))
                    : "");
        }
    }
}
