using Analysis.Datasets;
using NetVips;

namespace Analysis.Imaging;

/// <summary>
/// Decodes image files to 8-bit RGB exactly as Pillow's <c>convert("RGB")</c> does, so that networks see what they were
/// trained on: orientation tags and colour profiles are ignored, transparency is dropped, grey is replicated, CMYK becomes
/// (255 − C)(255 − K) / 255, and of several frames the first counts. 16-bit samples are scaled by 1 / 257 and rounded.
/// Safe for concurrent calls.
/// </summary>
public static class ImageDecoder
{
    /// <summary>Largest width × height that is decoded, in pixels; checked in the header before any pixel is decoded.</summary>
    public const long MaxPixels = 50_000_000;

    private static readonly Lazy<bool> Ready = new(Initialise, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>Decodes what a data set returned: an encoded file, or raw pixels, which are passed on.</summary>
    /// <param name="image">The image as stored.</param>
    /// <exception cref="AnalysisException">Not an image of a supported format, damaged, incomplete or too large.</exception>
    public static RgbImage Decode(RawImage image)
    {
        if (image.Encoded)
        {
            return Decode(image.Bytes);
        }

        if (image.Width <= 0 || image.Height <= 0 || image.Bytes.LongLength != 3L * image.Width * image.Height)
        {
            throw new AnalysisException($"Raw pixels of {image.Width}×{image.Height} need 3 bytes each, but {image.Bytes.LongLength} bytes were given.");
        }

        return new RgbImage(image.Width, image.Height, image.Bytes);
    }

    /// <summary>Decodes an encoded file.</summary>
    /// <param name="bytes">The whole file.</param>
    /// <exception cref="AnalysisException">Not an image of a supported format, damaged, incomplete or too large.</exception>
    public static RgbImage Decode(byte[] bytes)
    {
        var format = ImageSignature.Detect(bytes.AsSpan(0, Math.Min(bytes.Length, ImageSignature.Length)));
        if (format == ImageFormat.Unknown)
        {
            throw new AnalysisException(
                bytes.Length == 0 ? "The file is empty." : "The file is not an image of a supported format, by its first bytes.",
                "Supported are JPEG, PNG, WebP, GIF, BMP and TIFF.");
        }

        if (format == ImageFormat.Bmp)
        {
            return BmpReader.Decode(bytes);
        }

        if (format == ImageFormat.Png && !PngChecksums.AreRight(bytes))
        {
            throw new AnalysisException("The PNG image is damaged or incomplete.", "Replace the file.");
        }

        EnsureReady();
        try
        {
            using var image = Load(format, bytes);
            CheckSize(image.Width, image.Height);
            return ToRgb(image);
        }
        catch (VipsException e)
        {
            throw new AnalysisException($"The {NameOf(format)} image is damaged or incomplete.", "Replace the file.", e);
        }
    }

    /// <summary>Loads the native library once. Called by everything that uses it.</summary>
    /// <exception cref="AnalysisException">The native library does not load on this machine.</exception>
    internal static void EnsureReady()
    {
        try
        {
            _ = Ready.Value;
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException or BadImageFormatException or EntryPointNotFoundException)
        {
            throw new AnalysisException("The image library (libvips) does not load on this machine.", "Publish for this machine's operating system and processor.", e);
        }
    }

    /// <summary>Refuses sizes over <see cref="MaxPixels"/>.</summary>
    internal static void CheckSize(long width, long height)
    {
        if (width <= 0 || height <= 0)
        {
            throw new AnalysisException($"The image declares an impossible size of {width}×{height} pixels.", "Replace the file.");
        }

        if (width > MaxPixels || height > MaxPixels || width * height > MaxPixels)
        {
            throw new AnalysisException(
                $"The image declares {width}×{height} pixels, more than the limit of {MaxPixels / 1_000_000} megapixels.",
                "Store it smaller.");
        }
    }

    private static bool Initialise()
    {
        // Parallelism is over images; libvips' own threads and operation cache would only cost memory.
        NetVips.NetVips.Init();
        NetVips.NetVips.Concurrency = 1;
        Cache.Max = 0;
        Cache.MaxMem = 0;
        Cache.MaxFiles = 0;
        NetVips.NetVips.BlockUntrusted = true;

        // What is wrong with a file is said in the list of files left out, not on the terminal.
        Log.SetLogHandler("VIPS", Enums.LogLevelFlags.Warning, static (_, _, _) => { });

        // Only these decoders can ever run, whatever else the native library was built with.
        Operation.Block("VipsForeignLoad", true);
        foreach (var loader in new[] { "VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadWebp", "VipsForeignLoadNsgif", "VipsForeignLoadTiff" })
        {
            Operation.Block(loader, false);
        }

        return true;
    }

    private static Image Load(ImageFormat format, byte[] bytes) => format switch
    {
        ImageFormat.Jpeg => Image.JpegloadBuffer(bytes, access: Enums.Access.Sequential, failOn: Enums.FailOn.Error),
        ImageFormat.Png => Image.PngloadBuffer(bytes, access: Enums.Access.Sequential, failOn: Enums.FailOn.Error),
        ImageFormat.WebP => Image.WebploadBuffer(bytes, page: 0, n: 1, access: Enums.Access.Sequential, failOn: Enums.FailOn.Error),
        ImageFormat.Gif => Image.GifloadBuffer(bytes, page: 0, n: 1, access: Enums.Access.Sequential, failOn: Enums.FailOn.Error),
        _ => Image.TiffloadBuffer(bytes, page: 0, n: 1, access: Enums.Access.Sequential, failOn: Enums.FailOn.Error),
    };

    private static string NameOf(ImageFormat format) => format switch
    {
        ImageFormat.Jpeg => "JPEG",
        ImageFormat.Png => "PNG",
        ImageFormat.WebP => "WebP",
        ImageFormat.Gif => "GIF",
        ImageFormat.Bmp => "BMP",
        _ => "TIFF",
    };

    private static RgbImage ToRgb(Image image)
    {
        var (width, height, bands) = (image.Width, image.Height, image.Bands);
        if (bands is < 1 or > 5)
        {
            throw new AnalysisException($"The image has {bands} channels.", "Store it as grey, RGB or CMYK.");
        }

        var pixels = (long)width * height;
        byte[] samples;
        switch (image.Format)
        {
            case Enums.BandFormat.Uchar:
                samples = image.WriteToMemory<byte>();
                break;
            case Enums.BandFormat.Ushort:
                samples = Narrow(image.WriteToMemory<ushort>());
                break;
            default:
                throw new AnalysisException($"The image stores its samples as '{image.Format}'.", "Store it with 8 or 16 bits a channel.");
        }

        if (samples.LongLength != pixels * bands)
        {
            throw new AnalysisException("The image is incomplete.", "Replace the file.");
        }

        if (image.Interpretation == Enums.Interpretation.Cmyk && bands >= 4)
        {
            return new RgbImage(width, height, FromCmyk(samples, pixels, bands));
        }

        return image.Interpretation is Enums.Interpretation.Lab or Enums.Interpretation.Xyz or Enums.Interpretation.Labs
            ? throw new AnalysisException($"The image is stored in the colour space '{image.Interpretation}'.", "Store it as grey, RGB or CMYK.")
            : new RgbImage(width, height, FromGreyOrRgb(samples, pixels, bands));
    }

    private static byte[] Narrow(ushort[] samples)
    {
        var narrow = new byte[samples.Length];
        for (var i = 0; i < samples.Length; i++)
        {
            narrow[i] = (byte)((samples[i] + 128) / 257);
        }

        return narrow;
    }

    private static byte[] FromGreyOrRgb(byte[] samples, long pixels, int bands)
    {
        if (bands == 3)
        {
            return samples;
        }

        var rgb = new byte[pixels * 3];
        var (green, blue) = bands < 3 ? (0, 0) : (1, 2);
        for (long i = 0, from = 0, to = 0; i < pixels; i++, from += bands, to += 3)
        {
            rgb[to] = samples[from];
            rgb[to + 1] = samples[from + green];
            rgb[to + 2] = samples[from + blue];
        }

        return rgb;
    }

    private static byte[] FromCmyk(byte[] samples, long pixels, int bands)
    {
        var rgb = new byte[pixels * 3];
        for (long i = 0, from = 0, to = 0; i < pixels; i++, from += bands, to += 3)
        {
            var white = 255 - samples[from + 3];
            rgb[to] = DivideBy255((255 - samples[from]) * white);
            rgb[to + 1] = DivideBy255((255 - samples[from + 1]) * white);
            rgb[to + 2] = DivideBy255((255 - samples[from + 2]) * white);
        }

        return rgb;
    }

    private static byte DivideBy255(int product) => (byte)((product + 127) / 255);
}
