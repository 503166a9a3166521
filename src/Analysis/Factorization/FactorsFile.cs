using System.Text.Json;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>What is known of a fit beside its vectors.</summary>
/// <param name="Method">Name of the method; <see cref="MeanFactors.Name"/> where rows were too few for it.</param>
/// <param name="Rows">Rows fitted.</param>
/// <param name="Available">Rows there were.</param>
/// <param name="Iterations">Iterations of the fit.</param>
/// <param name="Notes">What people should know of it, in words.</param>
/// <param name="Metrics">Figures of the fit by name.</param>
public sealed record FitRecord(
    string Method, long Rows, long Available, int Iterations, IReadOnlyList<string> Notes, IReadOnlyDictionary<string, double> Metrics);

/// <summary>Stores fitted factors: their state as tensors, the record of the fit in the metadata.</summary>
public static class FactorsFile
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>Writes factors.</summary>
    /// <param name="path">Target.</param>
    /// <param name="factors">Fitted factors; stay the caller's.</param>
    /// <param name="record">The record of the fit.</param>
    public static void Save(string path, Factors factors, FitRecord record) => SafetensorsTensors.Save(
        path,
        [.. factors.State().OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => (s.Key, s.Value))],
        new Dictionary<string, string> { ["fit"] = JsonSerializer.Serialize(record, Json) });

    /// <summary>Reads the record alone.</summary>
    /// <exception cref="AnalysisException">The file is missing or damaged.</exception>
    public static FitRecord ReadRecord(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return Record(file, path);
    }

    /// <summary>Reads factors. The result belongs to the caller.</summary>
    /// <param name="path">What <see cref="Save"/> wrote.</param>
    /// <param name="device">Device of the tensors.</param>
    /// <exception cref="AnalysisException">The file is missing or damaged, or its method is not known.</exception>
    public static (Factors Factors, FitRecord Record) Read(string path, Device device)
    {
        using var file = SafetensorsFile.Open(path);
        var record = Record(file, path);
        var state = new Dictionary<string, Tensor>();
        foreach (var name in file.Entries.Keys)
        {
            using var scope = NewDisposeScope();
            state[name] = file.Load(name).to(device).alias().DetachFromDisposeScope();
        }

        return (record.Method == MeanFactors.Name ? new MeanFactors(state["vectors"]) : FactorizationCatalogue.Get(record.Method).Restore(state), record);
    }

    private static FitRecord Record(SafetensorsFile file, string path)
    {
        try
        {
            return JsonSerializer.Deserialize<FitRecord>(file.Metadata["fit"], Json)!;
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException)
        {
            throw new AnalysisException($"{path} does not hold fitted factors.", "Delete it and run the analysis again.", failure);
        }
    }
}

/// <summary>The mean of some rows as the only concept vector: what is left where rows are too few to factorise.</summary>
/// <param name="vectors">1×p; becomes the object's.</param>
public sealed class MeanFactors(Tensor vectors) : Factors(vectors)
{
    /// <summary>Name in records; not a method that can be asked for.</summary>
    public const string Name = "mean";

    /// <summary>The best non-negative multiple of the mean: max(0, a·v) / ||v||².</summary>
    /// <param name="rows">m×p.</param>
    public override Tensor Encode(Tensor rows) => rows.mm(Vectors.t()).clamp_min(Scalars.Of(0)).div(Vectors.pow(Scalars.Of(2)).sum().clamp_min(Scalars.Of(1e-30)));
}
