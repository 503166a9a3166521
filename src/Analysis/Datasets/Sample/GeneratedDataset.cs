using System.Collections;
using System.Globalization;
using System.Text.Json;
using Analysis.Imaging;

namespace Analysis.Datasets.Sample;

/// <summary>
/// A data set of drawn images that exist only when they are looked at: any number of classes and images in one small file,
/// <c>generated.json</c>. It serves generated atlases, whose numbers are synthetic (<c>seed</c> on the command line).
/// </summary>
public sealed class GeneratedDataset : IDataset
{
    /// <summary>Name of the file that makes a folder a generated data set.</summary>
    public const string FileName = "generated.json";

    /// <summary>Most classes, and most images of a class.</summary>
    public const int Most = 10_000;

    private const int LargestFile = 4096;
    private const int Version = 1;
    private readonly int _seed;

    private GeneratedDataset(string root, int classes, int images, int seed)
    {
        Root = root;
        ImagesPerClass = images;
        _seed = seed;
        Classes = [.. Enumerable.Range(0, classes).Select(FolderOf)];
        Samples = new Listing(Classes, images);
        using var fingerprint = new FingerprintBuilder();
        fingerprint.Add(string.Create(CultureInfo.InvariantCulture, $"generated/{Version}/{classes}/{images}/{seed}"), 0, default);
        Fingerprint = fingerprint.Finish();
    }

    /// <inheritdoc/>
    public string Root { get; }

    /// <inheritdoc/>
    public string Name => "generated images";

    /// <inheritdoc/>
    public string Format => "generated images";

    /// <inheritdoc/>
    public string Fingerprint { get; }

    /// <inheritdoc/>
    public IReadOnlyList<SampleReference> Samples { get; }

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes { get; }

    /// <inheritdoc/>
    public IReadOnlyList<SkippedFile> Skipped => [];

    /// <summary>Images of each class.</summary>
    public int ImagesPerClass { get; }

    /// <summary>Writes the file that describes a data set and opens it.</summary>
    /// <param name="folder">Folder, made where it is missing.</param>
    /// <param name="classes">Number of classes.</param>
    /// <param name="images">Images of each class.</param>
    /// <param name="seed">Seed of what is drawn.</param>
    public static GeneratedDataset Create(string folder, int classes, int images, int seed)
    {
        Check(classes, images, "The generated data set");
        var root = Directory.CreateDirectory(folder).FullName;
        File.WriteAllText(Path.Combine(root, FileName), JsonSerializer.Serialize(new Description(Version, classes, images, seed), JsonSerializerOptions.Web) + "\n");
        return new GeneratedDataset(root, classes, images, seed);
    }

    /// <summary>Folder name of a class: eight digits after a letter, in order.</summary>
    public static string FolderOf(int index) => index.ToString("'g'00000000", CultureInfo.InvariantCulture);

    /// <summary>Path of an image below the root.</summary>
    public static string PathOf(int index, int image) => string.Create(CultureInfo.InvariantCulture, $"{FolderOf(index)}/{image:00000}.png");

    /// <summary>What the images of a class show; classes beyond the possible combinations repeat them.</summary>
    public static SampleAttributes AttributesOf(int index)
    {
        var (shapes, textures, colours, backgrounds) = (SampleClasses.Shapes, SampleClasses.Textures, SampleClasses.Colours, SampleClasses.Backgrounds);
        var rest = index % (shapes.Count * textures.Count * colours.Count * backgrounds.Count);
        var shape = rest % shapes.Count;
        rest /= shapes.Count;
        var colour = rest % colours.Count;
        rest /= colours.Count;
        return new SampleAttributes(shapes[shape], textures[rest % textures.Count], colours[colour], backgrounds[rest / textures.Count]);
    }

    /// <summary>Name for display: "striped red star on grid 2".</summary>
    public static string NameOf(int index)
    {
        var shown = AttributesOf(index);
        var (shapes, textures, colours, backgrounds) = (SampleClasses.Shapes, SampleClasses.Textures, SampleClasses.Colours, SampleClasses.Backgrounds);
        var round = index / (shapes.Count * textures.Count * colours.Count * backgrounds.Count);
        var name = $"{shown.Texture} {shown.Colour} {shown.Shape} on {shown.Background}";
        return round == 0 ? name : string.Create(CultureInfo.InvariantCulture, $"{name} {round + 1}");
    }

    /// <inheritdoc/>
    public RawImage Read(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Samples.Count);
        var image = SamplePainter.Paint(AttributesOf(index / ImagesPerClass), SampleRandom.For(_seed, index));
        return new RawImage(image.Pixels, Encoded: false, image.Width, image.Height);
    }

    /// <summary>The data set that a folder describes; null where it is no such folder.</summary>
    /// <exception cref="AnalysisException">The file is there and damaged.</exception>
    internal static GeneratedDataset? TryOpenFolder(string root)
    {
        var file = new FileInfo(Path.Combine(root, FileName));
        if (file is not { Exists: true, LinkTarget: null } || file.Length > LargestFile)
        {
            return null;
        }

        Description? described;
        try
        {
            described = JsonSerializer.Deserialize<Description>(File.ReadAllBytes(file.FullName), JsonSerializerOptions.Web);
        }
        catch (JsonException)
        {
            return null;
        }

        if (described is not { Generated: Version })
        {
            return null;
        }

        Check(described.Classes, described.Images, $"'{file.FullName}'");
        return new GeneratedDataset(root, described.Classes, described.Images, described.Seed);
    }

    private static void Check(int classes, int images, string what)
    {
        if (classes is < 1 or > Most || images is < 1 or > Most)
        {
            throw new AnalysisException(
                FormattableString.Invariant($"{what} asks for {classes} classes of {images} images."), FormattableString.Invariant($"Give 1 to {Most} of each."));
        }
    }

    private sealed record Description(int Generated, int Classes, int Images, int Seed);

    /// <summary>The samples by arithmetic: a million of them take no memory.</summary>
    private sealed class Listing(IReadOnlyList<string> classes, int images) : IReadOnlyList<SampleReference>
    {
        public int Count => classes.Count * images;

        public SampleReference this[int index] => new(PathOf(index / images, index % images), classes[index / images]);

        public IEnumerator<SampleReference> GetEnumerator() => Enumerable.Range(0, Count).Select(index => this[index]).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
