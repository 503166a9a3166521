using System.Text.Json.Serialization;

namespace Analysis.Runs;

/// <summary>
/// Everything that determines a run. Immutable and serialised into the manifest; the same request on the same data gives
/// the same bytes on the same device.
/// </summary>
public sealed record AnalysisRequest
{
    /// <summary>Name of the method that refines singular directions.</summary>
    public const string UniqueMethod = "unique";

    /// <summary>Concepts kept by a class of a data set's dictionary where the request leaves it open.</summary>
    public const int UsualPerClass = 15;

    /// <summary>Path of the data set.</summary>
    public required string Dataset { get; init; }

    /// <summary>Path of the weights file; empty where the data set holds activations instead of images.</summary>
    public string Network { get; init; } = "";

    /// <summary>Architecture; null to take the sidecar's or to recognise it from the tensors.</summary>
    public string? Architecture { get; init; }

    /// <summary>Layer to analyse; null for the suggested one.</summary>
    public string? Layer { get; init; }

    /// <summary>Class folders to analyse; null for all.</summary>
    public IReadOnlyList<string>? Classes { get; init; }

    /// <summary>Extraction method: <c>unique</c> (singular directions refined by clustering), or a name of the factorisation catalogue.</summary>
    public string Method { get; init; } = UniqueMethod;

    /// <summary>Largest number of concepts kept per class; components of the factorisation for the other methods.</summary>
    public int Concepts { get; init; } = 10;

    /// <summary>What a row of the factorised matrix is: <c>pooled</c> (an image), <c>positions</c> (a place of an image), or <c>crops</c> (a patch that goes through the network by itself). Only <c>pooled</c> with <c>unique</c>.</summary>
    public string Granularity { get; init; } = "pooled";

    /// <summary><c>class</c>: concept vectors of each class by itself; <c>dataset</c>: one set of vectors, of which each class keeps its strongest. <c>unique</c> finds its vectors in both ways at once and takes no other than <c>class</c>.</summary>
    public string Scope { get; init; } = "class";

    /// <summary>Concepts that each class keeps of a factorisation of the whole data set; 0 for 15. Without meaning otherwise.</summary>
    public int PerClass { get; init; }

    /// <summary>How concepts are weighed: <c>auto</c> (closed form behind a linear head, gradient × input otherwise), or a name of the catalogue of estimators.</summary>
    public string Importance { get; init; } = "auto";

    /// <summary>Parameters of the method by name; those left out keep their defaults.</summary>
    public IReadOnlyDictionary<string, double> Parameters { get; init; } = new SortedDictionary<string, double>(StringComparer.Ordinal);

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

    /// <summary>Most concepts that a class can have.</summary>
    [JsonIgnore]
    public int MostPerClass => Scope == "dataset" ? Math.Min(Concepts, PerClass > 0 ? PerClass : UsualPerClass) : Concepts;
}
