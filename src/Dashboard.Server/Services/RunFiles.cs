using System.Text.Json;
using Analysis.Atlas;
using Analysis.Imaging;
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
}
