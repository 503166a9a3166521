using System.Text.Json.Serialization;

namespace Analysis.Runs;

/// <summary>
/// Everything that determines a run. Immutable and serialised into the manifest; the same request on the same data gives
/// the same bytes on the same device.
/// </summary>
public sealed record AnalysisRequest
{
    /// <summary>Path of the data set.</summary>
    public required string Dataset { get; init; }

    /// <summary>Path of the weights file.</summary>
    public required string Network { get; init; }

    /// <summary>Architecture; null to take the sidecar's or to recognise it from the tensors.</summary>
    public string? Architecture { get; init; }

    /// <summary>Layer to analyse; null for the suggested one.</summary>
    public string? Layer { get; init; }

    /// <summary>Class folders to analyse; null for all.</summary>
    public IReadOnlyList<string>? Classes { get; init; }

    /// <summary>Extraction method: <c>unique</c> (singular directions refined by clustering).</summary>
    public string Method { get; init; } = "unique";

    /// <summary>Largest number of concepts kept per class.</summary>
    public int Concepts { get; init; } = 10;

    /// <summary>Relevance score of directions: <c>directional</c>, <c>projected</c> or <c>official</c> (METHODS in docs/methods/unique-concepts.md).</summary>
    public string Relevance { get; init; } = "directional";

    /// <summary><c>cpu</c>, <c>cuda</c>, or null for CUDA where it is available.</summary>
    public string? Device { get; init; }

    /// <summary>Seed of every stochastic step.</summary>
    public int Seed { get; init; }

    /// <summary>Use the first samples only (spread evenly over the classes); null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>Table format of the result folder: <c>parquet</c> or <c>csv</c>.</summary>
    public string Tables { get; init; } = "parquet";

    /// <summary>Images in a batch; 0 for a size chosen from the input size.</summary>
    public int BatchSize { get; init; }

    /// <summary>Threads for tensor operations; 0 for the number of cores. Part of the request because results depend on it in the last bits.</summary>
    public int Threads { get; init; }

    /// <summary>Name for display; null for "network · data set".</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }
}
