using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;

namespace Dashboard.Client.Tests.Pages;

/// <summary>Pages of one analysis with two classes, with its tasks and the concepts that people defined.</summary>
public abstract class AnalysisPageContext : BunitContext
{
    /// <summary>The analysis.</summary>
    protected const string Id = "0123456789ab";

    private protected AnalysisPageContext()
    {
        JSInterop.Mode = JSRuntimeMode.Loose;
        Services.AddDashboardClient();
        Services.AddSingleton<IAnalysisService>(Fakes).AddSingleton<IAtlasService>(Fakes).AddSingleton<IAnnotationService>(Fakes).AddSingleton<IProgressFeed>(Fakes)
            .AddSingleton<ITaskService>(Tasks).AddSingleton<IUserConceptService>(Concepts)
            .AddSingleton<ISampleSearchService>(Search).AddSingleton<ISearchService>(Search).AddSingleton<IOwnImageService>(Images)
            .AddSingleton<IConceptSpreadService>(Spreads);
        SetRendererInfo(new RendererInfo("Server", isInteractive: true));
        Fakes.View = new AtlasView { Analysis = Samples.Analysis(), Classes = [Samples.Class(0, "cat"), Samples.Class(1, "dog")] };
    }

    private protected FakeServices Fakes { get; } = new();

    private protected FakeTasks Tasks { get; } = new();

    private protected FakeOwnImages Images { get; } = new();

    private protected FakeSearch Search { get; } = new();

    private protected FakeSpreads Spreads { get; } = new();

    private protected FakeConcepts Concepts { get; } = new();

    /// <summary>Opens a page of the analysis at an address below it.</summary>
    protected IRenderedComponent<TPage> Open<TPage>(string address)
        where TPage : IComponent
    {
        Services.GetRequiredService<NavigationManager>().NavigateTo($"/analyses/{Id}/{address}");
        return Render<TPage>(p => p.TryAdd("Id", Id));
    }
}
