using System.Text.Json;
using Dashboard.Client.Contracts;
using Dashboard.Client.Urls;

namespace Dashboard.Client.State;

/// <summary>What is read of the result of a concept image.</summary>
/// <param name="Strength">Value of the concept in the picture.</param>
/// <param name="StrongestImage">Largest value in the analysed images.</param>
/// <param name="AverageImage">Mean value over the analysed images.</param>
/// <param name="Method">maco or fourier.</param>
/// <param name="Steps">Steps of the optimiser.</param>
public sealed record ConceptImageResult(double Strength, double StrongestImage, double AverageImage, string Method, int Steps)
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    /// <summary>Reads a result; null where it is none.</summary>
    public static ConceptImageResult? Parse(string? json)
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize<ConceptImageResult>(json, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>In a sentence: how much of the concept the network sees in the picture.</summary>
    public string Sentence
    {
        get
        {
            var range = StrongestImage - AverageImage;
            var share = range > 0 ? (Strength - AverageImage) / range : double.NaN;
            return share switch
            {
                >= 1.05 => $"The network sees {Format.Number(share)} times as much of the concept in it as in the strongest of the analysed images.",
                >= 0.95 => "The network sees about as much of the concept in it as in the strongest of the analysed images.",
                >= 0.1 => $"The network sees {Format.Percent(share, 0)} as much of the concept in it as in the strongest of the analysed images.",
                double.NaN => "",
                _ => "The network sees hardly anything of the concept in it: take it as a failed attempt, and try the other kind of picture.",
            };
        }
    }
}

/// <summary>Concept images in addresses and lists.</summary>
public static class ConceptImages
{
    /// <summary>Kind of the task.</summary>
    public const string Kind = "concept-image";

    /// <summary>The whole picture.</summary>
    public const string Picture = "picture.png";

    /// <summary>The picture where the network looked, transparent elsewhere.</summary>
    public const string Transparent = "transparent.png";

    /// <summary>Addresses of the finished pictures of a class by concept; of several of one concept the newest.</summary>
    /// <param name="tasks">Tasks of the analysis, newest first.</param>
    /// <param name="classIndex">The class.</param>
    public static IReadOnlyDictionary<int, string> ByConcept(IReadOnlyList<TaskView> tasks, int classIndex)
    {
        var found = new Dictionary<int, string>();
        foreach (var task in tasks)
        {
            if (task is { Kind: Kind, State: AnalysisState.Completed } && Number(task, "class") == classIndex && Number(task, "concept") is { } concept)
            {
                found.TryAdd(concept, ApiUrls.TaskFile(task.AnalysisId, task.Id, Picture));
            }
        }

        return found;
    }

    private static int? Number(TaskView task, string name) =>
        task.Parameters.ValueKind == JsonValueKind.Object && task.Parameters.TryGetProperty(name, out var value) && value.TryGetInt32(out var number) ? number : null;
}
