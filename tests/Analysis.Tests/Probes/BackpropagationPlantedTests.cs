using Analysis.Imaging;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Probes.Backpropagation;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Probes;

/// <summary>Smallest changes where it is known what a label depends on (METHODS 3): pictures of 16 × 16 pixels, whose probes are fitted.</summary>
public sealed class BackpropagationPlantedTests : IDisposable
{
    private const int Side = 16;
    private const int Cells = 4;
    private const int Channels = 3 * Cells * Cells;

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Tensor _mixing;

    public BackpropagationPlantedTests()
    {
        set_num_threads(1);
        using var random = new Generator(3);
        _mixing = linalg.qr(randn([Channels, Channels], ScalarType.Float64, generator: random)).Q;
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(1, 0, 0)]
    [InlineData(1, 0, 1)]
    public void The_change_lies_where_the_label_comes_from_and_leaves_an_independent_probe_alone(double l1, double l2, double variation)
    {
        var images = Images(600);
        // Red of the cell at the top left, and green of one at the bottom right.
        var probes = new[] { Fit(images, 0, 0, 0), Fit(images, 1, 3, 3), Fit(images, 0, 0, 0, noise: 0.1) };
        var search = new ChangeSearch(new PixelSpace(), Pooled, new ChangeRegulariser(l1, l2, variation), new ChangeSolverOptions(), new ChangeSearchOptions { Starts = 2 });
        var (inside, all, ratios) = (0.0, 0.0, new List<(double Independent, double Shared)>());
        var chosen = Enumerable.Range(0, 12).Where(i => Logit(images, i, probes[0]) < -0.5).Take(5).ToArray();
        Assert.True(chosen.Length >= 3);
        var found = search.Find(images, [.. chosen.Select(i => Yes(images, i, probes[0]))], chosen.Length, null, Stop);
        for (var k = 0; k < chosen.Length; k++)
        {
            Assert.Equal(ChangeOutcome.Changed, found[k].Outcome);
            Assert.True(found[k].Lambda > 0);
            var picture = images[chosen[k]].add(found[k].Solution.Change[0], Scalars.One);
            Assert.InRange(picture.min().item<double>(), -1e-12, 1);
            Assert.InRange(picture.max().item<double>(), 0, 1 + 1e-12);
            var change = found[k].Solution.Change[0].abs();
            inside += change[0, ..(Side / Cells), ..(Side / Cells)].sum().item<double>();
            all += change.sum().item<double>();
            double Effect(LinearProbe probe) => Answer(picture, probe) - Answer(images[chosen[k]], probe);
            ratios.Add((Effect(probes[1]) / Effect(probes[0]), Effect(probes[2]) / Effect(probes[0])));
            Assert.InRange(Answer(picture, probes[0]), 0.9, 1);
            found[k].Dispose();
        }

        Assert.True(inside >= 0.9 * all, $"{inside / all:P1} inside");
        Assert.All(ratios, r => Assert.InRange(Math.Abs(r.Independent), 0, 0.1));
        Assert.All(ratios, r => Assert.True(r.Shared > 0.5, $"two labels of the same place move together: {r.Shared:0.00}"));
    }

    [Fact]
    public void A_smaller_lambda_gives_a_larger_change_and_a_surer_probe()
    {
        var images = Images(600);
        var probe = Fit(images, 0, 0, 0);
        var row = Enumerable.Range(0, 50).First(i => Logit(images, i, probe) < -1);
        var search = new ChangeSearch(new PixelSpace(), Pooled, new ChangeRegulariser(0, 1, 0), new ChangeSolverOptions(), new ChangeSearchOptions());
        var path = search.Path(images, Yes(images, row, probe), [8, 2, 0.5, 0.125], null, Stop);
        Assert.Equal(path.OrderBy(p => p.Logit).Select(p => p.Logit), path.Select(p => p.Logit));
        Assert.Equal(path.OrderBy(p => p.Penalty).Select(p => p.Penalty), path.Select(p => p.Penalty));
        Array.ForEach(path, p => p.Dispose());
    }

