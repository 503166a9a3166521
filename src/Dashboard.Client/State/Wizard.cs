using System.Globalization;
using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>A ready-made choice of method and parameters in plain words.</summary>
/// <param name="Key">Stable name in the address.</param>
/// <param name="Title">What it is called.</param>
/// <param name="Text">What it is for.</param>
/// <param name="Apply">Sets method and parameters.</param>
public sealed record MethodPreset(string Key, string Title, string Text, Func<NewAnalysis, NewAnalysis> Apply);

/// <summary>
/// "New analysis" without the browser: what has been chosen, which steps may be entered, and the same as an address, so that
/// the page can be reloaded, sent and returned to.
/// </summary>
/// <param name="Step">data, network, method or review.</param>
/// <param name="Request">What has been chosen.</param>
/// <param name="Preset">Chosen preset; empty once parameters were changed by hand.</param>
public sealed record Wizard(string Step, NewAnalysis Request, string Preset)
{
    // Parameters of a method stand in the address as p.NAME.
    private const string ParameterPrefix = "p.";

    /// <summary>Steps in order, with titles.</summary>
    public static IReadOnlyList<(string Key, string Title)> Steps { get; } =
        [("data", "Data"), ("network", "Network and layer"), ("method", "Method"), ("review", "Review")];

    /// <summary>Presets, the recommended one first.</summary>
    public static IReadOnlyList<MethodPreset> Presets { get; } =
    [
        new("balanced", "Unique concepts", "Groups of images that share something, up to ten a class, on all images. Right for most questions.", r => Plain(r) with { Method = "unique" }),
        new("quick", "First look", "The same on a thousand images spread over the classes, six concepts each. Done quickly; numbers are coarse.", r => Plain(r) with { Method = "unique", Concepts = 6, Limit = 1000 }),
        new("fine", "Fine-grained", "Up to twenty unique concepts a class: rare parts and shortcuts show, and some concepts will be close relatives.", r => Plain(r) with { Method = "unique", Concepts = 20 }),
        new("parts", "Parts that add up", "Every position of an image is a sum of concepts (NMF, as in CRAFT): good for parts and textures, and for sharp concept maps.", r => Plain(r) with { Method = "nmf", Granularity = "positions", Concepts = 15 }),
        new("sparse", "Sparse autoencoder", "One dictionary of 200 concepts for the whole data set, few of them active at a time: what classes share shows directly.", r => Plain(r) with { Method = "sae-topk", Granularity = "positions", Scope = "dataset", Concepts = 200 }),
        new("published", "Unique, as published", "Ranks directions as the published code of unique concepts does, to reproduce its results.", r => Plain(r) with { Method = "unique", Relevance = "official" }),
    ];

    /// <summary>The presets whose method there is, and that the layer allows.</summary>
    /// <param name="request">What was chosen, for the rest of the request.</param>
    /// <param name="layer">The layer; null while unknown.</param>
    /// <param name="catalogue">What there is.</param>
    public static IEnumerable<(MethodPreset Preset, string? Problem)> PresetsFor(NewAnalysis request, LayerView? layer, MethodCatalogueView catalogue) =>
        Presets.Select(p => (Preset: p, Request: p.Apply(request)))
            .Where(p => catalogue.Method(p.Request.Method) is not null)
            .Select(p => (p.Preset, MethodRules.Problems(p.Request, layer, catalogue).Values.FirstOrDefault()));

    /// <summary>Relevance scores with their meaning.</summary>
    public static IReadOnlyList<(string Value, string Text)> Relevances { get; } =
        [("directional", "directional: how far the output moves along the direction"), ("projected", "projected: gradient projected on the direction"), ("official", "official: as in the published code")];

    /// <summary>Position of the step.</summary>
    public int Position => Math.Max(0, Steps.Select((s, i) => (s.Key, i)).FirstOrDefault(s => s.Key == Step).i);

    /// <summary>Whether a step may be entered with what is known by now.</summary>
    /// <param name="step">The step.</param>
    /// <param name="dataset">The recognised data set; null while unknown.</param>
    /// <param name="network">The recognised network; null while unknown.</param>
    public static bool CanEnter(string step, DatasetPreview? dataset, NetworkPreview? network) => step switch
    {
        "data" => true,
        "network" => dataset is { Images: > 0 },
        _ => dataset is { Images: > 0 } && network is { Layers.Count: > 0 },
    };

    /// <summary>What is missing for the next step, in words; null where nothing is.</summary>
    public string? Missing(DatasetPreview? dataset, NetworkPreview? network, MethodCatalogueView catalogue) => Step switch
    {
        "data" when dataset is null => "Choose the folder that holds the images, or a file of activations.",
        "data" when dataset.Images == 0 => "No image was found in this folder.",
        "network" when network is null => "Choose the file that holds the network's weights.",
        "network" when network.Layers.Count == 0 => "This network has no layer that can be analysed.",
        "method" or "review" when MethodRules.Problems(Request, Layer(Request, network), catalogue).Values.FirstOrDefault() is { } problem => problem,
        "method" or "review" when Request.Limit is < 1 => "The number of images must be at least 1.",
        "method" or "review" when Request.Seed < 0 => "The seed must be 0 or more.",
        _ => null,
    };

    /// <summary>The layer that will be analysed: the chosen one, else the suggested one.</summary>
    public static LayerView? Layer(NewAnalysis request, NetworkPreview? network) =>
        network?.Layers.FirstOrDefault(l => l.Name == request.Layer) ?? network?.Layers.FirstOrDefault(l => l.Suggested);

