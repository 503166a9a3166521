using Analysis.Concepts;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Importance;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Tests.Runs;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Importance;

/// <summary>The theorem on linear heads (METHODS 2.5), on the sample network with real activations and the network's own head.</summary>
public sealed class LinearHeadTheoremTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Gradient_input_integrated_gradients_and_occlusion_equal_the_closed_form_and_are_the_most_faithful()
    {
        torch.set_num_threads(1);
        using var scope = torch.NewDisposeScope();
        using var network = NetworkLoader.Load(SampleRun.Network, null, torch.CPU);
        var layer = network.Layers.Last(l => l.LinearHead && l.Height * l.Width > 1);
        var (activation, logits) = Activations(network, layer, 48);
        var (n, c) = ((int)activation.shape[0], (int)activation.shape[1]);
        var targets = Array.ConvertAll(logits.argmax(1).data<long>().ToArray(), t => (int)t);

        // Concepts: pooled activations of eight images, so that codes, effects and logits are of natural size.
        const int K = 8;
        var pooled = activation.mean([2L, 3L]).to(ScalarType.Float64);
        var vectors = pooled.index_select(0, arange(Scalars.Of(0), Scalars.Of(K), Scalars.One) * Scalars.Of(n / K));
        vectors = vectors / vectors.norm(1, keepdim: true);
        var positions = activation.permute(0, 2, 3, 1).reshape(-1, c).to(ScalarType.Float64);
        var codes = NonNegativeEncoding.Encode(positions, vectors).Codes.ToTensor().reshape(n, -1, K);

        using var linear = (LinearConceptModel)ConceptModels.Create(network, layer.Name, vectors, null, targets);
        using var real = new NetworkConceptModel(network, layer, vectors, null, targets);
        var exact = DenseMatrix.FromTensor(Of("closed-form", linear));
        var scale = exact.Values.Max(Math.Abs);
        Assert.InRange(scale, 0.5, 1000);
        foreach (var name in new[] { "gradient-input", "integrated-gradients", "occlusion", "shapley" })
        {
            var byNetwork = DenseMatrix.FromTensor(Of(name, real));
            Close.Absolute(exact.Values, byNetwork.Values, 1e-5 * scale, name);
            Close.Absolute(exact.Values, DenseMatrix.FromTensor(Of(name, linear)).Values, 1e-9 * scale, name + ", closed head");
            var fidelity = Judge(byNetwork);
            var random = (
                Deletion: Faithfulness.Random(real, codes, insert: false).Area.Average(), Insertion: Faithfulness.Random(real, codes, insert: true).Area.Average());
            var sign = Judge(DenseMatrix.FromTensor(Of("tcav", real)));
            Assert.True(fidelity.Deletion < random.Deletion && fidelity.Deletion < sign.Deletion, $"{name}: C-Deletion {fidelity.Deletion}, random {random.Deletion}, TCAV {sign.Deletion}");
            Assert.True(fidelity.Insertion > random.Insertion && fidelity.Insertion > sign.Insertion, $"{name}: C-Insertion {fidelity.Insertion}");
            Assert.True(fidelity.Mu > 0.999 && sign.Mu < 0.9, $"{name}: C-muFidelity {fidelity.Mu}, TCAV {sign.Mu}");
            var oracle = Faithfulness.Oracle(real, codes, insert: false).Area.Average();
            Assert.Equal(oracle, fidelity.Deletion, 1e-4 * scale);
        }

        Tensor Of(string name, IConceptModel model) => ImportanceCatalogue.Get(name).Estimate(model, codes, new EstimatorOptions { BatchRows = 64 });

        (double Deletion, double Insertion, double Mu) Judge(DenseMatrix phi)
        {
            var subsets = Faithfulness.Subsets(K, 40, seed: 1);
            return (
                Faithfulness.Deletion(real, codes, phi).Area.Average(),
                Faithfulness.Insertion(real, codes, phi).Area.Average(),
                Faithfulness.MuFidelity(Faithfulness.Drops(real, codes, subsets), phi, subsets).Average());
        }
    }

    [Fact]
    public void Pooled_codes_through_the_real_head_equal_codes_at_every_position()
    {
        torch.set_num_threads(1);
        using var scope = torch.NewDisposeScope();
        using var network = NetworkLoader.Load(SampleRun.Network, null, torch.CPU);
        var layer = network.Layers.First(l => !l.LinearHead);
        var vectors = rand(3, layer.Channels, ScalarType.Float64);
        var offset = rand(layer.Channels, ScalarType.Float64);
        using var model = ConceptModels.Create(network, layer.Name, vectors, offset, [0, 1, 2, 0]);
        Assert.IsType<NetworkConceptModel>(model);
        var codes = rand(4, 3, ScalarType.Float64);
        var everywhere = codes.unsqueeze(1).expand(4, layer.Height * layer.Width, 3).contiguous();
        var expected = DenseMatrix.FromTensor(model.Evaluate(codes, arange(Scalars.Of(0), Scalars.Of(4), Scalars.One))).Values;
        Close.Absolute(expected, DenseMatrix.FromTensor(model.Evaluate(everywhere, arange(Scalars.Of(0), Scalars.Of(4), Scalars.One))).Values, 1e-6);
        var activation = codes.mm(vectors).add(offset, Scalars.One).to(ScalarType.Float32).reshape(4, layer.Channels, 1, 1).expand(-1, -1, layer.Height, layer.Width).contiguous();
        var logits = network.Head(layer.Name, activation);
        Close.Absolute(expected, [.. new[] { 0, 1, 2, 0 }.Select((t, i) => (double)logits[i, t].item<float>())], 1e-6);

        // What the closed form needs is not there, and the network can say so.
        Assert.Throws<AnalysisException>(() => ImportanceCatalogue.Get("closed-form").Estimate(model, codes, new EstimatorOptions()));
    }

    private (Tensor Activation, Tensor Logits) Activations(INetwork network, LayerInfo layer, int count)
    {
        var dataset = DatasetLoader.Open(Analysis.Datasets.Sample.SampleDataset.EnsureCreated(_folder["data"]));
        var step = dataset.Samples.Count / count;
        var loader = new BatchLoader(dataset, network.Preprocessing, new BatchLoaderOptions { Describe = false });
        foreach (var batch in loader.Load([.. Enumerable.Range(0, count).Select(i => i * step)], count, TestContext.Current.CancellationToken))
        {
            using (batch)
            {
                var shape = network.Preprocessing;
                var input = tensor(batch.Values.ToArray(), [batch.Rows.Count, 3, shape.Height, shape.Width]);
                var (activations, logits) = network.Forward(input, [layer.Name]);
                return (activations[0], logits);
            }
        }

        throw new InvalidOperationException("no images");
    }
}
