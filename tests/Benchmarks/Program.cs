using Analysis;
using Benchmarks;

var known = new Dictionary<string, Func<BenchmarkOptions, BenchmarkReport>>(DecompositionBenchmarks.All)
{
    ["kmeans"] = DecompositionBenchmarks.KMeans,
    ["umap"] = NumericBenchmarks.Umap,
    ["nnls"] = NumericBenchmarks.Nnls,
    ["knn"] = NumericBenchmarks.Neighbours,
    ["refinement"] = NumericBenchmarks.Refinement,
    ["invert"] = LabelBenchmarks.Invert,
    ["importance"] = ImportanceBenchmarks.Importance,
    ["trak"] = AttributionBenchmarks.Trak,
    ["decode"] = ImageBenchmarks.Decode,
    ["resize"] = ImageBenchmarks.Resize,
    ["analyze"] = AnalysisBenchmarks.Analyze,
    ["activations"] = ActivationFile.Write,
    ["memory"] = AnalysisBenchmarks.Memory,
    ["datamodel-train"] = DatamodelBenchmarks.Train,
    ["datamodel-score"] = DatamodelBenchmarks.Score,
    ["ridge"] = RemovalBenchmarks.Ridge,
    ["removal"] = RemovalBenchmarks.Removal,
};
try
{
    if (args.Length == 0 || !known.TryGetValue(args[0], out var benchmark))
    {
        Console.Error.WriteLine($"Usage: Benchmarks {string.Join('|', known.Keys)} {BenchmarkOptions.Usage}");
        return 2;
    }

    var options = BenchmarkOptions.Parse(args[1..]);
    var report = benchmark(options);
    Console.WriteLine(options.Json ? report.ToJson() : report.ToText());
    return 0;
}
catch (Exception failure) when (failure is AnalysisException or ArgumentException or IOException)
{
    Console.Error.WriteLine(failure.Message);
    return failure is ArgumentException ? 2 : 1;
}