    /// <summary>Another data set: what depended on the old one is forgotten.</summary>
    public Wizard WithDataset(string path) => this with { Request = Request with { Dataset = path, Classes = null } };

    /// <summary>Another network: its layer and architecture are chosen anew.</summary>
    public Wizard WithNetwork(string path) => this with { Request = Request with { Network = path, Layer = null, Architecture = null } };

    /// <summary>Parameters of a preset.</summary>
    public Wizard WithPreset(string key) =>
        Presets.FirstOrDefault(p => p.Key == key) is { } preset ? this with { Preset = key, Request = preset.Apply(Request) } : this;

    /// <summary>Another method by hand: parameters of the last one are forgotten.</summary>
    public Wizard WithMethod(string name) => With(r => r with { Method = name, Parameters = new Dictionary<string, double>() });

    /// <summary>A parameter of the method by hand; null takes its default.</summary>
    public Wizard WithParameter(string name, double? value)
    {
        var parameters = Request.Parameters.Where(p => p.Key != name).ToDictionary(p => p.Key, p => p.Value);
        if (value is { } given)
        {
            parameters[name] = given;
        }

        return With(r => r with { Parameters = parameters });
    }

    /// <summary>Parameters by hand.</summary>
    public Wizard With(Func<NewAnalysis, NewAnalysis> change) => this with { Preset = "", Request = change(Request) };

    /// <summary>As query parameters; what has its default value is null.</summary>
    public Dictionary<string, object?> ToQuery()
    {
        var usual = new NewAnalysis();
        var query = new Dictionary<string, object?>
        {
            ["step"] = Step == "data" ? null : Step,
            ["data"] = Empty(Request.Dataset),
            ["network"] = Empty(Request.Network),
            ["architecture"] = Empty(Request.Architecture),
            ["layer"] = Empty(Request.Layer),
            ["preset"] = Preset.Length == 0 ? "own" : Preset == Presets[0].Key ? null : Preset,
            ["concepts"] = Request.Concepts == usual.Concepts ? null : Request.Concepts,
            ["method"] = Request.Method == usual.Method ? null : Request.Method,
            ["granularity"] = Request.Granularity == usual.Granularity ? null : Request.Granularity,
            ["scope"] = Request.Scope == usual.Scope ? null : Request.Scope,
            ["perclass"] = Request.PerClass == 0 ? null : Request.PerClass,
            ["importance"] = Request.Importance == usual.Importance ? null : Request.Importance,
            ["relevance"] = Request.Relevance == usual.Relevance ? null : Request.Relevance,
            ["limit"] = Request.Limit,
            ["seed"] = Request.Seed == 0 ? null : Request.Seed,
            ["device"] = Empty(Request.Device),
            ["name"] = Empty(Request.Name),
        };
        foreach (var (name, value) in Request.Parameters)
        {
            query[ParameterPrefix + name] = MethodRules.Number(value);
        }

        return query;
    }

    /// <summary>From query parameters; what cannot be read takes its default.</summary>
    public static Wizard FromQuery(IReadOnlyDictionary<string, string?> query)
    {
        var usual = new NewAnalysis();
        int? Number(string name) => query.GetValueOrDefault(name) is { } text && int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) ? value : null;
        string? Text(string name) => Empty(query.GetValueOrDefault(name));
        var request = new NewAnalysis
        {
            Dataset = Text("data") ?? "",
            Network = Text("network") ?? "",
            Architecture = Text("architecture"),
            Layer = Text("layer"),
            Concepts = Number("concepts") ?? usual.Concepts,
            Method = Text("method") ?? usual.Method,
            Granularity = MethodRules.Granularities.Any(g => g.Value == Text("granularity")) ? Text("granularity")! : usual.Granularity,
            Scope = MethodRules.Scopes.Any(g => g.Value == Text("scope")) ? Text("scope")! : usual.Scope,
            PerClass = Number("perclass") ?? 0,
            Importance = Text("importance") ?? usual.Importance,
            Parameters = !query.Keys.Any(key => key.StartsWith(ParameterPrefix, StringComparison.Ordinal)) ? usual.Parameters : query.Where(p => p.Key.StartsWith(ParameterPrefix, StringComparison.Ordinal))
                .Select(p => (Name: p.Key[ParameterPrefix.Length..], Value: double.TryParse(p.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : double.NaN))
                .Where(p => p.Name.Length > 0 && double.IsFinite(p.Value)).ToDictionary(p => p.Name, p => p.Value),
            Relevance = Relevances.Any(r => r.Value == Text("relevance")) ? Text("relevance")! : usual.Relevance,
            Limit = Number("limit"),
            Seed = Number("seed") ?? 0,
            Device = Text("device"),
            Name = Text("name"),
        };
        var step = Steps.Any(s => s.Key == Text("step")) ? Text("step")! : "data";
        var preset = Text("preset") switch { null => Presets[0].Key, "own" => "", var key => Presets.Any(p => p.Key == key) ? key : "" };
        return new Wizard(step, request, preset);
    }

    private static NewAnalysis Plain(NewAnalysis request)
    {
        var usual = new NewAnalysis();
        return request with
        {
            Concepts = usual.Concepts, Granularity = usual.Granularity, Scope = usual.Scope, PerClass = usual.PerClass, Importance = usual.Importance,
            Parameters = usual.Parameters, Relevance = usual.Relevance, Limit = usual.Limit,
        };
    }

    private static string? Empty(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;
}
