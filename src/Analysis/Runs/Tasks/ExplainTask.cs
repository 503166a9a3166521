using System.Text.Json;
using Analysis.Explanations;
using Analysis.Imaging;
using Analysis.Networks.Files;

namespace Analysis.Runs.Tasks;

/// <summary>
/// What an explanation is asked for.
/// </summary>
/// <param name="Image">Name of the image among the <see cref="OwnImages"/> of the analysis.</param>
/// <param name="Class">Class whose concepts are used; null for that of the prediction.</param>
public sealed record ExplainParameters(string Image, int? Class);

/// <summary>Explains an image that a person brought, as the pages of samples explain those of the data set (<see cref="ImageExplainer"/>).</summary>
public sealed class ExplainTask : IAnalysisTask
{
    /// <summary>Name of this kind.</summary>
    public const string KindName = "explain";

    /// <summary>The image's pooled activation, by which images like it are found: tensor <c>pooled</c>, C float32.</summary>
    public const string ActivationFile = "activation.safetensors";

    private const int Steps = 3;

    /// <inheritdoc/>
    public string Kind => KindName;

    /// <inheritdoc/>
    public int Version => 1;

    /// <summary>File of a concept's map.</summary>
    public static string MapFile(int rank) => FormattableString.Invariant($"map-{rank}.webp");

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        var given = new TaskParameters(Kind, parameters, "image", "class");
        var image = given.Text("image");
        if (!OwnImages.IsHash(image))
        {
            throw new AnalysisException("The parameter image is not the name of an image.", "Bring the image first; its name is the 64 hex digits that are answered.");
        }

        var index = given.Integer("class", -1, -1, int.MaxValue);
        return JsonSerializer.Serialize(new ExplainParameters(image!, index < 0 ? null : index), AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var wish = JsonSerializer.Deserialize<ExplainParameters>(parameters, AnalysisJson.Line)!;
        observer.OnProgress(new TaskProgress(0, Steps, "Opening the network"));
        var picture = ImageDecoder.Decode(OwnImages.Read(context.ResultFolder, wish.Image));
        var (explanation, maps, pooled) = new ImageExplainer(context).Explain(
            wish.Image, picture, wish.Class, (done, doing) => observer.OnProgress(new TaskProgress(done, Steps, doing)), cancellation);
        foreach (var (rank, overlay) in maps)
        {
            AtomicFile.Write(Path.Combine(folder, MapFile(rank)), stream => stream.Write(overlay));
        }

        try
        {
            using var writer = SafetensorsWriter.Create(Path.Combine(folder, ActivationFile), [("pooled", new TensorHeader(ElementType.Float32, [pooled.Length]))]);
            writer.Write<float>("pooled", pooled);
            writer.Complete();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(folder, failure);
        }

        AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(explanation, AnalysisJson.Options));
        observer.OnProgress(new TaskProgress(Steps, Steps, "Done"));
    }
}
