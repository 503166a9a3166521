using Analysis.Datasets;
using Analysis.Datasets.Recorded;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Tests.Networks;
using Analysis.Tests.Runs;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Datasets;

/// <summary>Activations from files: what is read, what stands in for the network, whole runs, and hostile files.</summary>
public sealed class RecordedActivationsTests : IDisposable
{
    private const int N = 90;
    private const int C = 6;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Rows_are_read_in_the_order_of_their_paths(bool compressed)
    {
        var values = Enumerable.Range(0, 6).Select(i => (float)i).ToArray();
        var data = Open(new NpzBuilder(compressed).Add("activations", values, 3, 2).Text("paths", "b", "c", "a").Add("labels", [1L, 0L, 1L], 3).Text("classes", "dog", "cat"));
        Assert.Equal(["a", "b", "c"], data.Samples.Select(s => s.Path));
        Assert.Equal(["cat", "cat", "dog"], data.Samples.Select(s => s.ClassName));
        Assert.Equal(["cat", "dog"], data.Classes);
        using var rows = data.Activations([0, 1, 2]);
        Assert.Equal([3, 2, 1, 1], rows.shape);
        Assert.Equal([4f, 5, 0, 1, 2, 3], rows.data<float>().ToArray());
        Assert.Equal(ActivationSign.NonNegative, data.Sign);
        Assert.False(data.HasPicture(0));
    }

    [Theory]
    [InlineData("NHWC", new long[] { 1, 2, 3, 4 }, 4, 2, 3)]
    [InlineData("NCHW", new long[] { 1, 4, 2, 3 }, 4, 2, 3)]
    [InlineData("NTC", new long[] { 1, 9, 2 }, 2, 3, 3)]
    [InlineData("NTC", new long[] { 1, 5, 2 }, 2, 1, 5)]
    [InlineData("NCT", new long[] { 1, 2, 4 }, 2, 2, 2)]
    public void Layouts_become_channels_and_positions(string layout, long[] shape, int channels, int height, int width)
    {
        var count = (int)shape.Aggregate(1L, (a, b) => a * b);
        var data = Open(new NpzBuilder().Add("activations", Enumerable.Range(0, count).Select(i => (float)i - 1).ToArray(), shape).Text("layout", layout));
        Assert.Equal((channels, height, width), (data.Channels, data.Height, data.Width));
        using var a = data.Activations([0]);
        // Element (c, y, x) stands in the file where its layout says.
        var (c, y, x) = (channels - 1, height - 1, 0);
        var index = layout is "NHWC" or "NTC" ? (((y * width) + x) * channels) + c : (((c * height) + y) * width) + x;
        Assert.Equal(index - 1, a[0, c, y, x].item<float>());
        Assert.Equal(ActivationSign.Signed, data.Sign);
    }

    [Fact]
    public void Safetensors_give_the_same_rows_with_names_from_their_header()
    {
        var path = _folder["a.safetensors"];
        using (var values = arange(Scalars.Of(0), Scalars.Of(8), Scalars.One, ScalarType.Float32).view(4, 2))
        using (var half = values.to(ScalarType.Float16))
        {
            SafetensorsTensors.Save(path, [("activations", half)], new Dictionary<string, string> { ["paths"] = """["d","c","b","a"]""", ["labels"] = """["x","y","x","y"]""", ["layer"] = "encoder.3" });
        }

        var data = Assert.IsType<IRecordedActivations>(DatasetLoader.Open(path), exactMatch: false);
        Assert.Equal("encoder.3", data.LayerName);
        Assert.Equal(["y", "x", "y", "x"], data.Samples.Select(s => s.ClassName));
        using var rows = data.Activations([0, 3]);
        Assert.Equal([6f, 7, 0, 1], rows.data<float>().ToArray());
    }

    [Fact]
    public void A_head_fitted_to_linear_logits_is_that_head()
    {
        var (activations, _) = Planted();
        var weight = Values(3 * C, 5);
        var logits = Logits(activations, weight, [0.5f, -1, 2]);
        var data = Open(new NpzBuilder().Add("activations", activations, N, C).Add("logits", logits, N, 3));
        using var network = RecordedNetwork.Create(data, CPU);
        Assert.Equal(RecordedNetwork.FittedToLogits, network.Architecture);
        Assert.Contains("100", Assert.Single(network.Notes), StringComparison.Ordinal);
        var head = network.LinearHead("activations")!.Value;
        var fitted = head.Weight.data<float>().ToArray();
        for (var i = 0; i < weight.Length; i++)
        {
            Assert.Equal(weight[i], fitted[i], 5e-3);
        }
    }

