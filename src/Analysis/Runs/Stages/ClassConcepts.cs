using System.Text.Json;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Factorization;
using Analysis.Networks.Files;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Stages;

/// <summary>The concepts of a class of a finished analysis, opened again for a task.</summary>
internal static class ClassConcepts
{
    /// <summary>What pages show of a class.</summary>
    /// <exception cref="AnalysisException">There is no such class.</exception>
    public static ClassAtlas Read(TaskContext context, int classIndex)
    {
        var path = ClassArraysFile.AtlasPathOf(context.ResultFolder, classIndex);
        if (!File.Exists(path))
        {
            throw new AnalysisException($"The analysis has no class {classIndex}.", $"Choose 0 to {context.Classes.Count - 1}.");
        }

        return JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllText(path), AnalysisJson.Line)!;
    }

    /// <summary>A concept of a class by its rank.</summary>
    /// <exception cref="AnalysisException">There is no such concept.</exception>
    public static ConceptEntry Concept(ClassAtlas atlas, int rank) =>
        rank >= 0 && rank < atlas.Concepts.Count
            ? atlas.Concepts[rank]
            : throw new AnalysisException(
                $"{atlas.DisplayName} has no concept {rank}.", atlas.Concepts.Count == 0 ? "It has none: choose another class." : $"Choose 0 to {atlas.Concepts.Count - 1}.");

    /// <summary>
    /// The way to encode by the class's concepts, columns in the order of their ranks. Fitted factors that were cleaned away from
    /// the store are fitted again. Belongs to the caller.
    /// </summary>
    public static ConceptEncoder Encoder(TaskContext context, ClassAtlas atlas, CancellationToken cancellation)
    {
        var plan = context.Plan;
        int? index = plan.Request.Scope == "dataset" ? null : atlas.Class;
        var path = plan.FactorsKey is null ? null : FactorsStage.PathOf(Path.Combine(context.StoreFolder, plan.FactorsKey), index);
        if (path is not null && !File.Exists(path))
        {
            // Opened first: what the context keeps must not belong to a scope of this method.
            _ = context.Samples;
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        if (path is null)
        {
            using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(context.ResultFolder, atlas.Class));
            return new ContrastEncoder(file.Load("concept_vectors").to(plan.Network.Device).to(ScalarType.Float64).clone(), Mean(context));
        }

        if (!File.Exists(path))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var members = index is null ? context.Classes : [context.Classes[atlas.Class]];
            var input = new ConceptInput(context.Store, context.Spatial, Crops(context, members, cancellation), plan.Layer, plan.Network.Device, plan.Request.Granularity);
            FactorsStage.Fit(plan, input, members, path, _ => { }, cancellation);
        }

        var (factors, _) = FactorsFile.Read(path, plan.Network.Device);
        return FactorEncoder.Create(factors, plan.Request.Granularity == "positions", [.. atlas.Concepts.Select(c => c.Component!.Value)], owns: true);
    }

    /// <summary>Mean pooled activation of the data set as the result keeps it, which needs no recorded activations; C float64.</summary>
    private static Tensor Mean(TaskContext context)
    {
        using var file = SafetensorsFile.Open(Path.Combine(context.ResultFolder, "tensors.safetensors"));
        return tensor(file.Span<double>("mean").ToArray());
    }

    /// <summary>Recorded crops for the granularity of crops, else null.</summary>
    public static CropActivations? Crops(TaskContext context, IReadOnlyList<ClassRows> classes, CancellationToken cancellation)
    {
        if (context.Plan.CropsKey is not { } key)
        {
            return null;
        }

        var crops = Images(context, Path.Combine(context.StoreFolder, key));
        foreach (var members in classes.Where(c => c.Rows.Length > 0))
        {
            crops.Record(members.Description.Index, members.Rows, context.Plan.Request.BatchSize, _ => { }, cancellation);
        }

        return crops;
    }

    /// <summary>Access to the images of the analysis as the network sees them.</summary>
    public static CropActivations Images(TaskContext context, string folder = "") => new(
        context.Plan.Dataset, context.Plan.Network, context.Plan.Layer.Name, [.. context.Store.ScanIndices().Select(s => context.Plan.Samples[s])], folder);
}
