using System.Text.Json;
using Analysis.Imaging;
using Analysis.Numerics;
using Analysis.Probes.Backpropagation;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Probes;

/// <summary>Autoencoders as TorchScript (Fixtures/make_autoencoders.py): those that fit are used, all others refused in words.</summary>
public sealed class AutoencoderLoaderTests(SampleRun run) : IClassFixture<SampleRun>
{
    private static readonly Preprocessing Input = new(64, 64, [0, 0, 0], [1, 1, 1], ResizeMode.Stretch);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void A_script_encodes_and_decodes_and_gradients_flow_through_it()
    {
        set_num_threads(1);
        using var folder = new TemporaryFolder();
        var network = Beside(folder, "parts", "parts");
        Assert.True(AutoencoderLoader.Exists(network));
        using var autoencoder = AutoencoderLoader.Load(network, Input, CPU);
        using var scope = NewDisposeScope();
        var picture = full([1, 3, 64, 64], Scalars.Of(0.25f));
        var code = autoencoder.Encode(picture);
        Assert.Equal([1, 3, 4, 4], code.shape);
        // Twice the mean colour.
        Assert.Equal(0.5, code.max().item<float>(), 1e-6);
        Close.Absolute(Close.Values(picture), Close.Values(autoencoder.Decode(code)), 1e-6);
        using var gradients = enable_grad();
        var changed = code.detach().requires_grad_(true);
        autograd.backward([autoencoder.Decode(changed).narrow(2, 0, 16).narrow(3, 0, 16).sum()], inputs: [changed]);
        // Half of each of 256 pixels of the first part, and of no other.
        Assert.Equal(128, changed.grad![0, 1, 0, 0].item<float>(), 1e-3);
        Assert.Equal(0, changed.grad![0, 1, 0, 1].item<float>());
    }

    [Theory]
    [InlineData("parts", "small", "decoder", "[2, 3, 32, 32]")]
    [InlineData("rounding", "rounding", "encoder", "Int64")]
    [InlineData("pair", "parts", "encoder", "one tensor")]
    [InlineData("broken", "parts", "encoder", "NaN")]
    [InlineData("whole", "whole", "encoder", "[3, 64, 64]")]
    [InlineData("parts", "detached", "decoder", "gradient")]
    public void What_is_no_autoencoder_is_refused_and_said(string encoder, string decoder, string named, string said)
    {
        using var folder = new TemporaryFolder();
        var network = Beside(folder, encoder, decoder);
        var fault = Assert.Throws<AnalysisException>(() => AutoencoderLoader.Load(network, Input, CPU));
        TestContext.Current.TestOutputHelper?.WriteLine($"{fault.Message} {fault.Remedy}");
        Assert.Contains(named, fault.Message, StringComparison.Ordinal);
        Assert.Contains(said, fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(" at ", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("not a script at all")]
    [InlineData("")]
    public void Files_that_are_no_scripts_are_refused(string content)
    {
        using var folder = new TemporaryFolder();
        var network = Beside(folder, "parts", "parts");
        File.WriteAllText(folder["net.decoder.pt"], content);
        var fault = Assert.Throws<AnalysisException>(() => AutoencoderLoader.Load(network, Input, CPU));
        Assert.Contains("net.decoder.pt", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cut_script_is_refused()
    {
        using var folder = new TemporaryFolder();
        var network = Beside(folder, "parts", "parts");
        var whole = File.ReadAllBytes(folder["net.decoder.pt"]);
        foreach (var length in new[] { 100, whole.Length / 2, whole.Length - 30 })
        {
            File.WriteAllBytes(folder["net.decoder.pt"], whole[..length]);
            Assert.Contains("net.decoder.pt", Assert.Throws<AnalysisException>(() => AutoencoderLoader.Load(network, Input, CPU)).Message, StringComparison.Ordinal);
        }
    }

    /// <summary>The task with a latent: colours of 4 × 4 parts are enough to make an image red, or no longer red.</summary>
    [Fact]
    public void A_concept_is_changed_in_the_code_of_a_script()
    {
        set_num_threads(1);
        using var folder = new TemporaryFolder();
        var network = folder["net.safetensors"];
        File.Copy(SampleRun.Network, network);
        File.Copy(Path.ChangeExtension(SampleRun.Network, ".json"), Path.ChangeExtension(network, ".json"));
        // 32 × 32 pixels in parts of 8 × 8.
        Beside(folder, "parts", "small");
        var request = run.Request with { Network = network };
        using var context = new TaskContext(request, run.Store, run.Result, Stop);
        const string parameters = """
            {"concept":{"name":"red","source":"attribute","attribute":"colour","value":"red"},
             "samples":[5],"layer":"layer2","space":"latent","direction":"flip","l1":0,"l2":1,"concentrations":0,"starts":1,"steps":150,"randomProbes":0}
            """;
        var task = TaskCatalogue.Get("backpropagate");
        Directory.CreateDirectory(folder["task"]);
        task.Run(context, task.Normalise(JsonDocument.Parse(parameters).RootElement), folder["task"], new Quiet(), Stop);
        var report = JsonSerializer.Deserialize<BackpropagationReport>(File.ReadAllBytes(Path.Combine(folder["task"], TaskRunner.ResultFile)), AnalysisJson.Options)!;
        var sample = report.Samples.Single();
        TestContext.Current.TestOutputHelper?.WriteLine($"{sample.Outcome}: {sample.Before[0]:0.000} to {sample.After[0]:0.000}; {string.Join(" ", report.Notes)}");
        Assert.Equal(ChangeOutcome.Changed, sample.Outcome);
        Assert.True(sample.Yes ? sample.After[0] >= 0.89 : sample.After[0] <= 0.11, $"{sample.Before[0]} to {sample.After[0]}");
        Assert.Contains(report.Notes, n => n.Contains("autoencoder draws the images", StringComparison.Ordinal));
        Assert.True(File.Exists(Path.Combine(folder["task"], sample.Pictures!.Changed)));
    }

    private static string Beside(TemporaryFolder folder, string encoder, string decoder)
    {
        var fixtures = Path.Combine(TestData.Repository, "tests", "Analysis.Tests", "Probes", "Fixtures");
        if (!File.Exists(folder["net.safetensors"]))
        {
            File.WriteAllBytes(folder["net.safetensors"], []);
        }

        File.Copy(Path.Combine(fixtures, encoder + ".encoder.pt"), folder["net.encoder.pt"]);
        File.Copy(Path.Combine(fixtures, decoder + ".decoder.pt"), folder["net.decoder.pt"]);
        return folder["net.safetensors"];
    }

    private sealed class Quiet : ITaskObserver
    {
        public void OnProgress(TaskProgress progress)
        {
        }
    }
}
