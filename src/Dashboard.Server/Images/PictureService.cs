using System.Collections.Concurrent;
using System.Text.Json;
using Analysis;
using Analysis.Datasets;
using Analysis.Explanations;
using Analysis.Imaging;
using Analysis.Runs;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Services;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Images;

/// <summary>
/// Makes the pictures of an analysis and keeps them in the data directory. A thumbnail shows exactly the part of the image
/// that the network sees, so that concept maps lie on it without further geometry. The user's files never leave as they are.
/// </summary>
internal sealed class PictureService(
    IDbContextFactory<DashboardDbContext> databases,
    DataFolders folders,
    OpenDatasets datasets,
    AllowedRoots roots,
    ClassArraysCache arrays,
    IOptions<DashboardOptions> options,
    ILogger<PictureService> logger)
{
    /// <summary>Sides in pixels that can be asked for.</summary>
    public static readonly int[] Sizes = [48, 96, 192, 384];

    private const int MapSize = 384;
    private readonly SemaphoreSlim _decoders = new(Math.Max(2, Environment.ProcessorCount));
    private readonly ConcurrentDictionary<string, RunPlace> _places = new();
    private long _written;

    /// <summary>The thumbnail of a sample as WebP; null where there is no such sample.</summary>
    /// <exception cref="AnalysisException">The image is gone or cannot be decoded.</exception>
    public async Task<byte[]?> ThumbnailAsync(string analysisId, int sample, int size, CancellationToken cancellation)
    {
        if (await PlaceAsync(analysisId, cancellation) is not { } place)
        {
            return null;
        }

        var file = CacheFile(analysisId, FormattableString.Invariant($"t{size}"), sample, 0);
        if (await ReadCacheAsync(file, cancellation) is { } cached)
        {
            return cached;
        }

        if (await SamplePathAsync(place.Key, sample, cancellation) is not { } path)
        {
            return null;
        }

        return await MakeAsync(file, place, path, image => ThumbnailMaker.Encode(Seen(image, place.Preprocessing, size)), cancellation);
    }

    /// <summary>The part of an image that its thumbnail shows, in shares of the image; null where there is no picture.</summary>
    public async Task<RelativeRectangle?> FrameAsync(string analysisId, int sample, CancellationToken cancellation)
    {
        if (await PlaceAsync(analysisId, cancellation) is not { } place || await SamplePathAsync(place.Key, sample, cancellation) is not { } path)
        {
            return null;
        }

        Require(place);
        var image = await DecodeAsync(() => DatasetLoader.TryReadImage(place.Dataset, path) is { } found ? ImageDecoder.Decode(found) : null, cancellation);
        if (image is null)
        {
            var dataset = await datasets.GetAsync(place.Dataset, cancellation);
            var index = OpenDatasets.IndexOf(dataset, path);
            if (index < 0 || !dataset.HasPicture(index))
            {
                return null;
            }

            image = await DecodeAsync(() => ImageDecoder.Decode(dataset.Read(index)), cancellation);
        }

        // Without a preprocessing the picture is the centre square.
        return ImagePreparation.VisiblePart(image.Width, image.Height, Shown(place.Preprocessing, Sizes[^1]));
    }

    /// <summary>The crop of a concept's exemplar as WebP; null where there is none.</summary>
    /// <exception cref="AnalysisException">The image is gone or cannot be decoded.</exception>
    public async Task<byte[]?> CropAsync(string analysisId, int concept, int exemplar, int size, CancellationToken cancellation)
    {
        if (await PlaceAsync(analysisId, cancellation) is not { } place)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var row = await database.Exemplars.AsNoTracking()
            .FirstOrDefaultAsync(entry => entry.AnalysisKey == place.Key && entry.Concept == concept && entry.Index == exemplar, cancellation);
        if (row is null)
        {
            return null;
        }

        // The rectangle is part of the name: a repeated run may choose another one.
        var file = CacheFile(analysisId, FormattableString.Invariant($"c{size}"), row.Sample, Stable(row));
        if (await ReadCacheAsync(file, cancellation) is { } cached)
        {
            return cached;
        }

        if (await SamplePathAsync(place.Key, row.Sample, cancellation) is not { } path)
        {
            return null;
        }

        return await MakeAsync(
            file,
            place,
            path,
            image =>
            {
                var crop = ThumbnailMaker.Crop(ImageDecoder.Decode(image), new RelativeRectangle(row.Left, row.Top, row.Width, row.Height));
                return ThumbnailMaker.Encode(ThumbnailMaker.Square(crop, size));
            },
            cancellation);
    }

    /// <summary>The concept's map over a sample as WebP with transparency; null where there is none.</summary>
    public async Task<byte[]?> MapAsync(string analysisId, int concept, int sample, CancellationToken cancellation)
    {
        if (await PlaceAsync(analysisId, cancellation) is not { } place)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var row = await database.Concepts.AsNoTracking().FirstOrDefaultAsync(entry => entry.AnalysisKey == place.Key && entry.Id == concept, cancellation);
        if (row is null)
        {
            return null;
        }

        return await Task.Run(
            () =>
            {
                var runFolder = folders.Run(analysisId);
                if (arrays.Find(runFolder, row.Class) is not { } data || arrays.Map(runFolder, row.Class, sample, row.Rank) is not { } map)
                {
                    return null;
                }

                return ThumbnailMaker.Overlay(map, data.MapWidth, data.MapHeight, MapSize, MapSize, data.MapScale[row.Rank]);
            },
            cancellation);
    }

    /// <summary>An image that a person brought, as the network sees it; null where there is none of this name.</summary>
    /// <exception cref="AnalysisException">The image was changed or cannot be decoded.</exception>
    public async Task<byte[]?> OwnAsync(string analysisId, string hash, int size, CancellationToken cancellation)
    {
        if (!OwnImages.IsHash(hash) || !File.Exists(OwnImages.PathOf(folders.Run(analysisId), hash)) || await PlaceAsync(analysisId, cancellation) is not { } place)
        {
            return null;
        }

        var file = OwnFile(analysisId, hash, size);
        if (await ReadCacheAsync(file, cancellation) is { } cached)
        {
            return cached;
        }

        var bytes = await DecodeAsync(
            () => ThumbnailMaker.Encode(Seen(new RawImage(OwnImages.Read(folders.Run(analysisId), hash), Encoded: true), place.Preprocessing, size)), cancellation);
        await WriteCacheAsync(file, bytes, cancellation);
        return bytes;
    }

    /// <summary>Removes the pictures of an image that a person brought.</summary>
    public void ForgetOwn(string analysisId, string hash)
    {
        foreach (var size in Sizes)
        {
            try
            {
                File.Delete(OwnFile(analysisId, hash, size));
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                // The cache is trimmed some day.
                logger.LogDebug(fault, "A picture could not be removed");
            }
        }
    }

    /// <summary>A picture of a data set that is not analysed yet; prepared as the network sees it where that is known.</summary>
    /// <exception cref="AnalysisException">The image is gone or cannot be decoded.</exception>
    public async Task<byte[]?> PreviewAsync(string dataset, int sample, Preprocessing? preprocessing, CancellationToken cancellation)
    {
        var open = await datasets.GetAsync(dataset, cancellation);
        if (sample < 0 || sample >= open.Samples.Count)
        {
            return null;
        }

        if (!open.HasPicture(sample))
        {
            return Placeholder.Of(open.Samples[sample].Path);
        }

        return await DecodeAsync(
            () =>
            {
                var image = open.Read(sample);
                return preprocessing is null ? ThumbnailMaker.Square(image, 192) : ThumbnailMaker.Encode(ImagePreparation.Prepare(image, preprocessing), quality: 95);
            },
            cancellation);
    }

    /// <summary>The picture for a report: null where it cannot be made.</summary>
    public async Task<byte[]?> TryThumbnailAsync(string analysisId, int sample, int size, CancellationToken cancellation)
    {
        try
        {
            return await ThumbnailAsync(analysisId, sample, size, cancellation);
        }
        catch (AnalysisException)
        {
            return null;
        }
    }

    /// <summary>The crop for a report: null where it cannot be made.</summary>
    public async Task<byte[]?> TryCropAsync(string analysisId, int concept, int exemplar, int size, CancellationToken cancellation)
    {
        try
        {
            return await CropAsync(analysisId, concept, exemplar, size, cancellation);
        }
        catch (AnalysisException)
        {
            return null;
        }
    }

    /// <summary>The image brought to size × size by the same geometry as the network's input.</summary>
    private static RgbImage Seen(RawImage image, Preprocessing? preprocessing, int size)
    {
        var decoded = ImageDecoder.Decode(image);
        return preprocessing is null ? ThumbnailMaker.Square(decoded, size) : ImagePreparation.Resize(decoded, Shown(preprocessing, size));
    }

    private static Preprocessing Shown(Preprocessing? preprocessing, int size) => preprocessing is null
        ? new Preprocessing(size, size, [], [], ResizeMode.ShorterSideCentreCrop)
        : preprocessing with
        {
            Height = size,
            Width = size,
            ResizeTo = preprocessing.ResizeTo == 0 ? 0 : Math.Max(size, (int)Math.Round(preprocessing.ResizeTo * (double)size / Math.Min(preprocessing.Height, preprocessing.Width))),
        };

    private static int Stable(ExemplarEntity row)
    {
        // Not HashCode: it differs from one start of the program to the next.
        var hash = 17L;
        foreach (var value in new[] { row.Left, row.Top, row.Width, row.Height })
        {
            hash = (hash * 1_000_003) + BitConverter.DoubleToInt64Bits(value);
        }

        return (int)(hash ^ (hash >> 32));
    }

    private async Task<byte[]> MakeAsync(string cacheFile, RunPlace place, string samplePath, Func<RawImage, byte[]> make, CancellationToken cancellation)
    {
        Require(place);
        // Listing a large folder takes long, and the few connections of a browser that wait for pictures keep its page from answering.
        if (await DecodeAsync(() => DatasetLoader.TryReadImage(place.Dataset, samplePath) is { } found ? make(found) : null, cancellation) is { } made)
        {
            await WriteCacheAsync(cacheFile, made, cancellation);
            return made;
        }

        var dataset = await datasets.GetAsync(place.Dataset, cancellation);
        var index = OpenDatasets.IndexOf(dataset, samplePath);
        if (index < 0)
        {
            throw new AnalysisException($"The image {samplePath} is no longer in the data set.", "Put it back, or delete the analysis.");
        }

        if (!dataset.HasPicture(index))
        {
            return Placeholder.Of(samplePath);
        }

        var bytes = await DecodeAsync(() => make(dataset.Read(index)), cancellation);
        await WriteCacheAsync(cacheFile, bytes, cancellation);
        return bytes;
    }

    private void Require(RunPlace place)
    {
        if (!roots.IsBelow(AllowedRoots.Resolve(Path.GetFullPath(place.Dataset)) ?? "") && !place.Trusted)
        {
            throw new AnalysisException("The data set lies outside the folders that this site may read.", "Start the site with --data-root and the folder.");
        }
    }

    private async Task<T> DecodeAsync<T>(Func<T> decode, CancellationToken cancellation)
    {
        await _decoders.WaitAsync(cancellation);
        try
        {
            return await Task.Run(decode, cancellation);
        }
        finally
        {
            _decoders.Release();
        }
    }

    private async Task<RunPlace?> PlaceAsync(string analysisId, CancellationToken cancellation)
    {
        if (_places.TryGetValue(analysisId, out var known) && known.Preprocessing is not null)
        {
            return known;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var row = await database.Analyses.AsNoTracking().Where(entry => entry.Id == analysisId)
            .Select(entry => new { entry.Key, entry.Request, entry.IsSample }).FirstOrDefaultAsync(cancellation);
        if (row is null)
        {
            return null;
        }

        var request = JsonSerializer.Deserialize<AnalysisRequest>(row.Request, Json.Options)!;
        var place = new RunPlace(row.Key, request.Dataset, RunFiles.Preprocessing(folders.Run(analysisId)), row.IsSample);
        _places[analysisId] = place;
        return place;
    }

    private async Task<string?> SamplePathAsync(int key, int sample, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.Samples.AsNoTracking().Where(row => row.AnalysisKey == key && row.Index == sample).Select(row => row.Path).FirstOrDefaultAsync(cancellation);
    }

    private string CacheFile(string analysisId, string kind, int sample, int variant) => Path.Combine(
        folders.Thumbnails, analysisId, kind, FormattableString.Invariant($"{sample / 1000:0000}"), FormattableString.Invariant($"{sample}-{variant:x8}.webp"));

    private string OwnFile(string analysisId, string hash, int size) => Path.Combine(folders.Thumbnails, analysisId, "own", FormattableString.Invariant($"{hash}-{size}.webp"));

    private static async Task<byte[]?> ReadCacheAsync(string file, CancellationToken cancellation)
    {
        try
        {
            return File.Exists(file) ? await File.ReadAllBytesAsync(file, cancellation) : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private async Task WriteCacheAsync(string file, byte[] bytes, CancellationToken cancellation)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            var temporary = $"{file}.{Guid.NewGuid():N}.tmp";
            await File.WriteAllBytesAsync(temporary, bytes, cancellation);
            File.Move(temporary, file, overwrite: true);
            if (Interlocked.Increment(ref _written) % 5000 == 0)
            {
                _ = Task.Run(TrimCache, CancellationToken.None);
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // A picture that cannot be kept is made again the next time.
            logger.LogDebug(fault, "A thumbnail could not be kept");
        }
    }

    private void TrimCache()
    {
        try
        {
            var limit = (long)(options.Value.ThumbnailLimitGiB * (1L << 30));
            var files = new DirectoryInfo(folders.Thumbnails).EnumerateFiles("*", SearchOption.AllDirectories).ToList();
            var total = files.Sum(file => file.Length);
            foreach (var file in files.OrderBy(file => file.LastAccessTimeUtc))
            {
                if (total <= limit)
                {
                    break;
                }

                total -= file.Length;
                file.Delete();
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            logger.LogDebug(fault, "The thumbnail cache could not be trimmed");
        }
    }

    /// <summary>Where an analysis's images are and how its network sees them.</summary>
    private sealed record RunPlace(int Key, string Dataset, Preprocessing? Preprocessing, bool Trusted);
}
