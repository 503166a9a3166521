using System.Text.Json;
using Analysis.Atlas;
using Analysis.Imaging;
using Analysis.Runs;
using Dashboard.Server.Data;

namespace Dashboard.Server.Services;

/// <summary>Small files that the engine writes into a run folder.</summary>
internal static class RunFiles
{
    /// <summary>How the run's network sees images; null while unknown.</summary>
    public static Preprocessing? Preprocessing(string runFolder)
    {
        try
        {
            return JsonSerializer.Deserialize<RunDescription>(File.ReadAllBytes(RunDescription.PathOf(runFolder)), Json.Options)?.Preprocessing;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>The recipe of a finished run; null where there is none.</summary>
    public static Manifest? Manifest(string runFolder)
    {
        try
        {
            return JsonSerializer.Deserialize<Manifest>(File.ReadAllBytes(Path.Combine(runFolder, "manifest.json")), AnalysisJson.Options);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Artefact keys of a finished run by stage; null where there is no manifest.</summary>
    public static IReadOnlyDictionary<string, string>? Keys(string runFolder) => Manifest(runFolder)?.Keys;
}
