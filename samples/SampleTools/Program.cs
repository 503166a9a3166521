using System.Globalization;
using Analysis;
using Analysis.Datasets.Sample;
using SampleTools;

return args switch
{
    ["generate", var folder, .. var rest] => Generate(folder, rest),
    ["sheet", var file, .. var rest] => Sheet(file, rest),
    ["train", var folder, .. var rest] => Train(folder, rest),
    ["check", var file, .. var rest] => Check(file, rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine(
        """
        Usage:
          generate FOLDER [--seed S] [--per-class N]   writes the sample (images/ and truth.json)
          sheet FILE.png [--seed S]                    writes an overview: a row of images a class, then the planted kinds
          train FOLDER [--epochs E] [--threads T]      trains the sample's network: sample.safetensors and sample.json
          check FILE.safetensors                       accuracy on the sample, and how far the network follows the watermark
        """);
    return 2;
}

static int Option(string[] rest, string name, int otherwise)
{
    var at = Array.IndexOf(rest, name);
    return at >= 0 && at + 1 < rest.Length ? int.Parse(rest[at + 1], CultureInfo.InvariantCulture) : otherwise;
}

static SampleOptions Options(string[] rest)
{
    var options = new SampleOptions();
    return options with { Seed = Option(rest, "--seed", options.Seed), ImagesPerClass = Option(rest, "--per-class", options.ImagesPerClass) };
}

static int Generate(string folder, string[] rest)
{
    var clock = System.Diagnostics.Stopwatch.StartNew();
    try
    {
        var images = SampleDataset.EnsureCreated(folder, options: Options(rest));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{images}: {clock.Elapsed.TotalSeconds:F1} s"));
        return 0;
    }
    catch (AnalysisException e)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }
}

static int Sheet(string file, string[] rest)
{
    File.WriteAllBytes(file, ContactSheet.Make(SamplePlan.Create(Options(rest))));
    return 0;
}

static int Train(string folder, string[] rest)
{
    SampleTrainer.Train(folder, Option(rest, "--epochs", 8), Option(rest, "--threads", Environment.ProcessorCount));
    return 0;
}

static int Check(string file, string[] rest)
{
    Console.WriteLine(SampleTrainer.Check(file, Options(rest)));
    return 0;
}
