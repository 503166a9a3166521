using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Samples;

/// <summary>An image that a person brought: the same as the page of a sample says, and what is like it.</summary>
public sealed partial class OwnImagePage
{
    private const int Alike = 12;
    private IReadOnlyList<ConceptCard> _mapped = [];
    private IReadOnlyList<FoundSample> _alike = [];
    private string? _error;
    private (OwnImageView? View, IReadOnlyList<FoundSample> Alike) _found = (null, []);
    private OwnImageView? _kept;
    private bool _waiting;

    /// <summary>Name of the image; null to bring one.</summary>
    [Parameter]
    public string? Hash { get; set; }

    /// <summary>Class whose concepts explain it; null for that of the prediction.</summary>
    [SupplyParameterFromQuery(Name = "class")]
    public int? Of { get; set; }

    /// <summary>Concept whose map lies over the image.</summary>
    [SupplyParameterFromQuery]
    public int? Map { get; set; }

    [Inject]
    private IOwnImageService Images { get; set; } = default!;

    [Inject]
    private ISampleSearchService Search { get; set; } = default!;

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    /// <inheritdoc/>
    protected override string Key => $"{Hash}/{Of?.ToString(CultureInfo.InvariantCulture)}";

    private ConceptCard? Shown => _mapped.FirstOrDefault(concept => concept.Id == Map);

    private string Sentence => View switch
    {
        { Problem: not null } => "",
        { Hash: null } => "See what the network makes of any image: its prediction, the concepts behind it, where they are, and the images that it sees alike.",
        { Sample: { } sample } => SearchSentences.OwnImage(sample),
        _ => "The network has not looked at it yet.",
    };

    /// <inheritdoc/>
    protected override async Task<OwnImageView?> ReadAsync(CancellationToken cancellation)
    {
        var view = await Images.GetAsync(Id, Hash, Of, cancellation);
        // By the concepts of another class takes a moment: until then the page stays as it is, and so does the focus.
        if (view is { Sample: null, Hash: not null, Problem: null } && View is { Sample: not null } && View.Hash == view.Hash && View.Analysis.Id == Id)
        {
            return _kept = View with { };
        }

        IReadOnlyList<FoundSample> alike = [];
        if (view?.Sample is not null)
        {
            try
            {
                alike = (await Search.FindAsync(Id, new SampleSearch { Image = Hash }, 0, Alike, cancellation))?.Found ?? [];
            }
            catch (ServiceException)
            {
                // The rest of the page does not need it; the search itself says why.
            }
        }

        _found = (view, alike);
        return view;
    }

    // Of two readings that overlap one is dropped: what is shown comes from the one that is kept.
    /// <inheritdoc/>
    protected override void OnRead()
    {
        _waiting = View is not null && ReferenceEquals(View, _kept);
        _mapped = View?.Sample is { } sample ? [.. sample.Concepts.Where(concept => View.Maps.ContainsKey(concept.Id))] : [];
        if (ReferenceEquals(View, _found.View))
        {
            _alike = _found.Alike;
        }
    }

    /// <inheritdoc/>
    protected override void OnLeaving() => _error = null;

    private string Picture(int size) => ApiUrls.OwnThumbnail(Id, View!.Hash!, size);

    private void OnBrought(string hash) => Navigation.NavigateTo(PageUrls.OwnImage(Id, hash));

    private async Task OnTask(TaskView task)
    {
        if (task.State == AnalysisState.Completed)
        {
            await LoadAsync();
            StateHasChanged();
        }
    }

    private async Task ChooseClassAsync(ChangeEventArgs change)
    {
        if (!int.TryParse(change.Value?.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var index))
        {
            return;
        }

        try
        {
            await Tasks.StartAsync(Id, OwnImageView.TaskKind, OwnImageView.Parameters(Hash!, index), Lifetime);
            Navigation.NavigateTo($"{PageUrls.OwnImage(Id, Hash)}?class={index.ToString(CultureInfo.InvariantCulture)}");
        }
        catch (ServiceException fault)
        {
            _error = fault.Message;
        }
    }

    private async Task ForgetAsync()
    {
        try
        {
            await Images.DeleteAsync(Id, Hash!, Lifetime);
            Navigation.NavigateTo(PageUrls.OwnImage(Id));
        }
        catch (ServiceException fault)
        {
            _error = fault.Message;
        }
    }
}
