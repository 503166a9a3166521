using System.Globalization;
using Analysis.Factorization;
using Analysis.Importance;
using Analysis.Networks;

namespace Analysis.Runs;

/// <summary>Checks what a request says of the concepts: method, number, granularity, scope, importance, parameters.</summary>
public static class ConceptOptions
{
    /// <summary>Most concepts of a class.</summary>
    public const int MostOfClass = 100;

    /// <summary>Most concept vectors of a data set's dictionary.</summary>
    public const int MostOfDataset = 2000;

    /// <summary>Names of all methods, unique concepts first.</summary>
    public static IReadOnlyList<string> Methods { get; } = [AnalysisRequest.UniqueMethod, .. FactorizationCatalogue.All.Select(m => m.Info.Name)];

    /// <summary>What a row can be.</summary>
    public static IReadOnlyList<string> Granularities { get; } = ["pooled", "positions", "crops"];

    /// <summary>What is factorised at a time.</summary>
    public static IReadOnlyList<string> Scopes { get; } = ["class", "dataset"];

    /// <summary>Names of all ways to weigh concepts.</summary>
    public static IReadOnlyList<string> Importances { get; } = [Contributions.Automatic, .. ImportanceCatalogue.All.Select(e => e.Info.Name)];

    /// <summary>Checks what needs no network.</summary>
    /// <exception cref="AnalysisException">Names the field, its value and the remedy.</exception>
    public static void Validate(AnalysisRequest request)
    {
        OneOf("method", request.Method, Methods);
        OneOf("granularity", request.Granularity, Granularities);
        OneOf("scope", request.Scope, Scopes);
        OneOf("importance", request.Importance, Importances);
        var (most, of) = request.Scope == "dataset" ? (MostOfDataset, "for the data set") : (MostOfClass, "per class");
        if (request.Concepts < 1 || request.Concepts > most)
        {
            throw new AnalysisException(
                $"{request.Concepts} concepts {of} were asked for.", string.Create(CultureInfo.InvariantCulture, $"Choose 1 to {most:N0}{(request.Scope == "class" ? ", or the scope dataset for up to 2,000 in all" : "")}."));
        }

        if (request.PerClass is < 0 or > MostOfClass)
        {
            throw new AnalysisException($"{request.PerClass} concepts to keep per class were asked for.", $"Choose 1 to {MostOfClass}, or 0 for {AnalysisRequest.UsualPerClass}.");
        }

        if (request.Method == AnalysisRequest.UniqueMethod)
        {
            Unique(request);
        }
        else
        {
            Parameters(request);
        }
    }

    /// <summary>Refuses what the network or the layer does not allow.</summary>
    /// <exception cref="AnalysisException">Names the layer and the remedy.</exception>
    public static void Refuse(AnalysisRequest request, INetwork network, LayerInfo layer)
    {
        Contributions.Validate(network, layer.Name, request.Importance);
        if (request.Granularity == "crops" && network is RecordedNetwork)
        {
            throw new AnalysisException("Crops need images and a network; this data set holds activations.", "Choose the granularity pooled or positions.");
        }

        if (request.Method != AnalysisRequest.UniqueMethod && layer.Sign == ActivationSign.Signed && FactorizationCatalogue.Get(request.Method).Info is { NeedsNonNegative: true } info)
        {
            var others = FactorizationCatalogue.All.Where(m => !m.Info.NeedsNonNegative).Select(m => m.Info.Name);
            throw new AnalysisException(
                $"{info.Title} needs activations without negative values, and the layer {layer.Name} has some.",
                $"Choose another method ({string.Join(", ", others)}), or a layer that ends in a rectification (ReLU).");
        }
    }

    /// <summary>The parameters with the method's defaults filled in, in the order of their names.</summary>
    public static IReadOnlyDictionary<string, double> Complete(AnalysisRequest request)
    {
        var complete = new SortedDictionary<string, double>(StringComparer.Ordinal);
        if (request.Method != AnalysisRequest.UniqueMethod)
        {
            foreach (var parameter in FactorizationCatalogue.Get(request.Method).Info.Parameters)
            {
                complete[parameter.Name] = request.Parameters.TryGetValue(parameter.Name, out var value) ? value : parameter.Default;
            }
        }

        return complete;
    }

    private static void Unique(AnalysisRequest request)
    {
        if (request.Granularity != "pooled")
        {
            throw new AnalysisException("Unique concepts are found on pooled activations.", $"Leave the granularity at pooled, or choose another method for {request.Granularity}.");
        }

        if (request.Scope != "class")
        {
            throw new AnalysisException("Unique concepts are found for the data set and for each class at once.", "Leave the scope at class, or choose another method for one dictionary of the data set.");
        }

        if (request.Parameters.Count > 0)
        {
            throw new AnalysisException($"Unique concepts have no parameter '{request.Parameters.Keys.First()}'.", "Leave it out.");
        }
    }

    private static void Parameters(AnalysisRequest request)
    {
        var info = FactorizationCatalogue.Get(request.Method).Info;
        foreach (var (name, value) in request.Parameters)
        {
            var known = info.Parameters.FirstOrDefault(p => p.Name == name)
                ?? throw new AnalysisException(
                    $"{info.Title} has no parameter '{name}'.",
                    info.Parameters.Count == 0 ? "It has none: leave it out." : $"It has: {string.Join(", ", info.Parameters.Select(p => p.Name))}.");
            if (!(value >= known.Minimum && value <= known.Maximum))
            {
                throw new AnalysisException(
                    string.Create(CultureInfo.InvariantCulture, $"The parameter {name} of {info.Title} cannot be {value}."),
                    string.Create(CultureInfo.InvariantCulture, $"Choose {known.Minimum} to {known.Maximum}; {known.Default} is usual."));
            }
        }
    }

    private static void OneOf(string field, string value, IReadOnlyList<string> known)
    {
        if (!known.Contains(value))
        {
            throw new AnalysisException($"The {field} '{value}' is not known.", $"Choose one of: {string.Join(", ", known)}.");
        }
    }
}
