using System.Text.Json;

namespace Dashboard.Client.State;

/// <summary>Maps of where in one image a concept is, made on demand by the task <c>attribution-map</c>.</summary>
public static class AttributionMaps
{
    /// <summary>Kind of the task.</summary>
    public const string Kind = "attribution-map";

    /// <summary>File with the map over the picture.</summary>
    public const string Picture = "map.png";

    /// <summary>Derivative of the coefficient with respect to the pixels.</summary>
    public const string Exact = "exact";

    /// <summary>Coefficient at each position of the layer.</summary>
    public const string Fast = "fast";

    /// <summary>Ways to compute a map.</summary>
    public static IReadOnlyList<(string Way, string Title, string Why)> Ways { get; } =
        [(Exact, "Exact", "Followed back through the network to single pixels"), (Fast, "Fast", "As coarse as the layer, and quicker")];

    /// <summary>The way of that name; <see cref="Exact"/> where there is none.</summary>
    public static string WayOf(string? name) => name == Fast ? Fast : Exact;

    /// <summary>What a map says, in one sentence.</summary>
    public static string Meaning(string way) => way == Fast
        ? "Red where the layer holds the concept: its coefficient at each position, enlarged to the size of the image."
        : "Red where changing a pixel changes how much of the concept the network sees: the derivative of the concept's coefficient with respect to the pixels.";
}

/// <summary>What the task says besides the picture.</summary>
/// <param name="Coefficient">Coefficient of the concept on the image.</param>
/// <param name="Largest">Largest value of the map; 0 where nothing can be seen.</param>
public sealed record AttributionResult(double Coefficient, double Largest)
{
    /// <summary>How much of the concept there is, in one sentence.</summary>
    public string Sentence => Largest > 0
        ? $"The concept's coefficient on this image is {Format.Number(Coefficient)}."
        : $"The concept's coefficient on this image is {Format.Number(Coefficient)}, and no small change of a pixel moves it: the map is empty. Another concept, or the fast map, may show more.";

    /// <summary>Reads a result; null where it is none.</summary>
    public static AttributionResult? Parse(string? json)
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize<AttributionResult>(json, JsonSerializerOptions.Web);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
