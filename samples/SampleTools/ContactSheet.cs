using Analysis.Datasets.Sample;
using Analysis.Imaging;

namespace SampleTools;

/// <summary>An overview of a sample in one picture.</summary>
internal static class ContactSheet
{
    private const int Columns = 12;
    private const int Cell = 68;

    public static byte[] Make(IReadOnlyList<SampleItem> plan)
    {
        var rows = SampleClasses.All.Select(c => plan.Where(i => i.Type == "clean" && i.FolderClass == c.Name).Take(Columns))
            .Concat(new[] { "watermark", "mislabelled", "corrupted", "ood" }.Select(t => plan.Where(i => i.Type == t).Take(Columns)))
            .ToList();
        var (width, height) = (Columns * Cell, rows.Count * Cell);
        var pixels = new byte[width * height * 3];
        Array.Fill(pixels, (byte)255);
        for (var r = 0; r < rows.Count; r++)
        {
            var column = 0;
            foreach (var item in rows[r])
            {
                var image = item.Paint();
                for (var y = 0; y < image.Height; y++)
                {
                    image.Pixels.AsSpan(y * image.Width * 3, image.Width * 3)
                        .CopyTo(pixels.AsSpan(((((r * Cell) + y + 2) * width) + (column * Cell) + 2) * 3));
                }

                column++;
            }
        }

        return ThumbnailMaker.EncodePng(new RgbImage(width, height, pixels));
    }
}
