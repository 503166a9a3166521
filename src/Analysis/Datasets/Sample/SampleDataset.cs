using System.Text.Json;
using System.Text.Json.Serialization;

namespace Analysis.Datasets.Sample;

/// <summary>
/// The built-in sample: about 2,000 images of 64×64 pixels in ten classes that are made of known attributes, with planted
/// outliers. Generated, so that its truth is known and nothing has to be downloaded.
/// </summary>
public static class SampleDataset
{
    /// <summary>Name of the folder of the images below the sample's folder.</summary>
    public const string ImagesFolder = "images";

    /// <summary>Name of the file with the planted truth beside the images folder.</summary>
    public const string TruthFile = "truth.json";

    /// <summary>Counts up whenever the images change; part of the truth file.</summary>
    public const int Version = 1;

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NewLine = "\n",
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    // One time for all files: neither date nor fingerprint then depends on when or where the sample was made.
    private static readonly DateTime Stamp = new(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    /// <summary>
    /// Writes the sample unless it is already complete. An incomplete or older one, as a kill leaves it, is written anew. The
    /// truth file comes last and marks the sample as complete.
    /// </summary>
    /// <param name="folder">Folder of the sample; the images go to <see cref="ImagesFolder"/> below it.</param>
    /// <param name="progress">Receives the number of images done and in all.</param>
    /// <param name="options">What to generate; null for the sample that the product shows.</param>
    /// <param name="cancellation">Ends the work between two images.</param>
    /// <returns>Full path of the images folder: the data set.</returns>
    /// <exception cref="AnalysisException">The folder cannot be written.</exception>
    public static string EnsureCreated(
        string folder, IProgress<(int Done, int Total)>? progress = null, SampleOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new SampleOptions();
        var root = Path.GetFullPath(folder);
        var images = Path.Combine(root, ImagesFolder);
        var truth = Path.Combine(root, TruthFile);
        var plan = SamplePlan.Create(options);
        try
        {
            if (!IsComplete(truth, images, options, plan))
            {
                Write(root, images, truth, options, plan, progress, cancellation);
            }

            progress?.Report((plan.Count, plan.Count));
            return images;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new AnalysisException(
                $"The built-in sample cannot be written to '{folder}': {e.Message}",
                "Free some disk space (30 MB are needed) or choose another data directory.",
                e);
        }
    }

    /// <summary>The planted truth as the text of <see cref="TruthFile"/>.</summary>
    /// <param name="options">The options that the sample was made with.</param>
    /// <param name="plan">Its images.</param>
    public static string Truth(SampleOptions options, IReadOnlyList<SampleItem> plan)
    {
        var counts = plan.CountBy(static i => i.Type).OrderBy(static c => c.Key, StringComparer.Ordinal).ToDictionary();
        var document = new TruthDocument(
            "Built-in sample of Concept Atlas: what each image shows and which ones were planted as odd. Paths are relative to images/.",
            Version,
            options.Seed,
            [.. SampleClasses.All.Select(static c => c.Name)],
            plan.Count,
            counts,
            SampleClasses.All.Count * options.ImagesPerClass,
            SampleClasses.WatermarkClass,
            [.. plan.Where(static i => i.Type != "clean").Select(static i => new PlantedDocument(i.Path, i.Type, i.FolderClass, i.TrueClass, i.Source, i.Detail))],
            plan.ToDictionary(static i => i.Path, static i => i.Attributes, StringComparer.Ordinal));
        return JsonSerializer.Serialize(document, Json) + "\n";
    }

    /// <summary>What each image shows, as a table that labels are made from. The watermark is an artefact: no class needs it.</summary>
    private static string Attributes(IReadOnlyList<SampleItem> plan) => "path,shape,texture,colour,background,artefact: watermark\n" + string.Concat(
        plan.Select(static i => $"{i.Path},{i.Attributes.Shape},{i.Attributes.Texture},{i.Attributes.Colour},{i.Attributes.Background},{(i.Attributes.Watermark ? "yes" : "no")}\n"));

    private static bool IsComplete(string truth, string images, SampleOptions options, IReadOnlyList<SampleItem> plan)
    {
        if (!File.Exists(truth) || File.ReadAllText(truth) != Truth(options, plan))
        {
            return false;
        }

        // Existence only: whoever changes the images wants them so.
        return File.Exists(Path.Combine(images, AnnotationFiles.Attributes)) && plan.All(item => File.Exists(Path.Combine(images, item.Path)));
    }

    private static void Write(
        string root, string images, string truth, SampleOptions options, IReadOnlyList<SampleItem> plan,
        IProgress<(int Done, int Total)>? progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(images);
        File.Delete(truth);
        foreach (var name in SampleClasses.All.Select(static c => c.Name))
        {
            var stale = Path.Combine(images, name);
            if (Directory.Exists(stale))
            {
                Directory.Delete(stale, recursive: true);
            }

            Directory.CreateDirectory(stale);
        }

        var done = 0;
        try
        {
            Parallel.ForEach(plan, new ParallelOptions { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount }, item =>
            {
                var path = Path.Combine(images, item.Path);
                File.WriteAllBytes(path, StoredPng.Encode(item.Paint()));
                File.SetLastWriteTimeUtc(path, Stamp);
                var count = Interlocked.Increment(ref done);
                if (count % 50 == 0)
                {
                    progress?.Report((count, plan.Count));
                }
            });
        }
        catch (AggregateException e) when (e.InnerException is IOException or UnauthorizedAccessException)
        {
            throw new IOException(e.InnerException.Message, e);
        }

        var attributes = Path.Combine(images, AnnotationFiles.Attributes);
        File.WriteAllText(attributes, Attributes(plan));
        File.SetLastWriteTimeUtc(attributes, Stamp);
        var temporary = Path.Combine(root, TruthFile + ".partial");
        File.WriteAllText(temporary, Truth(options, plan));
        File.SetLastWriteTimeUtc(temporary, Stamp);
        File.Move(temporary, truth, overwrite: true);
    }

    private sealed record TruthDocument(
        string Description, int Version, int Seed, IReadOnlyList<string> Classes, int TotalImages, IReadOnlyDictionary<string, int> Counts,
        int BaseImages, string WatermarkClass, IReadOnlyList<PlantedDocument> Planted, IReadOnlyDictionary<string, SampleAttributes> Attributes);

    private sealed record PlantedDocument(string File, string Type, string FolderClass, string TrueClass, string Source, string Detail);
}