    [Fact]
    public void Pixels_stay_inside_what_is_valid()
    {
        var images = Images(2);
        var change = full_like(images, Scalars.Of(2.0));
        var space = new PixelSpace();
        Close.Absolute(Close.Values(ones_like(images)), Close.Values(space.Changed(space.Project(change, images), images)), 1e-12);
        Close.Absolute(Close.Values(zeros_like(images)), Close.Values(space.Changed(space.Project(change.neg(), images), images)), 1e-12);
    }

    [Fact]
    public void Waves_stay_inside_the_valid_pixels_and_prefer_broad_shapes()
    {
        var images = Images(1);
        var space = new FourierSpace();
        using var random = new Generator(5);
        var change = randn([1, .. space.RowShape(images)], ScalarType.Float64, generator: random);
        var projected = space.Project(change, images);
        var picture = space.Changed(projected, images);
        Assert.InRange(picture.min().item<double>(), -1e-9, 1);
        Assert.InRange(picture.max().item<double>(), 0, 1 + 1e-9);
        // A projection: what is valid stays.
        Close.Absolute(Close.Values(picture), Close.Values(space.Changed(space.Project(projected, images), images)), 1e-9);
        // The same size of the variable makes a smoother picture than white noise.
        var wave = space.Picture(change, images);
        var noise = randn(wave.shape, ScalarType.Float64, generator: random);
        double Roughness(Tensor t) => (ChangeRegulariser.Variation(t) / t.abs().sum()).item<double>();
        Assert.True(Roughness(wave) < 0.7 * Roughness(noise), $"{Roughness(wave):0.00} against {Roughness(noise):0.00}");
    }

    [Fact]
    public void A_code_is_changed_inside_its_limits_and_the_picture_follows_the_decoder()
    {
        using var folder = new TemporaryFolder();
        var preparation = new Preprocessing(Side, Side, [0, 0, 0], [1, 1, 1], ResizeMode.Stretch);
        var network = folder["net.safetensors"];
        File.WriteAllBytes(network, []);
        const int Pixels = 3 * Side * Side;
        Assert.False(AutoencoderLoader.Exists(network));
        Assert.Contains("No autoencoder", Assert.Throws<AnalysisException>(() => AutoencoderLoader.Load(network, preparation, CPU)).Message, StringComparison.Ordinal);

        // Two code values: brightness of the upper and of the lower half.
        var halves = zeros([2, Pixels]);
        for (var i = 0; i < Pixels; i++)
        {
            halves[(i / Side % Side) < Side / 2 ? 0 : 1, i] = tensor(1f);
        }

        var scale = Scalars.Of(2.0 / Pixels);
        SafetensorsTensors.Save(folder["net.autoencoder.safetensors"], [("encoder.0.weight", halves * scale), ("encoder.0.bias", zeros(2)), ("decoder.0.weight", halves.t().contiguous()), ("decoder.0.bias", zeros(Pixels))]);
        File.WriteAllText(folder["net.autoencoder.json"], """{"code":"relu"}""");
        Assert.True(AutoencoderLoader.Exists(network));
        using var autoencoder = AutoencoderLoader.Load(network, preparation, CPU);
        var images = full([1, 3, Side, Side], Scalars.Of(0.3f));
        var space = new LatentSpace(autoencoder);
        Assert.Equal([2], space.RowShape(images));
        // Both halves are 0.3, and no code is below 0.
        Close.Absolute([-0.3, -0.3], Close.Values(space.Project(full([1, 2], Scalars.Of(-5f)), images)), 1e-5);
        // A code beyond what pixels can show is drawn as white.
        Assert.Equal(1, space.Changed(full([1, 2], Scalars.Of(5f)), images).max().item<float>());
        // The probe reads the upper half; a negative code is not possible.
        Tensor Upper(Tensor x) => x.narrow(2, 0, Side / 2).mean([1L, 2L, 3L]).unsqueeze(1);
        var search = new ChangeSearch(space, Upper, new ChangeRegulariser(0, 1, 0), new ChangeSolverOptions(), new ChangeSearchOptions { Starts = 1 });
        using var yes = search.Find(images, [new ChangeWish(0, [10], -5, 1, false, 0.9, -2)], 1, null, Stop)[0];
        Assert.Equal(ChangeOutcome.Changed, yes.Outcome);
        var picture = space.Changed(yes.Solution.Change, images);
        Close.Absolute([0.3], [picture[0, 0, Side - 1, 0].item<float>()], 1e-3);
        // logit 10·u − 5 = log 9
        Assert.InRange(picture[0, 0, 0, 0].item<float>(), 0.719, 0.75);
        using var no = search.Find(images, [new ChangeWish(0, [10], 5, 0, false, 0.9, 8)], 1, null, Stop)[0];
        Assert.Equal(ChangeOutcome.Unreachable, no.Outcome);
        Assert.Equal(5, no.Solution.Logit, 1e-4);
    }

