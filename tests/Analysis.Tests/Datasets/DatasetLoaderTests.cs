using System.Diagnostics;
using System.Text;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Tests.Imaging;
using Xunit;

namespace Analysis.Tests.Datasets;

/// <summary>What is recognised, what is left out with which reason, and what is refused.</summary>
public sealed class DatasetLoaderTests : IDisposable
{
    private static readonly byte[] Picture = TestImages.Png(TestImages.Pattern(8, 6));

    private static readonly string[] AwkwardNames =
    [
        new string('a', 200) + ".jpg", "<img src=x onerror=alert(1)>.jpg", "{{7*7}}@Model.jpg", "-rf.jpg", "名前 übung ñandú.jpg",
        "..%2f..%2fetc%2fpasswd.jpg", "no_extension", "UPPER.JPG", "it's a frog & 100% #1?.jpg", "trailing.jpg .jpg", "quote\".jpg",
        "e\u0301-decomposed.jpg", " leading space.jpg", "=1+1.jpg", "new\nline.jpg",
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Class_folders_are_listed_in_ordinal_order_with_nested_files()
    {
        foreach (var path in new[] { "b/1.png", "a/x/2.png", "a/1.png", "a-b/1.png", "B/1.PNG" })
        {
            _folder.Write(path, Picture);
        }

        _folder.Write("readme.txt", [1]);
        _folder.Write("stray.png", Picture);
        Directory.CreateDirectory(_folder["empty"]);
        var dataset = Open();
        Assert.Equal("class folders", dataset.Format);
        Assert.Equal(["B", "a", "a-b", "b"], dataset.Classes);
        Assert.Equal(["B/1.PNG", "a-b/1.png", "a/1.png", "a/x/2.png", "b/1.png"], dataset.Samples.Select(static s => s.Path));
        Assert.Equal(["B", "a-b", "a", "a", "b"], dataset.Samples.Select(static s => s.ClassName));
        Assert.Equal(["empty", "readme.txt", "stray.png"], dataset.Skipped.Select(static s => s.Path));
        Assert.Contains("no images", dataset.Skipped[0].Reason, StringComparison.Ordinal);
        Assert.Equal(Picture, dataset.Read(0).Bytes);
    }

    [Fact]
    public void A_flat_folder_has_no_classes()
    {
        _folder.Write("2.png", Picture);
        _folder.Write("1.png", Picture);
        var dataset = Open();
        Assert.Equal("flat folder", dataset.Format);
        Assert.Empty(dataset.Classes);
        Assert.Equal(["1.png", "2.png"], dataset.Samples.Select(static s => s.Path));
        Assert.All(dataset.Samples, static s => Assert.Equal("", s.ClassName));
    }

    [Fact]
    public void Awkward_names_are_listed_and_read()
    {
        foreach (var name in AwkwardNames)
        {
            _folder.Write(name, Picture);
        }

        _folder.Write(".hidden.jpg", "resource fork"u8.ToArray());
        _folder.Write(".picture.jpg", Picture);
        _folder.Write("text_without_extension", "not an image"u8.ToArray());
        var dataset = Open();
        Assert.Equal(AwkwardNames.Append(".picture.jpg").Order(StringComparer.Ordinal), dataset.Samples.Select(static s => s.Path));
        Assert.Equal([".hidden.jpg", "text_without_extension"], dataset.Skipped.Select(static s => s.Path));
        for (var i = 0; i < dataset.Samples.Count; i++)
        {
            Assert.Equal(Picture, dataset.Read(i).Bytes);
        }
    }

    [Fact]
    public void The_fingerprint_follows_the_files()
    {
        _folder.Write("1.png", Picture);
        var first = Open().Fingerprint;
        Assert.Matches("^[0-9a-f]{64}$", first);
        Assert.Equal(first, Open().Fingerprint);
        _folder.Write("2.png", Picture);
        var second = Open().Fingerprint;
        Assert.NotEqual(first, second);
        File.SetLastWriteTimeUtc(_folder["1.png"], new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        Assert.NotEqual(second, Open().Fingerprint);
    }

    [Fact]
    public void Links_are_followed_only_inside_the_root()
    {
        using var outside = new TemporaryFolder();
        var secret = outside.Write("secret.png", Picture);
        _folder.Write("c/real.png", Picture);
        File.CreateSymbolicLink(_folder["c", "inside.png"], _folder["c", "real.png"]);
        File.CreateSymbolicLink(_folder["c", "outside.png"], secret);
        File.CreateSymbolicLink(_folder["c", "broken.png"], _folder["nothing.png"]);
        Directory.CreateSymbolicLink(_folder["c", "loop"], _folder["c"]);
        Directory.CreateSymbolicLink(_folder["leaves"], outside.Path);
        File.CreateSymbolicLink(_folder["c", "self.png"], _folder["c", "self.png"]);

        // A link whose own target looks inside but passes through a folder link that leaves.
        File.CreateSymbolicLink(_folder["c", "through.png"], _folder["leaves", "secret.png"]);
        var dataset = Open();
        Assert.Equal(["c/inside.png", "c/real.png"], dataset.Samples.Select(static s => s.Path));
        Assert.Equal(
            ["c/broken.png", "c/loop", "c/outside.png", "c/self.png", "c/through.png", "leaves"],
            dataset.Skipped.Select(static s => s.Path));
        Assert.Equal(Picture, dataset.Read(0).Bytes);

        // Exchanged for a link after the scan.
        File.Delete(_folder["c", "real.png"]);
        File.CreateSymbolicLink(_folder["c", "real.png"], secret);
        Assert.Throws<AnalysisException>(() => dataset.Read(1));
    }

    [Fact]
    public void An_image_is_read_without_a_listing_exactly_where_a_listing_would_have_it()
    {
        using var outside = new TemporaryFolder();
        var secret = outside.Write("secret.png", Picture);
        _folder.Write("c/d/real.png", Picture);
        _folder.Write("c/notes.txt", Picture);
        File.CreateSymbolicLink(_folder["c", "inside.png"], _folder["c", "d", "real.png"]);
        File.CreateSymbolicLink(_folder["c", "outside.png"], secret);
        Directory.CreateSymbolicLink(_folder["leaves"], outside.Path);
        Directory.CreateSymbolicLink(_folder["turns"], _folder["c"]);
        foreach (var sample in Open().Samples)
        {
            Assert.Equal(Picture, DatasetLoader.TryReadImage(_folder.Path, sample.Path)!.Value.Bytes);
        }

        string[] others =
            ["c/gone.png", "c/notes.txt", "c", "", "/", secret, "../" + Path.GetFileName(outside.Path) + "/secret.png", "c/../c/d/real.png", "c//d/real.png", "leaves/secret.png", "turns/inside.png", "c/real\0.png"];
        Assert.All(others, path => Assert.Null(DatasetLoader.TryReadImage(_folder.Path, path)));
        Assert.Throws<AnalysisException>(() => DatasetLoader.TryReadImage(_folder.Path, "c/outside.png"));
        Assert.Null(DatasetLoader.TryReadImage(secret, "c/d/real.png"));
    }

    [Fact]
    public void A_root_that_is_a_link_is_resolved()
    {
        _folder.Write("real/1.png", Picture);
        Directory.CreateSymbolicLink(_folder["link"], _folder["real"]);
        Assert.Equal(_folder["real"], DatasetLoader.Open(_folder["link"], TestContext.Current.CancellationToken).Root);
    }

    [Fact]
    public void A_named_pipe_is_never_opened()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "left out: named pipes in folders do not exist on Windows");
        _folder.Write("1.png", Picture);
        foreach (var name in new[] { "pipe.jpg", "pipe", "pipe.bin" })
        {
            using var process = Process.Start("mkfifo", [_folder[name]]);
            process.WaitForExit();
            Assert.Equal(0, process.ExitCode);
        }

        var dataset = Open();
        Assert.Equal(["1.png"], dataset.Samples.Select(static s => s.Path));
        Assert.Equal(["pipe", "pipe.bin", "pipe.jpg"], dataset.Skipped.Select(static s => s.Path));
    }

