using Dashboard.Client.Contracts;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.WebUtilities;

namespace Dashboard.Client.Realtime;

/// <summary>
/// A page of one analysis: reads its view once per address, again when the run has gone on, and knows whether there is
/// anything to show. Of two readings that overlap only the later one counts.
/// </summary>
/// <typeparam name="TView">What it shows.</typeparam>
public abstract class AnalysisPage<TView> : LiveComponent
    where TView : class, IAnalysisView
{
    private AddressTrail? _trail;
    private string? _read;
    private int _reading;

    /// <summary>The analysis.</summary>
    [Parameter]
    public string Id { get; set; } = "";

    /// <summary>Reads the atlas.</summary>
    [Inject]
    protected IAtlasService Atlas { get; set; } = default!;

    /// <summary>Addresses.</summary>
    [Inject]
    protected NavigationManager Navigation { get; set; } = default!;

    /// <summary>What is shown; null before the first reading and where there is nothing.</summary>
    protected TView? View { get; set; }

    /// <summary>True once it is known that there is nothing at this address (yet).</summary>
    protected bool IsMissing { get; private set; }

    private AddressTrail Trail => _trail ??= new AddressTrail(Navigation);

    /// <summary>What of the address decides on the view, besides the analysis; the rest of the address is selection.</summary>
    protected abstract string Key { get; }

    /// <summary>Reads the view; null where there is none.</summary>
    protected abstract Task<TView?> ReadAsync(CancellationToken cancellation);

    /// <summary>The address leads to another view: forget what belonged to the last one.</summary>
    protected virtual void OnLeaving()
    {
    }

    /// <summary>Another view, or none, was read.</summary>
    protected virtual void OnRead()
    {
    }

    /// <summary>The address changed in any way; called after reading.</summary>
    protected virtual void OnAddress()
    {
    }

    /// <summary>Whether progress makes the view worth reading again.</summary>
    protected virtual bool IsStale(AnalysisProgress progress) => View is null || View.Analysis.State != progress.State;

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        Trail.Arrive();
        var key = $"{Id}/{Key}";
        if (_read != key)
        {
            _read = key;
            OnLeaving();
            await LoadAsync();
            Follow(Id);
        }

        OnAddress();
    }

    /// <inheritdoc/>
    protected override async Task<bool> OnProgressAsync(AnalysisProgress progress)
    {
        if (!IsStale(progress))
        {
            return false;
        }

        await LoadAsync();
        OnAddress();
        return true;
    }

    /// <summary>Reads the view again.</summary>
    protected async Task LoadAsync()
    {
        var mine = ++_reading;
        var view = await ReadAsync(Lifetime);
        if (mine == _reading)
        {
            View = view;
            IsMissing = view is null;
            OnRead();
        }
    }

    /// <summary>Changes the selection in the address without leaving the page; null removes a value.</summary>
    protected void Select(params (string Name, object? Value)[] changes) =>
        Trail.Go(Navigation.GetUriWithQueryParameters(Trail.Latest, changes.ToDictionary(c => c.Name, c => c.Value)));

    /// <summary>Changes the selection as <see cref="Select"/> does, and leaves a step to go back to.</summary>
    protected void SelectAnew(params (string Name, object? Value)[] changes) =>
        GoTo(Navigation.GetUriWithQueryParameters(Trail.Latest, changes.ToDictionary(c => c.Name, c => c.Value)));

    /// <summary>Goes to another address of this page, and leaves a step to go back to.</summary>
    /// <param name="address">Absolute, or relative to the site.</param>
    protected void GoTo(string address) => Trail.Go(Navigation.ToAbsoluteUri(address).ToString(), replace: false);

    /// <summary>A value of the address that <see cref="Select"/> asked for last: what a switch of many has to begin from. Null for none.</summary>
    protected string? Selected(string name) =>
        QueryHelpers.ParseQuery(new Uri(Trail.Latest).Query).TryGetValue(name, out var value) ? value.ToString() : null;
}
