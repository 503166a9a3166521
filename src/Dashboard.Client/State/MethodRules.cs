using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>
/// Which choices of a new analysis go together: what does not is said beside the field that causes it, with the remedy. The
/// host and the engine check again.
/// </summary>
public static class MethodRules
{
    /// <summary>What a row can be, in plain words.</summary>
    public static IReadOnlyList<(string Value, string Text)> Granularities { get; } =
    [
        ("pooled", "Whole images: one activation an image"), ("positions", "Positions: every place of an image by itself"), ("crops", "Crops: patches of an image, each sent through the network"),
    ];

    /// <summary>What is factorised at a time, in plain words.</summary>
    public static IReadOnlyList<(string Value, string Text)> Scopes { get; } =
        [("class", "Each class has concepts of its own"), ("dataset", "One dictionary for the whole data set")];

    /// <summary>Problems by field: method, granularity, scope, concepts, perclass, importance, or the name of a parameter.</summary>
    /// <param name="request">What was chosen.</param>
    /// <param name="layer">The layer; null while unknown.</param>
    /// <param name="catalogue">What can be chosen.</param>
    public static IReadOnlyDictionary<string, string> Problems(NewAnalysis request, LayerView? layer, MethodCatalogueView catalogue)
    {
        var problems = new Dictionary<string, string>(StringComparer.Ordinal);
        if (catalogue.Method(request.Method) is not { } method)
        {
            problems["method"] = $"The method “{request.Method}” is not known. Choose one of the list.";
            return problems;
        }

        if (layer is { NonNegative: false } && method.NeedsNonNegative)
        {
            var others = catalogue.Methods.Where(m => !m.NeedsNonNegative).Select(m => m.Title).ToList();
            problems["method"] = $"{method.Title} needs activations without negative values, and the layer {layer.Name} has some. Choose {Or(others)}, or a layer that ends in a rectification.";
        }

        if (method.IsUnique && request.Granularity != "pooled")
        {
            problems["granularity"] = $"{method.Title} are found on whole images. Choose whole images, or another method.";
        }
        else if (request.Granularity == "positions" && layer is not null && layer.Height * layer.Width <= 1)
        {
            problems["granularity"] = $"The layer {layer.Name} has a single position. Choose whole images, or an earlier layer.";
        }

        if (method.IsUnique && request.Scope != "class")
        {
            problems["scope"] = $"{method.Title} are found for each class and for the data set at once. Leave it at each class, or choose another method.";
        }

        var most = request.Scope == "dataset" ? catalogue.MostOfDataset : catalogue.MostOfClass;
        if (request.Concepts < 1 || request.Concepts > most)
        {
            problems["concepts"] = $"Choose between 1 and {Format.Count(most)} concepts {(request.Scope == "dataset" ? "for the data set" : "a class")}.";
        }
        else if (!method.IsUnique && !method.AllowsOvercomplete && layer is not null && request.Concepts > layer.Channels)
        {
            problems["concepts"] = $"{method.Title} gives at most as many concepts as the layer has channels. Choose up to {Format.Count(layer.Channels)}, or a method without this limit.";
        }

        if (request.PerClass < 0 || request.PerClass > catalogue.MostOfClass)
        {
            problems["perclass"] = $"Choose between 1 and {Format.Count(catalogue.MostOfClass)}, or leave it empty.";
        }

        if (!catalogue.Importances.Contains(request.Importance))
        {
            problems["importance"] = $"“{request.Importance}” is not known. Choose one of the list.";
        }
        else if (request.Importance == "closed-form" && layer is { LinearHead: false })
        {
            problems["importance"] = $"After the layer {layer.Name} the network is not linear: there is no closed form. Choose “automatic”, or the last layer before the classifier.";
        }

        foreach (var (name, value) in request.Parameters)
        {
            if (method.Parameters.FirstOrDefault(p => p.Name == name) is not { } parameter)
            {
                problems[name] = $"{method.Title} has no parameter “{name}”. Leave it out.";
            }
            else if (!(value >= parameter.Minimum && value <= parameter.Maximum))
            {
                problems[name] = $"Choose {Number(parameter.Minimum)} to {Number(parameter.Maximum)}; {Number(parameter.Default)} is usual.";
            }
        }

        return problems;
    }

    /// <summary>A number as it is typed, without loss.</summary>
    public static string Number(double value) => value.ToString("R", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The chosen method in a few words: "NMF on positions, up to 15 concepts a class".</summary>
    public static string Text(NewAnalysis request, MethodCatalogueView catalogue)
    {
        var on = request.Granularity switch { "positions" => " on positions", "crops" => " on crops", _ => "" };
        var many = request.Scope == "dataset"
            ? $"{Format.Count(request.Concepts, "concept")} for the data set{(request.PerClass > 0 ? $", {Format.Count(request.PerClass)} kept a class" : "")}"
            : $"up to {Format.Count(request.Concepts, "concept")} a class";
        var weighed = request.Importance == "auto" ? "" : $", weighed by {catalogue.TitleOf(request.Importance)}";
        var tuned = string.Concat(request.Parameters.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => $", {p.Key} {Number(p.Value)}"));
        return $"{catalogue.TitleOf(request.Method)}{on}, {many}{weighed}{tuned}";
    }

    private static string Or(List<string> names) => names.Count switch
    {
        0 => "another method",
        1 => names[0],
        _ => string.Join(", ", names.SkipLast(1)) + " or " + names[^1],
    };
}
