using Analysis.Networks.Files;

namespace Analysis.Atlas;

/// <summary>
/// Where the concepts of all classes lie on one map: <c>atlas/concept-map.safetensors</c> with <c>concept</c> (int32, K
/// identifiers, ascending) and <c>position</c> (float32, K×2). Optional in a result folder.
/// </summary>
public static class ConceptMapFile
{
    /// <summary>Path below the result folder.</summary>
    public static string PathOf(string resultFolder) => Path.Combine(resultFolder, "atlas", "concept-map.safetensors");

    /// <summary>Reads it; null where the result folder has none or it is damaged, since the map can be made without.</summary>
    /// <returns>Identifiers, and x and y interleaved.</returns>
    public static (int[] Concepts, float[] Positions)? TryRead(string resultFolder)
    {
        var path = PathOf(resultFolder);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using var file = SafetensorsFile.Open(path);
            var concepts = file.Span<int>("concept").ToArray();
            var positions = file.Span<float>("position").ToArray();
            return positions.Length == 2 * concepts.Length ? (concepts, positions) : null;
        }
        catch (AnalysisException)
        {
            return null;
        }
    }

    /// <summary>Writes it under a temporary name, then renames.</summary>
    /// <param name="resultFolder">The result folder.</param>
    /// <param name="concepts">K identifiers, ascending.</param>
    /// <param name="positions">x and y interleaved, 2K.</param>
    public static void Write(string resultFolder, int[] concepts, float[] positions)
    {
        using var writer = SafetensorsWriter.Create(PathOf(resultFolder),
        [
            ("concept", new TensorHeader(ElementType.Int32, [concepts.Length])),
            ("position", new TensorHeader(ElementType.Float32, [concepts.Length, 2])),
        ]);
        writer.Write<int>("concept", concepts);
        writer.Write<float>("position", positions);
        writer.Complete();
    }
}
