using System.ComponentModel;
using System.Diagnostics;
using Analysis.Datasets.Sample;
using Analysis.Runs;
using Xunit;

namespace Analysis.Tests.Repository;

/// <summary>The lines of the README that read a result in Python, run as they stand there.</summary>
public sealed class ReadmePythonTests
{
    private const string Checks = """

        assert list(samples["index"]) == list(range(len(samples)))
        assert tensors["logits"].shape[0] == len(samples) == tensors["pooled"].shape[0]
        assert (tensors["logits"].argmax(1) == samples["predicted"].to_numpy()).all()
        name = samples["class"][0]
        assert tensors["importance/" + name].shape[0] == (samples["class"] == name).sum()
        print("read", len(samples))
        """;

    [Fact]
    public void TheLinesOfTheReadmeReadAResult()
    {
        if (Python("import pandas, pyarrow, safetensors.numpy", Path.GetTempPath()).Code != 0)
        {
            Assert.Skip("left out: there is no python3 with pandas, pyarrow and safetensors");
        }

        using var folder = new TemporaryFolder();
        var images = SampleDataset.EnsureCreated(folder["sample"], options: new SampleOptions { ImagesPerClass = 6, Foreign = 1, Duplicates = 1 });
        new AnalysisRunner(folder["store"]).Run(
            new AnalysisRequest { Dataset = images, Network = Path.Combine(TestData.Repository, "samples", "network", "sample.safetensors"), Threads = 1 },
            folder["result"],
            new Silent(),
            CancellationToken.None);

        var (code, output) = Python(LinesOfTheReadme() + Checks, folder.Path);
        Assert.True(code == 0, output);
        Assert.Contains("read ", output, StringComparison.Ordinal);
    }

    [Fact]
    public void TheReadmeHasTheLines()
    {
        var lines = LinesOfTheReadme();
        Assert.Contains("samples.parquet", lines, StringComparison.Ordinal);
        Assert.Contains("tensors.safetensors", lines, StringComparison.Ordinal);
    }

    private static string LinesOfTheReadme()
    {
        var blocks = File.ReadAllText(Path.Combine(TestData.Repository, "README.md")).Split("```");
        return Assert.Single(blocks, b => b.StartsWith("python\nimport pandas", StringComparison.Ordinal))["python\n".Length..];
    }

    private static (int Code, string Output) Python(string program, string folder)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo("python3", ["-c", program])
            {
                WorkingDirectory = folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var error = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output + error.GetAwaiter().GetResult());
        }
        catch (Win32Exception)
        {
            return (127, "python3 is missing");
        }
    }

    private sealed class Silent : IRunObserver
    {
        public void OnProgress(RunProgress progress)
        {
        }

        public void OnSamplesListed(int count)
        {
        }

        public void OnClassReady(int classIndex)
        {
        }

        public void OnLog(string line)
        {
        }
    }
}
