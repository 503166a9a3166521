using System.Text.Json;
using Analysis.Imaging;
using Dashboard.Server.Data;

namespace Dashboard.Server.Services;

/// <summary>Small files that the engine writes into a run folder.</summary>
internal static class RunFiles
{
    /// <summary>Description of the run, written before the network has seen an image.</summary>
    public static string Description(string runFolder) => Path.Combine(runFolder, "atlas", "run.json");

    /// <summary>How the run's network sees images; null while unknown.</summary>
    public static Preprocessing? Preprocessing(string runFolder)
    {
        using var document = ReadDescription(runFolder);
        return document is not null && document.RootElement.TryGetProperty("preprocessing", out var value)
            ? value.Deserialize<Preprocessing>(Json.Options)
            : null;
    }

    /// <summary>The description as JSON; null while there is none.</summary>
    public static JsonDocument? ReadDescription(string runFolder)
    {
        try
        {
            return JsonDocument.Parse(File.ReadAllBytes(Description(runFolder)));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }
}