    [Fact]
    public void A_head_fitted_to_classes_tells_planted_classes_apart()
    {
        var (activations, labels) = Planted();
        var data = Open(new NpzBuilder().Add("activations", activations, N, C).Add("labels", labels, N));
        using var network = RecordedNetwork.Create(data, CPU);
        using var scope = NewDisposeScope();
        var all = Enumerable.Range(0, N).ToArray();
        var predicted = network.Head("activations", data.Activations(all)).argmax(1).data<long>().ToArray();
        Assert.Equal(RecordedNetwork.FittedToClasses, network.Architecture);
        Assert.Equal(labels, predicted);
        Assert.Contains("not what a network decided", network.Notes[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Without_anything_to_predict_gradient_times_input_shares_out_the_distance_from_the_mean()
    {
        var (activations, _) = Planted();
        var data = Open(new NpzBuilder().Add("activations", activations, N, C));
        using var network = RecordedNetwork.Create(data, CPU);
        using var scope = NewDisposeScope();
        var a = data.Activations([.. Enumerable.Range(0, N)]);
        var mean = a.mean([0L], keepdim: true);
        var gradient = Analysis.Activations.HeadGradient.Compute(network, "activations", a, zeros(N, ScalarType.Int64));
        var shares = (gradient * (a - mean)).sum([1, 2, 3]);
        var distance = (a - mean).flatten(1).norm(1);
        Assert.Equal(RecordedNetwork.Distance, network.Architecture);
        Assert.Null(network.LinearHead("activations"));
        Assert.True((shares - distance).abs().max().item<float>() < 1e-4f);
    }

    [Fact]
    public void A_run_needs_no_network_and_its_importance_adds_up_to_the_logits()
    {
        var (activations, labels) = Planted();
        activations[7 * C] = float.NaN;
        var weight = Values(3 * C, 9);
        var path = _folder.Write("run.npz", new NpzBuilder()
            .Add("activations", activations, N, C).Add("labels", labels, N).Text("classes", "ant", "bee", "cat")
            .Add("weight", weight, 3, C).Add("bias", [1f, 2, 3], 3).Build());
        var manifest = SampleRun.Run(new AnalysisRequest { Dataset = path, Threads = 1, Concepts = 3 }, _folder["result"], _folder["store"]);
        Assert.Equal(N - 1, manifest.Dataset.Images);
        Assert.Contains("NaN", Assert.Single(manifest.Skipped).Reason, StringComparison.Ordinal);
        Assert.Equal(RecordedNetwork.GivenHead, manifest.Network.Architecture);
        var samples = ResultTables.Read<SampleRow>(_folder["result"], "samples");
        using var file = SafetensorsFile.Open(_folder["result", "tensors.safetensors"]);
        foreach (var (name, output) in new[] { ("ant", 0), ("bee", 1), ("cat", 2) })
        {
            var rows = samples.Where(s => s.Class == name).Select(s => s.Index).ToArray();
            var importance = file.Span<float>($"importance/{name}");
            var columns = importance.Length / rows.Length;
            for (var i = 0; i < rows.Length; i++)
            {
                var sum = 0f;
                foreach (var value in importance.Slice(i * columns, columns))
                {
                    sum += value;
                }

                var original = int.Parse(samples[rows[i]].Path[1..], System.Globalization.CultureInfo.InvariantCulture);
                var logit = Logits(activations.AsSpan(original * C, C).ToArray(), weight, [1, 2, 3])[output];
                Assert.Equal(logit - (output + 1), sum, 2e-3);
            }
        }
    }

    [Fact]
    public void Thumbnails_are_the_pictures_and_a_folder_beside_the_file_is_not_left()
    {
        var (activations, _) = Planted();
        var pixels = Enumerable.Range(0, N * 2 * 3).Select(i => (byte)i).ToArray();
        var data = Open(new NpzBuilder().Add("activations", activations, N, C).Add("thumbnails", pixels, N, 2, 3));
        var picture = data.Read(1);
        Assert.Equal((3, 2, false), (picture.Width, picture.Height, picture.Encoded));
        Assert.Equal([6, 6, 6, 7, 7, 7], picture.Bytes[..6]);

        _folder.Write("p.images/in.png", [1, 2, 3]);
        _folder.Write("secret.png", [4]);
        File.CreateSymbolicLink(_folder["p.images", "link.png"], _folder["secret.png"]);
        var path = _folder.Write("p.npz", new NpzBuilder().Add("activations", new float[8], 4, 2).Text("paths", "../secret.png", "in.png", "link.png", "/etc/passwd").Build());
        var folder = DatasetLoader.Open(path);
        Assert.Equal(["in.png"], folder.Samples.Where((_, i) => folder.HasPicture(i)).Select(s => s.Path));
        Assert.Equal([1, 2, 3], folder.Read(2).Bytes);
    }

    [Fact]
    public void Arrays_that_do_not_fit_are_named()
    {
        float[] four = [1, 2, 3, 4];
        Refused("no array 'activations'", new NpzBuilder().Add("features", four, 2, 2));
        Refused("N×C", new NpzBuilder().Add("activations", four, 4));
        Refused("'labels'", new NpzBuilder().Add("activations", four, 2, 2).Add("labels", [1L], 1));
        Refused("whole numbers", new NpzBuilder().Add("activations", four, 2, 2).Add("labels", [1f, 2f], 2));
        Refused("names only 1", new NpzBuilder().Add("activations", four, 2, 2).Add("labels", [0L, 1L], 2).Text("classes", "a"));
        Refused("'paths' has 3 entries", new NpzBuilder().Add("activations", four, 2, 2).Text("paths", "a", "b", "c"));
        Refused("twice", new NpzBuilder().Add("activations", four, 2, 2).Text("paths", "a", "a"));
        Refused("'weight'", new NpzBuilder().Add("activations", four, 2, 2).Add("weight", four, 1, 4));
        Refused("NaN", new NpzBuilder().Add("activations", four, 2, 2).Add("weight", [float.NaN, 1], 1, 2));
        Refused("'thumbnails'", new NpzBuilder().Add("activations", four, 2, 2).Add("thumbnails", four, 2, 2, 1));
        Refused("layout", new NpzBuilder().Add("activations", four, 2, 2).Text("layout", "NCHW"));
        Refused("tokens", new NpzBuilder().Add("activations", four, 1, 4, 1).Add("grid", [3L, 1L], 2));
        Refused("texts", new NpzBuilder().Text("activations", "a", "b"));
    }

    [Fact]
    public void A_head_that_contradicts_the_logits_is_refused()
    {
        var (activations, _) = Planted();
        var data = Open(new NpzBuilder().Add("activations", activations, N, C).Add("weight", Values(2 * C, 1), 2, C).Add("logits", Values(N * 2, 2), N, 2));
        Assert.Contains("does not give its logits", Assert.Throws<AnalysisException>(() => RecordedNetwork.Create(data, CPU)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pickles_bombs_and_cut_files_are_refused()
    {
        Refused("Python objects", new NpzBuilder().Raw("activations", "|O", [2, 2], [0x80, 4, 0x2e]));
        // A terabyte that the header claims is neither allocated nor read.
        Refused("cut off", new NpzBuilder().Raw("activations", "<f4", [1_000_000, 262_144], new byte[64]));
        Refused("savez", new NpzBuilder(compressed: true).Raw("activations", "<f4", [1_000_000, 1000], new byte[1 << 20]));
        Refused("is damaged|cannot be read|ends after", new NpzBuilder(compressed: true).Raw("activations", "<f4", [1000, 1000], new byte[1 << 20]));
        var whole = new NpzBuilder().Add("activations", new float[100], 10, 10).Build();
        foreach (var length in new[] { 0, 10, 200, whole.Length - 30 })
        {
            var path = _folder.Write($"cut{length}.npz", whole[..length]);
            Assert.Contains("npz", Assert.Throws<AnalysisException>(() => DatasetLoader.Open(path)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Random_damage_gives_an_answer_or_a_message()
    {
        var whole = new NpzBuilder().Add("activations", Values(24, 3), 4, 6).Add("labels", [0L, 1, 0, 1], 4).Text("paths", "a", "b", "c", "d").Build();
        Mutations.Check(400, mutation =>
        {
            var path = _folder.Write("damaged.npz", mutation.Apply(whole));
            try
            {
                var data = (IRecordedActivations)DatasetLoader.Open(path);
                data.Activations([.. Enumerable.Range(0, Math.Min(4, data.Samples.Count))]).Dispose();
            }
            catch (AnalysisException)
            {
                // Refused in words.
            }
        });
    }

    private IRecordedActivations Open(NpzBuilder builder) => (IRecordedActivations)DatasetLoader.Open(_folder.Write(Guid.NewGuid().ToString("N") + ".npz", builder.Build()));

    private void Refused(string what, NpzBuilder builder)
    {
        var fault = Assert.Throws<AnalysisException>(() => Open(builder)).Message;
        Assert.True(what.Split('|').Any(w => fault.Contains(w, StringComparison.Ordinal)), fault);
    }

    /// <summary>Three classes around corners, rows of classes interleaved.</summary>
    private static (float[] Activations, long[] Labels) Planted()
    {
        var noise = Values(N * C, 4);
        var labels = Enumerable.Range(0, N).Select(i => (long)(i % 3)).ToArray();
        for (var i = 0; i < N; i++)
        {
            noise[(i * C) + (int)labels[i]] += 6;
        }

        return (noise, labels);
    }

    private static float[] Values(int count, int seed)
    {
        var random = new SplitMix64((ulong)seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() * 2) - 1))];
    }

    private static float[] Logits(float[] activations, float[] weight, float[] bias)
    {
        var logits = new float[activations.Length / C * bias.Length];
        for (var i = 0; i < activations.Length / C; i++)
        {
            for (var k = 0; k < bias.Length; k++)
            {
                logits[(i * bias.Length) + k] = bias[k];
                for (var c = 0; c < C; c++)
                {
                    logits[(i * bias.Length) + k] += activations[(i * C) + c] * weight[(k * C) + c];
                }
            }
        }

        return logits;
    }
}
