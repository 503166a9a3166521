using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Tests.Runs;
using Analysis.Visualization;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Visualization;

public sealed class ConceptImageTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string> Maco => GoldenFiles.Rows("maco_image*.npz");

    public ConceptImageTests() => set_num_threads(1);

    [Theory]
    [MemberData(nameof(Maco))]
    public void Golden_Maco(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var image = ImageParametrization.Maco(golden.Tensor("magnitude"), golden.Tensor("phase"));
        Close.Absolute(golden.Doubles("image"), Close.Values(image.permute(1, 2, 0)), 1e-4, "image");
        Close.Absolute(golden.Doubles("fft_freq"), Close.Values(ImageParametrization.Frequencies((int)golden["fft_freq"].Shape[0])), 1e-12, "fft_freq");
        Close.Absolute(golden.Doubles("color_matrix"), [.. ImageParametrization.ColourMatrix.Cast<double>()], 1e-9, "color_matrix");
    }

    [Fact]
    public void A_picture_decorrelated_and_given_back_is_the_same_picture()
    {
        using var scope = NewDisposeScope();
        var images = (rand([2, 3, 8, 8], generator: new Generator(4)) * Scalars.Of(0.9)).add(Scalars.Of(0.05), Scalars.One);
        var colours = tensor(ImageParametrization.ColourMatrix).to(ScalarType.Float32);
        var back = einsum("nchw,cd->ndhw", ImageParametrization.Decorrelate(images), colours).sigmoid();
        Close.Absolute(Close.Values(images), Close.Values(back), 1e-4);
    }

    [Fact]
    public void The_backbone_gives_the_activation_of_the_forward_pass_and_its_gradient()
    {
        using var network = NetworkLoader.Load(SampleRun.Network, null, CPU);
        using var scope = NewDisposeScope();
        var layer = network.Layers.First(l => l.Suggested).Name;
        var batch = randn([2, 3, 32, 32], generator: new Generator(1));
        var expected = network.Forward(batch, [layer]).Activations[0];
        var leaf = batch.clone().requires_grad_(true);
        var activation = network.Backbone(leaf, layer);
        Close.Absolute(Close.Values(expected), Close.Values(activation.detach()), 1e-6);
        autograd.backward([activation.mean()], inputs: [leaf]);

        // Central difference along the gradient itself.
        var gradient = leaf.grad!;
        var step = 1e-3 / gradient.norm().item<float>();
        using var quiet = no_grad();
        var rise = (network.Backbone(batch.add(gradient * Scalars.Of(step), Scalars.One), layer).mean() - network.Backbone(batch - (gradient * Scalars.Of(step)), layer).mean()).item<float>() / (2 * step);
        Assert.Equal(gradient.pow(Scalars.Of(2)).sum().item<float>(), rise, 0.05 * Math.Abs(rise));
    }

    [Theory]
    [InlineData(true, 0, 2)]
    [InlineData(true, 2, 0)]
    [InlineData(false, 1, 0)]
    [InlineData(false, 1, 2)]
    public void The_picture_of_a_colour_has_that_colour(bool maco, int colour, int other)
    {
        using var network = new ColourNetwork();
        using var scope = NewDisposeScope();
        var vector = new double[3];
        vector[colour] = 1;
        // Pictures of one colour each with a little noise: their spectrum leaves the mean colour free.
        using var random = new Generator(3);
        var magnitude = maco ? ImageParametrization.SpectrumSum((rand([16, 3, 1, 1], generator: random) * Scalars.Of(0.8)).add(rand([16, 3, 32, 32], generator: random) * Scalars.Of(0.2), Scalars.One)) / Scalars.Of(16) : null;
        var options = new ConceptImageOptions { Maco = maco, Size = 32, Steps = 48, Crops = 4 };
        var image = new ConceptImage(network, "colours", vector, new double[3], options);
        var objectives = new List<double>();
        var state = image.Run(magnitude, s => objectives.Add(s.Objective), 1, _ => { }, Stop);
        var means = Enumerable.Range(0, 3).Select(c => state.Pixels.Where((_, i) => i % 3 == c).Average()).ToArray();
        Assert.True(means[colour] > means[other] + 0.02, $"means {string.Join(", ", means)} for colour {colour}");
        Assert.True(means[colour] > 0.52, $"means {string.Join(", ", means)} for colour {colour}");
        Assert.True(objectives[^8..].Average() > objectives[..8].Average(), "the objective did not rise");
        Assert.Equal(32 * 32, state.Weight.Length);
        Assert.All(state.Weight, w => Assert.True(w >= 0));
    }

    [Fact]
    public void What_the_network_does_not_look_at_gets_no_weight_in_the_centre_of_attention()
    {
        using var network = new ColourNetwork(leftHalfOnly: true);
        using var scope = NewDisposeScope();
        var image = new ConceptImage(network, "colours", new double[] { 1, 0, 0 }, new double[3], new ConceptImageOptions { Maco = false, Size = 32, Steps = 24, Crops = 4 });
        var state = image.Run(null, _ => { }, 24, _ => { }, Stop);
        var left = state.Weight.Where((_, i) => i % 32 < 16).Sum();
        var right = state.Weight.Where((_, i) => i % 32 >= 16).Sum();
        Assert.True(left > 1.5 * right, $"left {left}, right {right}");
    }

    [Fact]
    public void A_concept_that_nothing_can_excite_is_told_so()
    {
        using var network = new ColourNetwork();
        using var scope = NewDisposeScope();
        var image = new ConceptImage(network, "colours", new double[3], new double[3], new ConceptImageOptions { Maco = false, Size = 32, Steps = 40, Crops = 2 });
        var steps = 0;
        var fault = Assert.Throws<AnalysisException>(() => image.Run(null, _ => { }, 8, s => steps = s, Stop));
        Assert.Contains("no direction to go", fault.Message);
        Assert.InRange(steps, 8, 30);
    }

    [Fact]
    public void The_objective_is_the_share_along_the_concept_times_its_cosine_squared()
    {
        // An activation (3, 4, 0) whatever the picture shows: a·v = 3 and cos = 3/5.
        using var network = new ColourNetwork(constant: [3, 4, 0]);
        using var scope = NewDisposeScope();
        var image = new ConceptImage(network, "colours", new double[] { 2, 0, 0 }, new double[3], new ConceptImageOptions { Maco = false, Size = 32, Steps = 1, Crops = 2 });
        Assert.Equal(3 * 0.36, image.Run(null, _ => { }, 1, _ => { }, Stop).Objective, 1e-5);

        // Nearly at right angles the cosine counts as a tenth, so that there is still a way to go.
        var askew = new ConceptImage(network, "colours", new double[] { 4, -2.99, 0 }, new double[3], new ConceptImageOptions { Maco = false, Size = 32, Steps = 1, Crops = 2 });
        var dot = (3 * 4 - 4 * 2.99) / Math.Sqrt(16 + (2.99 * 2.99));
        Assert.Equal(dot * 0.01, askew.Run(null, _ => { }, 1, _ => { }, Stop).Objective, 1e-6);
    }

    [Fact]
    public void A_contrast_is_measured_from_the_mean()
    {
        using var network = new ColourNetwork();
        using var scope = NewDisposeScope();
        var grey = zeros([1, 3, 16, 16]);
        var contrast = new ConceptImage(network, "colours", new double[] { 1, -1, 0 }, new double[] { 0.5, 0.25, 0 }, new ConceptImageOptions());
        Assert.Equal(-0.25 / Math.Sqrt(2), contrast.Strength(grey)[0], 5);
        var part = new ConceptImage(network, "colours", new double[] { 1, 1, 0 }, new double[] { 0.5, 0.25, 0 }, new ConceptImageOptions());
        Assert.Equal(1 / Math.Sqrt(2), part.Strength(grey)[0], 5);
    }

    [Fact]
    public void A_picture_for_a_network_of_224_pixels_takes_a_bearable_time()
    {
        var path = TestData.Require("mobilenet_v1_tiny200", "mobilenet_v1_tiny200.safetensors");
        using var network = NetworkLoader.Load(path, null, CPU);
        using var scope = NewDisposeScope();
        var layer = network.Layers.First(l => l.Suggested);
        double[] vector = [.. Enumerable.Range(0, layer.Channels).Select(c => c % 5 == 0 ? 1.0 : 0)];
        var image = new ConceptImage(network, layer.Name, vector, new double[layer.Channels], new ConceptImageOptions { Maco = false, Steps = 6, Crops = 8 });
        var objectives = new List<double>();
        var watch = System.Diagnostics.Stopwatch.StartNew();
        image.Run(null, s => objectives.Add(s.Objective), 1, _ => { }, Stop);
        TestContext.Current.TestOutputHelper?.WriteLine($"{watch.Elapsed.TotalSeconds / 6:0.00} s a step, objective {string.Join(", ", objectives.Select(o => o.ToString("0.000", System.Globalization.CultureInfo.InvariantCulture)))}");
        Assert.True(objectives[^1] > objectives[0], "the objective did not rise");
        Assert.True(watch.Elapsed.TotalSeconds / 6 < 20, $"{watch.Elapsed.TotalSeconds / 6:0.0} s a step");
    }

    /// <summary>Its three channels are the colours of the picture, in [0, 1]; optionally of the left half only, or the same for all pictures.</summary>
    private sealed class ColourNetwork(bool leftHalfOnly = false, float[]? constant = null) : INetwork
    {
        public string Name => "colours";

        public string Architecture => "test";

        public string Sha256 => new('0', 64);

        public Preprocessing Preprocessing { get; } = new(24, 24, [0, 0, 0], [1, 1, 1], ResizeMode.Stretch);

        public IReadOnlyList<NetworkClass> Classes => [];

        public int Outputs => 3;

        public IReadOnlyList<LayerInfo> Layers => [];

        public Device Device => CPU;

        public Tensor Backbone(Tensor batch, string layer) =>
            constant is not null ? (batch * Scalars.Of(0)).add(tensor(constant).view(1, 3, 1, 1), Scalars.One) :
            leftHalfOnly ? batch.narrow(3, 0, batch.shape[3] / 2) : batch * Scalars.Of(1);

        public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers) => ([batch], batch.mean([2, 3]));

        public Tensor Head(string layer, Tensor activation) => activation.mean([2, 3]);

        public (Tensor Weight, Tensor Bias)? LinearHead(string layer) => null;

        public void Dispose()
        {
        }
    }
}