    [Theory]
    [InlineData("""{"activation":"exec"}""", "activation")]
    [InlineData("""{""", "cannot be read")]
    public void Settings_of_an_autoencoder_that_make_no_sense_are_refused(string settings, string said)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["net.safetensors"], []);
        File.WriteAllText(folder["net.autoencoder.json"], settings);
        var fault = Assert.Throws<AnalysisException>(() => AutoencoderLoader.Load(folder["net.safetensors"], new Preprocessing(4, 4, [0, 0, 0], [1, 1, 1], ResizeMode.Stretch), CPU));
        Assert.Contains(said, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Layers_of_an_autoencoder_that_do_not_fit_are_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["net.safetensors"], []);
        SafetensorsTensors.Save(folder["net.autoencoder.safetensors"], [("encoder.0.weight", zeros(2, 47)), ("encoder.0.bias", zeros(2)), ("decoder.0.weight", zeros(48, 2)), ("decoder.0.bias", zeros(48))]);
        var fault = Assert.Throws<AnalysisException>(() => AutoencoderLoader.Load(folder["net.safetensors"], new Preprocessing(4, 4, [0, 0, 0], [1, 1, 1], ResizeMode.Stretch), CPU));
        Assert.Contains("48", fault.Message, StringComparison.Ordinal);
    }

    private static Tensor Images(int count)
    {
        using var random = new Generator(11);
        // Each cell has a colour of its own, and every pixel some noise.
        var cells = rand([count, 3, Cells, Cells], ScalarType.Float64, generator: random) * Scalars.Of(0.8);
        var noise = rand([count, 3, Side, Side], ScalarType.Float64, generator: random) * Scalars.Of(0.2);
        return cells.repeat_interleave(Side / Cells, 2).repeat_interleave(Side / Cells, 3).add(noise, Scalars.One);
    }

    /// <summary>The network: means of the cells, mixed so that no channel is a cell, and bent.</summary>
    private Tensor Pooled(Tensor images)
    {
        var cells = images.view(images.shape[0], 3, Cells, Side / Cells, Cells, Side / Cells).mean([3L, 5L]).flatten(1);
        return (cells - full_like(cells, Scalars.Of(0.5))).mm(_mixing).tanh();
    }

    private LinearProbe Fit(Tensor images, int channel, int row, int column, double noise = 0)
    {
        using var quiet = no_grad();
        using var random = new Generator(17);
        var size = Side / Cells;
        var value = images.narrow(1, channel, 1).narrow(2, row * size, size).narrow(3, column * size, size).mean([1L, 2L, 3L]);
        value = value.add(randn(value.shape, ScalarType.Float64, generator: random) * Scalars.Of(noise), Scalars.One);
        var targets = Array.ConvertAll(Close.Values(value), v => v > 0.5 ? 1.0 : 0);
        var activation = Pooled(images);
        using var solver = new LinearSolver(activation);
        var solution = solver.Solve(targets, null, LinearLoss.Logistic, 1e-4);
        return new LinearProbe("layer", false, solution.Weights, solution.Bias, new double[Channels], [.. Enumerable.Repeat(1.0, Channels)]);
    }

    private double Logit(Tensor images, int row, LinearProbe probe)
    {
        using var quiet = no_grad();
        return Vectors.Dot(Close.Values(Pooled(images.narrow(0, row, 1))[0]), probe.Weights) + probe.Bias;
    }

    private double Answer(Tensor image, LinearProbe probe) => 1 / (1 + Math.Exp(-Logit(image.unsqueeze(0), 0, probe)));

    private ChangeWish Yes(Tensor images, int row, LinearProbe probe) => new(row, probe.Weights, probe.Bias, 1, false, 0.9, Logit(images, row, probe));
}
