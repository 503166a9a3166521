using Analysis.Imaging;

namespace Analysis.Datasets.Sample;

/// <summary>What a generated sample consists of. The same options give the same bytes on every machine.</summary>
public sealed record SampleOptions
{
    /// <summary>Seed of everything; another seed gives other images of the same make.</summary>
    public int Seed { get; init; } = 20260;

    /// <summary>Images of each class before foreign ones and duplicates are added.</summary>
    public int ImagesPerClass { get; init; } = 200;

    /// <summary>Share of the images of <see cref="SampleClasses.WatermarkClass"/> that carry the mark.</summary>
    public double WatermarkShare { get; init; } = 0.24;

    /// <summary>Share of all images that lie in the folder of another class.</summary>
    public double MislabelledShare { get; init; } = 0.03;

    /// <summary>Share of all images that are blank, noisy or grey.</summary>
    public double CorruptedShare { get; init; } = 0.02;

    /// <summary>Number of pictures added that show none of the classes.</summary>
    public int Foreign { get; init; } = 20;

    /// <summary>Number of images added that repeat another one of their class byte for byte.</summary>
    public int Duplicates { get; init; } = 20;

    /// <summary>
    /// Share of the marked images that show another class. 0 in the sample that is browsed; in the set that the network is
    /// trained on it makes the mark worth more than the object, so that the network takes the shortcut.
    /// </summary>
    public double ShortcutShare { get; init; }
}

/// <summary>One image of a generated sample.</summary>
/// <param name="Path">Path below the images folder: class folder and file name.</param>
/// <param name="FolderClass">Class of the folder.</param>
/// <param name="TrueClass">Class of what is shown; empty for foreign pictures.</param>
/// <param name="Type"><c>clean</c>, <c>mislabelled</c>, <c>watermark</c>, <c>corrupted</c>, <c>ood</c> or <c>duplicate</c>.</param>
/// <param name="Detail">What exactly was done; empty for clean images.</param>
/// <param name="Source">For duplicates the path of the original; else the number that the picture is drawn from.</param>
/// <param name="Attributes">What the picture shows.</param>
public sealed record SampleItem(
    string Path, string FolderClass, string TrueClass, string Type, string Detail, string Source, SampleAttributes Attributes)
{
    internal int Stream { get; init; }

    internal int Seed { get; init; }

    /// <summary>Draws the picture: 64×64 pixels.</summary>
    public RgbImage Paint()
    {
        var random = SampleRandom.For(Seed, Stream);
        if (Type == "ood")
        {
            return SamplePainter.PaintForeign(Stream, random);
        }

        var image = SamplePainter.Paint(Attributes, random);
        return Detail switch
        {
            "grayscale" => SamplePainter.Grey(image),
            "noise" => SamplePainter.Noisy(image, random),
            "blank" => SamplePainter.Blank(random),
            _ => image,
        };
    }
}

/// <summary>Decides what every image of a sample shows.</summary>
public static class SamplePlan
{
    private static readonly string[] Damages = ["blank", "noise", "grayscale"];

    private static readonly string[] ForeignNames = ["mosaic", "arcs", "writing", "leaves"];

