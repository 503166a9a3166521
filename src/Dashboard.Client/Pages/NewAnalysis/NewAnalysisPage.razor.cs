using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.Realtime;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.WebUtilities;

namespace Dashboard.Client.Pages.NewAnalysis;

/// <summary>Four steps to a new analysis: data, network and layer, method, review. What was chosen is in the address.</summary>
public sealed partial class NewAnalysisPage : IDisposable
{
    private readonly CancellationTokenSource _lifetime = new();
    private AddressTrail _trail = default!;
    private Wizard _wizard = Wizard.FromQuery(new Dictionary<string, string?>());
    private DatasetPreview? _dataset;
    private NetworkPreview? _network;
    private CostEstimate? _cost;
    private string? _dataRead;
    private string? _networkRead;
    private string? _costRead;
    private string? _dataError;
    private string? _networkError;
    private string? _costError;
    private string? _startError;
    private bool _readingData;
    private bool _readingNetwork;
    private bool _starting;

    [Inject]
    private ISourceService Sources { get; set; } = default!;

    [Inject]
    private IAnalysisService Analyses { get; set; } = default!;

    [Inject]
    private IMethodService Methods { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    private Dashboard.Client.Contracts.NewAnalysis Request => _wizard.Request;

    // What will be chosen once the browser has answered: what is chosen next comes on top of it.
    private Wizard Latest => _trail.Latest is var address && address == Navigation.Uri ? _wizard : At(address);

    private LayerView? Chosen => Wizard.Layer(Request, _network);

    private string? Missing => _wizard.Missing(_dataset, _network, Methods.Catalogue);

    private MethodView? Method => Methods.Catalogue.Method(Request.Method);

    private IReadOnlyDictionary<string, string> Problems => MethodRules.Problems(Request, Chosen, Methods.Catalogue);

    /// <inheritdoc/>
    protected override void OnInitialized()
    {
        _trail = new AddressTrail(Navigation);
        Navigation.LocationChanged += OnLocationChanged;
    }

    /// <inheritdoc/>
    protected override Task OnParametersSetAsync() => ReadAsync();

    // The address is what counts: back and forward walk through the steps.
    private void OnLocationChanged(object? sender, Microsoft.AspNetCore.Components.Routing.LocationChangedEventArgs e) =>
        _ = InvokeAsync(async () =>
        {
            if (!new Uri(Navigation.Uri).AbsolutePath.Equals(PageUrls.New, StringComparison.OrdinalIgnoreCase))
            {
                return;
            }

            try
            {
                await ReadAsync();
                StateHasChanged();
            }
            catch (OperationCanceledException) when (_lifetime.IsCancellationRequested)
            {
                // The page was left.
            }
        });

    private async Task ReadAsync()
    {
        _trail.Arrive();
        _wizard = At(Navigation.Uri);

        // Looking at data and networks costs time: not while prerendering.
        if (!RendererInfo.IsInteractive)
        {
            return;
        }

        await ReadDataAsync();
        await ReadNetworkAsync();
        if (!Wizard.CanEnter(_wizard.Step, _dataset, _network))
        {
            Go(_dataset is null ? "data" : "network");
            return;
        }

        await EstimateAsync();
    }

    private async Task ReadDataAsync()
    {
        if (Request.Dataset == (_dataRead ?? ""))
        {
            return;
        }

        var path = _dataRead = Request.Dataset;
        (_dataset, _dataError, _network, _networkRead, _cost, _costRead) = (null, null, null, null, null, null);
        if (path.Length == 0)
        {
            return;
        }

        _readingData = true;
        StateHasChanged();
        try
        {
            var preview = await Sources.PreviewDatasetAsync(path, _lifetime.Token);
            if (path == _dataRead)
            {
                _dataset = preview;
                if (preview.HoldsActivations && Request.Network.Length > 0)
                {
                    _wizard = _wizard.WithNetwork("");
                }
            }
        }
        catch (ServiceException exception)
        {
            _dataError = exception.Message;
        }
        finally
        {
            _readingData = false;
        }
    }

    private async Task ReadNetworkAsync()
    {
        var key = $"{Request.Network}|{Request.Dataset}|{Request.Architecture}";
        if (key == _networkRead || _dataset is null)
        {
            return;
        }

        _networkRead = key;
        (_network, _networkError, _cost, _costRead) = (null, null, null, null);
        if (Request.Network.Length == 0 && !_dataset.HoldsActivations)
        {
            return;
        }

        _readingNetwork = true;
        StateHasChanged();
        try
        {
            var preview = await Sources.PreviewNetworkAsync(Request.Network, Request.Dataset, Request.Architecture, _lifetime.Token);
            if (key == _networkRead)
            {
                _network = preview;
            }
        }
        catch (ServiceException exception)
        {
            _networkError = exception.Message;
        }
        finally
        {
            _readingNetwork = false;
        }
    }

    private async Task EstimateAsync()
    {
        var key = $"{Request} {string.Join(' ', Request.Parameters)}";
        if (_wizard.Step != "review" || _dataset is null || _network is null || _costRead == key)
        {
            return;
        }

        _costRead = key;
        (_cost, _costError) = (null, null);
        StateHasChanged();
        try
        {
            _cost = await Sources.EstimateAsync(Request, _dataset, _network, _lifetime.Token);
        }
        catch (ServiceException exception)
        {
            _costError = exception.Message;
        }
    }

    private async Task StartAsync()
    {
        (_starting, _startError) = (true, null);
        try
        {
            var latest = Latest.Request;
            var request = latest with { Layer = Wizard.Layer(latest, _network)?.Name, Name = string.IsNullOrWhiteSpace(latest.Name) ? null : latest.Name.Trim() };
            var started = await Analyses.StartAsync(request, _lifetime.Token);
            Navigation.NavigateTo(PageUrls.Analysis(started.Id));
        }
        catch (ServiceException exception)
        {
            _startError = exception.Message;
        }
        finally
        {
            _starting = false;
        }
    }

    // A step is a place one can come back to; a choice within a step replaces it.
    private void Go(string step) => Navigate(Latest with { Step = step }, replace: false);

    private void Change(Wizard wizard) => Navigate(wizard, replace: true);

    private void Navigate(Wizard wizard, bool replace) =>
        _trail.Go(Navigation.ToAbsoluteUri(Navigation.GetUriWithQueryParameters(PageUrls.New, wizard.ToQuery())).ToString(), replace);

    private static Wizard At(string address) => Wizard.FromQuery(QueryHelpers.ParseQuery(new Uri(address).Query).ToDictionary(p => p.Key, p => (string?)p.Value.ToString()));

    private void Number(ChangeEventArgs e, Func<Dashboard.Client.Contracts.NewAnalysis, int?, Dashboard.Client.Contracts.NewAnalysis> change)
    {
        int? value = int.TryParse(e.Value as string, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : null;
        Change(Latest.With(r => change(r, value)));
    }

    private void Tune(string parameter, ChangeEventArgs e) =>
        Change(Latest.WithParameter(parameter, double.TryParse(e.Value as string, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null));

    private string? Problem(string field) => Problems.GetValueOrDefault(field);

    // Blocks drawn to the layer's proportions: height for the map, width for the channels.
    private static double BlockHeight(LayerView layer) => Math.Clamp(6 + 9 * Math.Log2(Math.Max(1, layer.Height)), 6, 64);

    private static double BlockWidth(LayerView layer) => Math.Clamp(4 * Math.Log2(Math.Max(2, layer.Channels)), 6, 48);

    /// <inheritdoc/>
    public void Dispose()
    {
        Navigation.LocationChanged -= OnLocationChanged;
        _lifetime.Cancel();
        _lifetime.Dispose();
    }
}
