using System.Text.Json;
using Analysis.Atlas;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Visualization;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Tasks;

/// <summary>Makes a picture of what the network takes for a concept (<see cref="ConceptImage"/>).</summary>
public sealed class ConceptImageTask : IAnalysisTask
{
    /// <summary>Name of this kind.</summary>
    public const string KindName = "concept-image";

    /// <summary>The whole picture.</summary>
    public const string PictureFile = "picture.png";

    /// <summary>The picture with opacity where the network looked.</summary>
    public const string TransparentFile = "transparent.png";

    private const string PreviewFile = "preview.png";
    private const int PreviewEvery = 8;
    private const int ObjectiveParts = 2048;

    /// <summary>Opacity is full from this share of the picture's weights upwards, so that single points do not hide the rest.</summary>
    private const double FullOpacity = 0.9;

    /// <inheritdoc/>
    public string Kind => KindName;

    /// <inheritdoc/>
    public int Version => 1;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        var given = new TaskParameters(Kind, parameters, "class", "concept", "size", "steps", "crops", "seed", "method");
        var size = given.Integer("size", 96, 32, 224);
        if (size % 2 != 0)
        {
            throw new AnalysisException($"The size {size} is odd.", "Choose an even size from 32 to 224.");
        }

        return JsonSerializer.Serialize(
            new Parameters(
                given.Integer("class", null, 0, int.MaxValue),
                given.Integer("concept", null, 0, int.MaxValue),
                size,
                given.Integer("steps", 128, 1, 1024),
                given.Integer("crops", 8, 1, 64),
                given.Integer("seed", 0, 0, int.MaxValue),
                given.Choice("method", "maco", ["maco", "fourier"])),
            AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var wanted = JsonSerializer.Deserialize<Parameters>(parameters, AnalysisJson.Options)!;
        var (atlas, index) = Find(context.ResultFolder, wanted);
        observer.OnProgress(new TaskProgress(0, wanted.Steps, "Opening the analysis"));
        if (context.Plan.Network is RecordedNetwork)
        {
            throw new AnalysisException(
                "The analysis is of activations from a file: there is no network that could show what a picture does to them.", "Analyse the network itself on images, then ask again.");
        }

        using var scope = NewDisposeScope();
        var vector = Vector(context.ResultFolder, wanted.Class, index);
        if (vector.Length != context.Plan.Layer.Channels)
        {
            throw new AnalysisException(
                $"The concept has {vector.Length} numbers and the layer {context.Plan.Layer.Name} {context.Plan.Layer.Channels} channels.", "Start the analysis again.");
        }

        var mean = DenseMatrix.FromTensor(context.Directions.Mean.unsqueeze(0)).Row(0).ToArray();
        var options = new ConceptImageOptions { Maco = wanted.Method == "maco", Size = wanted.Size, Steps = wanted.Steps, Crops = wanted.Crops, Seed = wanted.Seed };
        Tensor? magnitude = null;
        if (options.Maco)
        {
            observer.OnProgress(new TaskProgress(0, wanted.Steps, "Reading the spectrum of the images"));
            magnitude = ImageSpectrum.Of(context.Plan.Dataset, context.Plan.Samples, context.Plan.Network.Preprocessing, wanted.Size, context.StoreFolder, cancellation);
        }

        var image = new ConceptImage(context.Plan.Network, context.Plan.Layer.Name, vector, mean, options);
        var curve = new List<double>();
        string? preview = null;
        var last = image.Run(
            magnitude,
            state =>
            {
                curve.Add(state.Objective);
                // The preview has one name: it is replaced as a whole, and asked for anew with each state. It stays, since a
                // browser may ask for the last state after the end.
                AtomicFile.Write(Path.Combine(folder, PreviewFile), stream => stream.Write(ThumbnailMaker.EncodePng(Opaque(state, wanted.Size))));
                preview = PreviewFile;
            },
            PreviewEvery,
            step => observer.OnProgress(new TaskProgress(step, wanted.Steps, "Climbing towards the concept", preview)),
            cancellation);

        observer.OnProgress(new TaskProgress(wanted.Steps, wanted.Steps, "Comparing with the images", preview));
        var strength = image.Strength(tensor(last.Pixels, [1, wanted.Size, wanted.Size, 3]).permute(0, 3, 1, 2) * Scalars.Of(2) - Scalars.Of(1))[0];
        var (strongest, average) = InImages(context, vector, mean, cancellation);
        AtomicFile.Write(Path.Combine(folder, PictureFile), stream => stream.Write(ThumbnailMaker.EncodePng(Opaque(last, wanted.Size))));
        AtomicFile.Write(Path.Combine(folder, TransparentFile), stream => stream.Write(ThumbnailMaker.EncodeTransparentPng(Transparent(last), wanted.Size, wanted.Size)));
        var result = new Result(
            wanted.Class, atlas.Name, wanted.Concept, wanted.Method, wanted.Size, wanted.Steps, PictureFile, TransparentFile,
            Rounding.Significant(strength), Rounding.Significant(strongest), Rounding.Significant(average), PreviewEvery,
            [.. curve.Select(Rounding.Significant)]);
        AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(result, AnalysisJson.Options));
    }

    private static (ClassAtlas Atlas, int Index) Find(string resultFolder, Parameters wanted)
    {
        ClassAtlas? atlas = null;
        try
        {
            atlas = JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllBytes(ClassArraysFile.AtlasPathOf(resultFolder, wanted.Class)), AnalysisJson.Options);
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            // Told below.
        }

        if (atlas is null)
        {
            throw new AnalysisException($"The analysis has no class {wanted.Class}.", "Choose one of its classes; the API lists them.");
        }

        for (var i = 0; i < atlas.Concepts.Count; i++)
        {
            if (atlas.Concepts[i].Id == wanted.Concept)
            {
                return (atlas, i);
            }
        }

        throw new AnalysisException(
            $"The class {atlas.Name} has no concept {wanted.Concept}.", $"Choose one of: {string.Join(", ", atlas.Concepts.Select(c => c.Id).Take(50))}.");
    }

    private static double[] Vector(string resultFolder, int classIndex, int index)
    {
        using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(resultFolder, classIndex));
        var channels = (int)file.Entry("concept_vectors").Shape[1];
        return [.. file.Span<float>("concept_vectors").Slice(index * channels, channels).ToArray().Select(v => (double)v)];
    }

    /// <summary>Largest and mean value of the concept in the analysed images, by the same measure as <see cref="ConceptImage.Strength"/>.</summary>
    private static (double Strongest, double Average) InImages(TaskContext context, double[] vector, double[] mean, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var unit = tensor(Vectors.Unit(vector));
        var origin = tensor(vector.Any(v => v < -1e-9) ? mean : new double[mean.Length]).unsqueeze(0);
        double strongest = double.NegativeInfinity, sum = 0;
        for (var start = 0; start < context.Store.Rows; start += ObjectiveParts)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            var values = (context.Store.ReadTensor("pooled.0", start, Math.Min(ObjectiveParts, context.Store.Rows - start)).to(ScalarType.Float64).cpu() - origin).mv(unit);
            strongest = Math.Max(strongest, values.max().item<double>());
            sum += values.sum().item<double>();
        }

        return (strongest, sum / context.Store.Rows);
    }

    private static RgbImage Opaque(ConceptImageState state, int size) =>
        new(size, size, Array.ConvertAll(state.Pixels, v => (byte)Math.Round(Math.Clamp(v, 0, 1) * 255)));

    private static byte[] Transparent(ConceptImageState state)
    {
        var sorted = (float[])state.Weight.Clone();
        Array.Sort(sorted);
        var full = Math.Max(sorted[(int)((sorted.Length - 1) * FullOpacity)], float.Epsilon);
        var pixels = new byte[state.Weight.Length * 4];
        for (var i = 0; i < state.Weight.Length; i++)
        {
            for (var c = 0; c < 3; c++)
            {
                pixels[(4 * i) + c] = (byte)Math.Round(Math.Clamp(state.Pixels[(3 * i) + c], 0, 1) * 255);
            }

            pixels[(4 * i) + 3] = (byte)Math.Round(Math.Clamp(state.Weight[i] / full, 0, 1) * 255);
        }

        return pixels;
    }

    /// <summary>Complete parameters.</summary>
    private sealed record Parameters(int Class, int Concept, int Size, int Steps, int Crops, int Seed, string Method);

    /// <summary>Content of <c>result.json</c>.</summary>
    private sealed record Result(
        int Class, string ClassName, int Concept, string Method, int Size, int Steps, string Picture, string Transparent,
        double Strength, double StrongestImage, double AverageImage, int CurveEvery, IReadOnlyList<double> Curve);
}
