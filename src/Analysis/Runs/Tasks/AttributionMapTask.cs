using System.Text.Json;
using Analysis.Imaging;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs.Stages;
using Analysis.Visualization;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Tasks;

/// <summary>What an attribution map is asked for.</summary>
/// <param name="Class">Index of the class.</param>
/// <param name="Concept">Rank of the concept in the class.</param>
/// <param name="Sample">Row of the sample; of any class.</param>
/// <param name="Kind"><c>fast</c> or <c>exact</c>.</param>
public sealed record AttributionMapParameters(int Class, int Concept, int Sample, string Kind);

/// <summary>Result of the task: <c>result.json</c>, beside <c>map.png</c> (the picture under the map) and <c>map.safetensors</c>.</summary>
/// <param name="Parameters">What was asked for.</param>
/// <param name="Coefficient">Coefficient of the concept on the sample.</param>
/// <param name="Largest">Largest value of the map.</param>
/// <param name="Height">Height of map and picture.</param>
/// <param name="Width">Width of map and picture.</param>
/// <param name="Picture">File name of the picture.</param>
/// <param name="Meaning">What a value of the map is, in words.</param>
public sealed record AttributionMapResult(AttributionMapParameters Parameters, double Coefficient, double Largest, int Height, int Width, string Picture, string Meaning);

/// <summary>Shows where in a picture a concept is (METHODS 2.8).</summary>
public sealed class AttributionMapTask : IAnalysisTask
{
    /// <inheritdoc/>
    public string Kind => "attribution-map";

    /// <inheritdoc/>
    public int Version => 1;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        var given = new TaskParameters(Kind, parameters, "class", "concept", "sample", "kind");
        return JsonSerializer.Serialize(
            new AttributionMapParameters(
                given.Integer("class", null, 0, int.MaxValue),
                given.Integer("concept", null, 0, ConceptOptions.MostOfClass - 1),
                given.Integer("sample", null, 0, int.MaxValue),
                given.Choice("kind", "fast", ["fast", "exact"])),
            AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var wish = JsonSerializer.Deserialize<AttributionMapParameters>(parameters, AnalysisJson.Line)!;
        // Opened first: what the context keeps must not belong to a scope of this method.
        var samples = context.Samples;
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        if (wish.Sample >= samples.Count)
        {
            throw new AnalysisException($"The analysis has no sample {wish.Sample}.", $"Choose 0 to {samples.Count - 1}.");
        }

        observer.OnProgress(new TaskProgress(0, 2, "Reading the picture"));
        var atlas = ClassConcepts.Read(context, wish.Class);
        ClassConcepts.Concept(atlas, wish.Concept);
        using var encoder = ClassConcepts.Encoder(context, atlas, cancellation);
        var (network, layer) = (context.Plan.Network, context.Plan.Layer.Name);
        var image = ClassConcepts.Images(context).Images([wish.Sample], 1, cancellation).First().Images;
        observer.OnProgress(new TaskProgress(1, 2, wish.Kind == "exact" ? "Following the concept back to the pixels" : "Encoding every position"));
        cancellation.ThrowIfCancellationRequested();
        var (height, width) = (network.Preprocessing.Height, network.Preprocessing.Width);
        var activation = network.Forward(image, [layer]).Activations[0];
        var positions = activation.to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, activation.shape[1]);
        var coefficient = encoder.Encode(encoder.ByPositions ? positions : positions.mean([0L], keepdim: true)).select(1, wish.Concept).mean().item<double>();
        Tensor map;
        var tensors = new List<(string, Tensor)>();
        if (wish.Kind == "exact")
        {
            var gradient = AttributionMaps.Exact(network, layer, encoder, wish.Concept, image);
            tensors.Add(("gradient", gradient));
            map = gradient.abs().sum([0L]).contiguous();
        }
        else
        {
            map = AttributionMaps.Fast(activation, encoder, wish.Concept, height, width);
        }

        tensors.Add(("map", map));
        var result = new AttributionMapResult(
            wish,
            Rounding.Significant(coefficient),
            Rounding.Significant(map.max().item<float>()),
            height,
            width,
            "map.png",
            wish.Kind == "exact"
                ? "sum over colours of |change of the coefficient per unit of the normalised pixel value|"
                : "coefficient of the concept at the position, small ones left out");
        try
        {
            SafetensorsTensors.Save(Path.Combine(folder, "map.safetensors"), tensors);
            var picture = ThumbnailMaker.EncodePng(AttributionMaps.Overlay(image[0], map, network.Preprocessing));
            AtomicFile.Write(Path.Combine(folder, result.Picture), stream => stream.Write(picture));
            AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(result, AnalysisJson.Options));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(folder, failure);
        }

        observer.OnProgress(new TaskProgress(2, 2, "Done"));
    }
}