    [Fact]
    public void A_hundred_thousand_empty_files_are_listed_quickly()
    {
        for (var i = 0; i < 100_000; i++)
        {
            File.Create(_folder[$"{i:D6}.jpg"]).Dispose();
        }

        var clock = Stopwatch.StartNew();
        var failure = Assert.Throws<AnalysisException>(Open);
        Assert.Contains("100,000", failure.Message, StringComparison.Ordinal);
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 20);
    }

    [Fact]
    public void A_file_that_vanishes_is_reported_and_the_rest_loads()
    {
        foreach (var name in new[] { "1.png", "2.png", "3.png" })
        {
            _folder.Write(name, Picture);
        }

        var dataset = Open();
        File.Delete(_folder["2.png"]);
        File.WriteAllBytes(_folder["3.png"], []);
        Assert.Contains("gone", Assert.Throws<AnalysisException>(() => dataset.Read(1)).Message, StringComparison.Ordinal);
        var loader = new BatchLoader(dataset, new Preprocessing(8, 8, [0, 0, 0], [1, 1, 1], ResizeMode.Stretch));
        using var batch = Assert.Single(loader.Load([0, 1, 2], 3, TestContext.Current.CancellationToken));
        Assert.Equal([0], batch.Rows);
        Assert.Equal(["2.png", "3.png"], batch.Skipped.Select(static s => s.Path));
    }

    [Fact]
    public void Nothing_usable_is_refused_with_the_reason()
    {
        Assert.Contains("empty", Assert.Throws<AnalysisException>(Open).Message, StringComparison.Ordinal);
        Assert.Contains("no data set", Refused(_folder["absent"]), StringComparison.Ordinal);
        Assert.Contains("single image", Refused(_folder.Write("x/1.png", Picture)), StringComparison.Ordinal);
        Assert.Contains("a file", Refused(_folder.Write("notes.txt", [1, 2])), StringComparison.Ordinal);
        Assert.Contains("No data set", Refused("  "), StringComparison.Ordinal);
        Assert.Contains("zero character", Refused("a\0b"), StringComparison.Ordinal);
        Assert.Contains("notes.txt", Refused(NewFolderWith("notes.txt")), StringComparison.Ordinal);
        Directory.CreateSymbolicLink(_folder["round"], _folder["round"]);
        Assert.Contains("loop", Refused(_folder["round"]), StringComparison.Ordinal);
    }

    [Fact]
    public void An_unreadable_folder_is_reported()
    {
        if (OperatingSystem.IsWindows() || Environment.IsPrivilegedProcess)
        {
            Assert.Skip("left out: permissions do not bind this user");
            return;
        }

        _folder.Write("a/1.png", Picture);
        _folder.Write("b/1.png", Picture);
        _folder.Write("b/2.png", Picture);
        File.SetUnixFileMode(_folder["a"], UnixFileMode.None);
        File.SetUnixFileMode(_folder["b", "1.png"], UnixFileMode.None);
        try
        {
            var dataset = Open();
            Assert.Equal(["a"], dataset.Skipped.Select(static s => s.Path));
            Assert.Contains("permission", Assert.Throws<AnalysisException>(() => dataset.Read(0)).Message, StringComparison.Ordinal);
            Assert.Equal(Picture, dataset.Read(1).Bytes);
        }
        finally
        {
            File.SetUnixFileMode(_folder["a"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Fact]
    public void Cifar_10_batches_round_trip()
    {
        var images = Enumerable.Range(0, 7).Select(static i => TestImages.Pattern(32, 32, i)).ToArray();
        _folder.Write("data_batch_2.bin", Cifar(images[..3], [0, 1, 1], coarse: false));
        _folder.Write("data_batch_10.bin", Cifar(images[3..5], [1, 0], coarse: false));
        _folder.Write("test_batch.bin", [.. Cifar(images[5..], [2, 9], coarse: false), 1, 2, 3]);
        _folder.Write("batches.meta.txt", Encoding.UTF8.GetBytes("plane\ncar\nbird\n\n"));
        var dataset = Open();
        Assert.Equal("CIFAR binary", dataset.Format);
        Assert.Equal(
            ["data_batch_10.bin#00000", "data_batch_10.bin#00001", "data_batch_2.bin#00000", "data_batch_2.bin#00001", "data_batch_2.bin#00002", "test_batch.bin#00000", "test_batch.bin#00001"],
            dataset.Samples.Select(static s => s.Path));
        Assert.Equal(["car", "plane", "plane", "car", "car", "bird", "9"], dataset.Samples.Select(static s => s.ClassName));
        Assert.Equal(["9", "bird", "car", "plane"], dataset.Classes);
        Assert.Equal(["test_batch.bin"], dataset.Skipped.Select(static s => s.Path));
        var order = new[] { 3, 4, 0, 1, 2, 5, 6 };
        for (var i = 0; i < order.Length; i++)
        {
            Assert.Equal(images[order[i]].Pixels, ImageDecoder.Decode(dataset.Read(i)).Pixels);
        }
    }

    [Fact]
    public void Cifar_100_and_single_files_are_recognised_by_their_length()
    {
        var images = Enumerable.Range(0, 3).Select(static i => TestImages.Pattern(32, 32, i)).ToArray();
        _folder.Write("hundred/train.bin", Cifar(images, [5, 99, 0], coarse: true));
        var single = _folder.Write("single/mine.bin", Cifar(images, [3, 3, 4], coarse: false));
        var hundred = DatasetLoader.Open(_folder["hundred"], TestContext.Current.CancellationToken);
        Assert.Equal("CIFAR-100 binary", hundred.Format);
        Assert.Equal(["5", "99", "0"], hundred.Samples.Select(static s => s.ClassName));
        Assert.Equal(images[2].Pixels, hundred.Read(2).Bytes);
        var one = DatasetLoader.Open(single, TestContext.Current.CancellationToken);
        Assert.Equal(["3", "4"], one.Classes);
        Assert.Equal(images[1].Pixels, one.Read(1).Bytes);
        File.WriteAllBytes(single, new byte[100]);
        Assert.Throws<AnalysisException>(() => one.Read(1));
        Assert.Contains("a file", Refused(single), StringComparison.Ordinal);
    }

    private static byte[] Cifar(RgbImage[] images, byte[] labels, bool coarse)
    {
        var bytes = new List<byte>();
        for (var i = 0; i < images.Length; i++)
        {
            if (coarse)
            {
                bytes.Add(1);
            }

            bytes.Add(labels[i]);
            for (var channel = 0; channel < 3; channel++)
            {
                for (var p = 0; p < 1024; p++)
                {
                    bytes.Add(images[i].Pixels[(3 * p) + channel]);
                }
            }
        }

        return [.. bytes];
    }

    private static string Refused(string path) => Assert.Throws<AnalysisException>(() => DatasetLoader.Open(path)).Message;

    private string NewFolderWith(string name) => Path.GetDirectoryName(_folder.Write($"only/{name}", [7]))!;

    private IDataset Open() => DatasetLoader.Open(_folder.Path, TestContext.Current.CancellationToken);
}