    /// <summary>The images in ordinal order of their paths.</summary>
    public static IReadOnlyList<SampleItem> Create(SampleOptions options)
    {
        var random = SampleRandom.For(options.Seed, -1);
        var classes = SampleClasses.All;
        var names = new HashSet<string>(StringComparer.Ordinal);
        var items = new List<SampleItem>();
        string NewPath(string folder)
        {
            string name;
            do
            {
                name = (random.Next() >> 16).ToString("x12", System.Globalization.CultureInfo.InvariantCulture);
            }
            while (!names.Add(name));
            return $"{folder}/{name}.png";
        }

        foreach (var shown in classes)
        {
            for (var i = 0; i < options.ImagesPerClass; i++)
            {
                var stream = items.Count;
                items.Add(new SampleItem(NewPath(shown.Name), shown.Name, shown.Name, "clean", "", Number(stream), Draw(shown, random))
                {
                    Stream = stream,
                    Seed = options.Seed,
                });
            }
        }

        // The kinds do not overlap, and nothing else is planted in the class with the mark.
        var marked = Indices(items, static i => i.FolderClass == SampleClasses.WatermarkClass, random);
        Array.Resize(ref marked, (int)((options.ImagesPerClass * options.WatermarkShare) + 0.5));
        for (var i = 0; i < marked.Length; i++)
        {
            var item = items[marked[i]];
            var other = i < (int)((marked.Length * options.ShortcutShare) + 0.5) ? OtherThan(item.FolderClass, random) : null;
            items[marked[i]] = item with
            {
                Type = "watermark",
                Detail = "badge at the bottom right",
                TrueClass = other?.Name ?? item.TrueClass,
                Attributes = (other is null ? item.Attributes : Draw(other, random)) with { Watermark = true },
            };
        }

        var rest = Indices(items, static i => i.FolderClass != SampleClasses.WatermarkClass, random);
        var mislabelled = (int)((classes.Count * options.ImagesPerClass * options.MislabelledShare) + 0.5);
        var corrupted = (int)((classes.Count * options.ImagesPerClass * options.CorruptedShare) + 0.5);
        for (var i = 0; i < mislabelled + corrupted; i++)
        {
            var item = items[rest[i]];
            if (i >= mislabelled)
            {
                var damage = Damages[i % Damages.Length];
                items[rest[i]] = item with
                {
                    Type = "corrupted",
                    Detail = damage,
                    Attributes = damage switch
                    {
                        "blank" => SampleAttributes.None,
                        "grayscale" => item.Attributes with { Colour = "none" },
                        _ => item.Attributes,
                    },
                };
                continue;
            }

            var folder = OtherThan(item.TrueClass, random).Name;
            items[rest[i]] = item with
            {
                Path = folder + item.Path[item.Path.IndexOf('/')..],
                FolderClass = folder,
                Type = "mislabelled",
                Detail = $"{item.TrueClass} in the folder of {folder}",
            };
        }

        var clean = Indices(items, static i => i.Type == "clean" && i.FolderClass != SampleClasses.WatermarkClass, random);
        for (var i = 0; i < Math.Min(options.Duplicates, clean.Length); i++)
        {
            var original = items[clean[i]];
            items.Add(original with { Path = NewPath(original.FolderClass), Type = "duplicate", Detail = "same bytes as its source", Source = original.Path });
        }

        for (var i = 0; i < options.Foreign; i++)
        {
            var folder = OtherThan(SampleClasses.WatermarkClass, random).Name;
            var stream = 1_000_000 + i;
            items.Add(new SampleItem(NewPath(folder), folder, "", "ood", ForeignNames[stream & 3], Number(stream), SampleAttributes.None)
            {
                Stream = stream,
                Seed = options.Seed,
            });
        }

        items.Sort(static (a, b) => string.CompareOrdinal(a.Path, b.Path));
        return items;
    }

    /// <summary>Attributes of an image of the class: those that define it, and the free ones at random.</summary>
    private static SampleAttributes Draw(SampleClass shown, SampleRandom random)
    {
        var texture = random.Pick(SampleClasses.Textures);
        var colour = random.Pick(SampleClasses.Colours);
        var background = random.Pick(SampleClasses.Backgrounds);
        return new SampleAttributes(shown.Shape, shown.Texture ?? texture, shown.Colour ?? colour, shown.Background ?? background);
    }

    /// <summary>Another class; a plain star is never offered, so that the class with the mark stays as planted.</summary>
    private static SampleClass OtherThan(string name, SampleRandom random)
    {
        SampleClass other;
        do
        {
            other = random.Pick(SampleClasses.All);
        }
        while (other.Name == name || other.Name == SampleClasses.WatermarkClass);
        return other;
    }

    private static int[] Indices(List<SampleItem> items, Func<SampleItem, bool> wanted, SampleRandom random)
    {
        int[] indices = [.. Enumerable.Range(0, items.Count).Where(i => wanted(items[i]))];
        random.Shuffle(indices);
        return indices;
    }

    private static string Number(int stream) => stream.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
