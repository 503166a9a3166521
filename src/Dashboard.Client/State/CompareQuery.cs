using System.Globalization;
using System.Text.Json;

namespace Dashboard.Client.State;

/// <summary>
/// What the compare page shows, the same in the address: what is compared with what, and at which number of concepts the
/// table stands.
/// </summary>
public sealed record CompareQuery
{
    /// <summary>Numbers of concepts that can be chosen.</summary>
    public static IReadOnlyList<int> Offered { get; } = [2, 5, 10, 15, 20, 25, 30, 40, 50];

    /// <summary>methods or runs.</summary>
    public string Tab { get; init; } = "methods";

    /// <summary>The analysis whose methods are compared; empty for none.</summary>
    public string Analysis { get; init; } = "";

    /// <summary>Methods by name.</summary>
    public IReadOnlyList<string> Methods { get; init; } = [];

    /// <summary>Numbers of concepts, ascending.</summary>
    public IReadOnlyList<int> Components { get; init; } = [5, 10, 15, 20, 25];

    /// <summary>pooled or positions.</summary>
    public string Granularity { get; init; } = "pooled";

    /// <summary>Estimators by name; empty for none.</summary>
    public IReadOnlyList<string> Estimators { get; init; } = [];

    /// <summary>Number of classes that are compared.</summary>
    public int Classes { get; init; } = 5;

    /// <summary>Number of concepts at which the table stands; null for the suggested one.</summary>
    public int? At { get; init; }

    /// <summary>Analyses side by side.</summary>
    public IReadOnlyList<string> Runs { get; init; } = [];

    /// <summary>What is shown of two of them.</summary>
    public PairQuery Pair { get; init; } = new();

    /// <summary>Why nothing can be compared yet; null where it can.</summary>
    public string? Missing => Analysis.Length == 0 ? "Choose an analysis." : Methods.Count == 0 ? "Choose at least one method." : Components.Count == 0 ? "Choose at least one number of concepts." : null;

    /// <summary>Parameters of the task.</summary>
    public object Parameters => new
    {
        methods = Methods,
        components = Components,
        granularity = Granularity,
        classLimit = Classes,
        importance = Estimators,
    };

    /// <summary>From query parameters; what cannot be read takes its default.</summary>
    /// <param name="query">Values by name.</param>
    /// <param name="usual">Defaults of methods and estimators.</param>
    public static CompareQuery FromQuery(IReadOnlyDictionary<string, string?> query, CompareQuery usual)
    {
        IReadOnlyList<string>? Names(string name) => query.TryGetValue(name, out var text) ? [.. (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries).Where(n => n != "none").Distinct()] : null;
        int? Number(string name) => int.TryParse(query.GetValueOrDefault(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) && value > 0 ? value : null;
        var components = Names("k")?.Select(k => int.TryParse(k, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) ? value : 0).Where(k => k > 0).Distinct().Order().ToList();
        return usual with
        {
            Tab = query.GetValueOrDefault("tab") == "runs" || (query.ContainsKey("runs") && !query.ContainsKey("tab")) ? "runs" : "methods",
            Analysis = query.GetValueOrDefault("analysis") ?? usual.Analysis,
            Methods = Names("methods") ?? usual.Methods,
            Components = components ?? usual.Components,
            Granularity = query.GetValueOrDefault("granularity") == "positions" ? "positions" : "pooled",
            Estimators = Names("importance") ?? usual.Estimators,
            Classes = Number("classes") ?? usual.Classes,
            At = Number("at"),
            Runs = [.. (Names("runs") ?? usual.Runs).Take(Contracts.IComparisonService.MostRuns)],
            Pair = PairQuery.FromQuery(query),
        };
    }

    /// <summary>As query parameters; what has its default value is null.</summary>
    public Dictionary<string, object?> ToQuery(CompareQuery usual) => new(Pair.ToQuery())
    {
        ["tab"] = Tab == "methods" ? null : Tab,
        ["analysis"] = Analysis == usual.Analysis || Analysis.Length == 0 ? null : Analysis,
        ["methods"] = Methods.SequenceEqual(usual.Methods) ? null : Methods.Count == 0 ? "none" : string.Join(',', Methods),
        ["k"] = Components.SequenceEqual(usual.Components) ? null : Components.Count == 0 ? "none" : string.Join(',', Components),
        ["granularity"] = Granularity == "pooled" ? null : Granularity,
        ["importance"] = Estimators.SequenceEqual(usual.Estimators) ? null : Estimators.Count == 0 ? "none" : string.Join(',', Estimators),
        ["classes"] = Classes == usual.Classes ? null : Classes,
        ["at"] = At,
        ["runs"] = Runs.Count == 0 ? null : string.Join(',', Runs),
    };

    /// <summary>The wish of a stored comparison.</summary>
    /// <param name="analysisId">Its analysis.</param>
    /// <param name="parameters">Its parameters, complete.</param>
    public static CompareQuery FromParameters(string analysisId, JsonElement parameters)
    {
        IReadOnlyList<string> Names(string name) => parameters.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray().Select(item => item.ToString())] : [];
        return new CompareQuery
        {
            Analysis = analysisId,
            Methods = Names("methods"),
            Components = [.. Names("components").Select(k => int.TryParse(k, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) ? value : 0).Where(k => k > 0)],
            Granularity = parameters.TryGetProperty("granularity", out var granularity) ? granularity.GetString() ?? "pooled" : "pooled",
            Estimators = Names("importance"),
            Classes = parameters.TryGetProperty("classLimit", out var limit) && limit.TryGetInt32(out var classes) ? classes : 5,
        };
    }

    /// <summary>The list with a value added or taken away, in the order of what there is.</summary>
    public static IReadOnlyList<T> Toggle<T>(IReadOnlyList<T> chosen, T value, IEnumerable<T> order)
    {
        var next = chosen.Contains(value) ? chosen.Where(v => !Equals(v, value)).ToHashSet() : [.. chosen, value];
        return [.. order.Where(next.Contains)];
    }
}
