using System.Formats.Tar;
using System.Text;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Runs;
using Analysis.Tests.Imaging;
using Analysis.Tests.Networks;
using Analysis.Tests.Runs;
using Parquet;
using Parquet.Schema;
using Xunit;

namespace Analysis.Tests.Datasets;

/// <summary>Tar shards, Parquet and tables of labels: what is read, what is left out, and what hostile files do.</summary>
public sealed class ShardDatasetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Shards_of_WebDataset_are_read_by_offset_with_their_labels()
    {
        _folder.Write("shards/classes.txt", "ant\nbee\n"u8.ToArray());
        _folder.Write("shards/b-000001.tar", Tar(("000003.cls", "0"u8.ToArray()), ("000003.png", Picture(3))));
        _folder.Write("shards/b-000000.tar", Tar(
            ("000000.png", Picture(0)), ("000000.cls", "1"u8.ToArray()),
            ("000001.png", Picture(1)), ("000001.json", """{"label": "wasp", "other": [1]}"""u8.ToArray()),
            ("000002.png", Picture(2)), ("000002.txt", "a caption"u8.ToArray()),
            ("notes.pdf", [1])));
        var data = DatasetLoader.Open(_folder["shards"]);
        Assert.Equal("tar shards", data.Format);
        Assert.Equal(["b-000000.tar/000000.png", "b-000000.tar/000001.png", "b-000001.tar/000003.png"], data.Samples.Select(s => s.Path));
        Assert.Equal(["bee", "wasp", "ant"], data.Samples.Select(s => s.ClassName));
        Assert.Equal(["ant", "bee", "wasp"], data.Classes);
        Assert.Equal(Picture(1), data.Read(1).Bytes);
        Assert.Equal(Picture(3), data.Read(2).Bytes);
        Assert.Equal(["b-000000.tar/000002.png", "b-000000.tar/notes.pdf"], data.Skipped.Select(s => s.Path));
        Assert.Contains("no label", data.Skipped[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tar_of_class_folders_has_their_classes_and_one_without_has_none()
    {
        var folders = DatasetLoader.Open(_folder.Write("f.tar", Tar(("x/ant/1.png", Picture(1)), ("x/bee/1.png", Picture(2)))));
        Assert.Equal(["ant", "bee"], folders.Classes);
        Assert.Equal(["x/ant/1.png", "x/bee/1.png"], folders.Samples.Select(s => s.Path));
        var flat = DatasetLoader.Open(_folder.Write("g.tar", Tar(("1.png", Picture(1)), ("2.png", Picture(2)))));
        Assert.Empty(flat.Classes);
    }

    [Fact]
    public void Names_that_lead_upwards_links_and_repetitions_are_harmless()
    {
        using var stream = new MemoryStream();
        using (var writer = new TarWriter(stream, TarEntryFormat.Pax, leaveOpen: true))
        {
            Write(writer, "../../etc/cron.d/evil.png", Picture(1));
            Write(writer, "/absolute.png", Picture(2));
            Write(writer, "same.png", Picture(3));
            Write(writer, "same.png", Picture(4));
            writer.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "link.png") { LinkName = "/etc/passwd" });
            writer.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, "hard.png") { LinkName = "same.png" });
        }

        var data = DatasetLoader.Open(_folder.Write("d.tar", stream.ToArray()));
        Assert.Equal(["__/__/etc/cron.d/evil.png", "absolute.png", "same.png"], data.Samples.Select(s => s.Path));
        Assert.Equal(Picture(3), data.Read(2).Bytes);
        Assert.Equal(["hard.png", "link.png", "same.png"], data.Skipped.Select(s => s.Path));
        Assert.Equal(["d.tar"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void A_cut_tar_gives_what_stands_before_the_cut_and_a_packed_one_the_remedy()
    {
        var whole = Tar(("1.png", Picture(1)), ("2.png", Picture(2)));
        var data = DatasetLoader.Open(_folder.Write("cut.tar", whole[..^1600]));
        Assert.Equal("1.png", Assert.Single(data.Samples).Path);
        Assert.Contains("cut off", Assert.Single(data.Skipped).Reason, StringComparison.Ordinal);
        Assert.Contains("gunzip", Assert.Throws<AnalysisException>(() => DatasetLoader.Open(_folder.Write("a.tar.gz", [31, 139]))).Message, StringComparison.Ordinal);
        Assert.Contains("no usable images", Assert.Throws<AnalysisException>(() => DatasetLoader.Open(_folder.Write("e.tar", new byte[2048]))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Random_damage_to_a_tar_gives_an_answer_or_a_message()
    {
        var whole = Tar(("1.png", [1, 2, 3]), ("1.cls", "0"u8.ToArray()), ("2.png", [4, 5]), ("2.cls", "1"u8.ToArray()));
        Mutations.Check(300, mutation => Survives(_folder.Write("damaged.tar", mutation.Apply(whole))));
    }

    [Fact]
    public async Task Parquet_of_Hugging_Face_gives_images_and_the_names_of_labels()
    {
        var pictures = Enumerable.Range(0, 5).Select(i => Picture(i)).ToArray();
        Directory.CreateDirectory(_folder["hub", "data"]);
        await WriteParquetAsync(_folder["hub", "data", "train-00000-of-00001.parquet"], pictures, [1, 0, 1, 0, 1], ["cat", "dog"], group: 2);
        var data = DatasetLoader.Open(_folder["hub"]);
        Assert.Equal("Parquet", data.Format);
        Assert.Equal("train-00000-of-00001.parquet#000000", data.Samples[0].Path);
        Assert.Equal(["dog", "cat", "dog", "cat", "dog"], data.Samples.Select(s => s.ClassName));
        foreach (var i in new[] { 4, 0, 3, 1, 2 })
        {
            Assert.Equal(pictures[i], data.Read(i).Bytes);
        }

        var fingerprint = data.Fingerprint;
        File.SetLastWriteTimeUtc(_folder["hub", "data", "train-00000-of-00001.parquet"], DateTime.UtcNow.AddDays(1));
        Assert.NotEqual(fingerprint, DatasetLoader.Open(_folder["hub"]).Fingerprint);
    }

    [Fact]
    public async Task Damaged_Parquet_and_one_without_images_are_refused_in_words()
    {
        var path = _folder["a.parquet"];
        await WriteParquetAsync(path, [Picture(0), Picture(1)], [0, 1], ["a", "b"], group: 2);
        var whole = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
        Mutations.Check(150, mutation => Survives(_folder.Write("damaged.parquet", mutation.Apply(whole))));
        ResultTables.Write(_folder.Path, "table", "parquet", new[] { new SampleRow { Path = "x" } });
        Assert.Contains("no column of images", Assert.Throws<AnalysisException>(() => DatasetLoader.Open(_folder["table.parquet"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_table_labels_the_images_of_a_folder()
    {
        foreach (var name in new[] { "images/1.png", "images/2.png", "more/deep/3.png", "images/4.png", "a/same.png", "b/same.png" })
        {
            _folder.Write(name, Picture(name.Length));
        }

        _folder.Write("labels.csv", Encoding.UTF8.GetBytes(
            "\uFEFFid,File_Name,label\r\n1,images/1.png,\"cat, small\"\r\n2,2.png,dog\r\n3,\"3.png\",\"say \"\"hi\"\"\"\r\n4,same.png,dog\r\n5,../../etc/passwd,dog\r\n6,images/1.png,dog\r\n7,images/4.png,\r\n"));
        var data = DatasetLoader.Open(_folder.Path);
        Assert.Equal("folder with a table of labels", data.Format);
        Assert.Equal(["images/1.png", "images/2.png", "more/deep/3.png"], data.Samples.Select(s => s.Path));
        Assert.Equal(["cat, small", "dog", "say \"hi\""], data.Samples.Select(s => s.ClassName));
        Assert.Equal(Picture("more/deep/3.png".Length), data.Read(2).Bytes);
        var reasons = data.Skipped.ToDictionary(s => s.Path, s => s.Reason);
        Assert.Contains("Several images", reasons["labels.csv:5"], StringComparison.Ordinal);
        Assert.Contains("no image", reasons["labels.csv:6"], StringComparison.Ordinal);
        Assert.Contains("label already", reasons["labels.csv:7"], StringComparison.Ordinal);
        Assert.Contains("no label", reasons["labels.csv:8"], StringComparison.Ordinal);
        Assert.Contains("gives it no label", reasons["images/4.png"], StringComparison.Ordinal);
    }

    [Fact]
    public void Tables_that_cannot_be_used_are_refused()
    {
        _folder.Write("1.png", Picture(1));
        Refused("columns", "a,b\n1.png,cat\n");
        Refused("empty", "");
        Refused("labels none", "path,label\n9.png,cat\n");
        Refused("quotation marks", "path,label\n\"" + new string('x', 1 << 17));
        void Refused(string what, string table)
        {
            _folder.Write("labels.csv", Encoding.UTF8.GetBytes(table));
            Assert.Contains(what, Assert.Throws<AnalysisException>(() => DatasetLoader.Open(_folder.Path)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Numbers_in_semicolon_tables_take_their_names_from_classes_txt()
    {
        _folder.Write("1.png", Picture(1));
        _folder.Write("2.png", Picture(2));
        _folder.Write("classes.txt", "zebra\nant\n"u8.ToArray());
        _folder.Write("metadata.csv", "file_name;label\n1.png;0\n2.png;1\n"u8.ToArray());
        Assert.Equal(["zebra", "ant"], DatasetLoader.Open(_folder.Path).Samples.Select(s => s.ClassName));
    }

    [Fact]
    public void A_run_on_shards_equals_the_run_on_the_folders_they_were_made_of()
    {
        var entries = new List<(string, byte[])>();
        foreach (var name in new[] { "disc", "square" })
        {
            for (var i = 0; i < 12; i++)
            {
                var bytes = Picture((i * 7) + name.Length, 32);
                _folder.Write($"folders/{name}/{i:00}.png", bytes);
                entries.Add(($"{name}-{i:00}.png", bytes));
                entries.Add(($"{name}-{i:00}.cls", Encoding.UTF8.GetBytes(name)));
            }
        }

        var tar = _folder.Write("shard.tar", Tar([.. entries]));
        var network = Path.Combine(TestData.Repository, "samples", "network", "sample.safetensors");
        var fromFolders = SampleRun.Run(new AnalysisRequest { Dataset = _folder["folders"], Network = network, Threads = 1 }, _folder["r1"], _folder["s1"]);
        var fromTar = SampleRun.Run(new AnalysisRequest { Dataset = tar, Network = network, Threads = 1 }, _folder["r2"], _folder["s2"]);
        Assert.Equal(fromFolders.Dataset.Classes, fromTar.Dataset.Classes);
        var a = ResultTables.Read<SampleRow>(_folder["r1"], "samples");
        var b = ResultTables.Read<SampleRow>(_folder["r2"], "samples");
        Assert.Equal(a.Select(s => (s.Class, s.Predicted, s.Logit, s.OutlierScore)), b.Select(s => (s.Class, s.Predicted, s.Logit, s.OutlierScore)));
    }

    private static void Survives(string path)
    {
        try
        {
            var data = DatasetLoader.Open(path);
            for (var i = 0; i < Math.Min(4, data.Samples.Count); i++)
            {
                data.Read(i);
            }
        }
        catch (AnalysisException)
        {
            // Refused in words.
        }
    }

    private static byte[] Picture(int seed) => Picture(seed, 8);

    private static byte[] Picture(int seed, int side) => TestImages.Png(TestImages.Pattern(side, side, seed));

    private static byte[] Tar(params (string Name, byte[] Bytes)[] entries)
    {
        using var stream = new MemoryStream();
        using (var writer = new TarWriter(stream, TarEntryFormat.Ustar, leaveOpen: true))
        {
            foreach (var (name, bytes) in entries)
            {
                Write(writer, name, bytes);
            }
        }

        return stream.ToArray();
    }

    private static void Write(TarWriter writer, string name, byte[] bytes)
    {
        TarEntry entry = writer.Format == TarEntryFormat.Pax ? new PaxTarEntry(TarEntryType.RegularFile, name) : new UstarTarEntry(TarEntryType.RegularFile, name);
        entry.DataStream = new MemoryStream(bytes);
        writer.WriteEntry(entry);
    }

    private static async Task WriteParquetAsync(string path, byte[][] pictures, long[] labels, string[] names, int group)
    {
        var bytes = new DataField<byte[]>("bytes");
        var file = new DataField<string>("path");
        var label = new DataField<long>("label");
        var schema = new ParquetSchema(new StructField("image", bytes, file), label);
        await using var stream = File.Create(path);
        await using var writer = await ParquetWriter.CreateAsync(schema, stream);
        var list = string.Join(',', names.Select(n => $"\"{n}\""));
        writer.CustomMetadata = new Dictionary<string, string>
        {
            ["huggingface"] = $$"""{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": [{{list}}], "_type": "ClassLabel"} } } }""",
        };
        for (var start = 0; start < pictures.Length; start += group)
        {
            var count = Math.Min(group, pictures.Length - start);
            using var rows = writer.CreateRowGroup();
            await rows.WriteAsync(bytes, pictures[start..(start + count)]);
            await rows.WriteAsync(file, Enumerable.Range(start, count).Select(i => $"{i}.png").ToArray());
            await rows.WriteAsync<long>(label, labels.AsMemory(start, count));
        }
    }
}
