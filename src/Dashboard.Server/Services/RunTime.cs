using Analysis.Runs;

namespace Dashboard.Server.Services;

/// <summary>
/// About how long a run takes: the pass over the images by the network's speed, and what comes after it by a formula with
/// constants measured on two cores, brought to this machine's speed by what runs here took before.
/// </summary>
internal sealed record RunTime
{
    // Earlier runs may have had another load beside them: none of them alone may turn the estimate upside down.
    private const double MostFactor = 6;
    private const int MostRuns = 9;
    private const double Start = 3;
    private const double OperationsPerSecond = 2.5e10;

    /// <summary>Crops of an image, for the granularity of crops.</summary>
    public const int CropsOfImage = 25;

    private static readonly string[] Measured = ["directions", "relevance", "bank", "factors", "concepts", "outliers"];

    /// <summary>Images.</summary>
    public required long Images { get; init; }

    /// <summary>Classes.</summary>
    public required int Classes { get; init; }

    /// <summary>Channels of the layer.</summary>
    public required long Channels { get; init; }

    /// <summary>Positions of the layer.</summary>
    public required long Cells { get; init; }

    /// <summary>Method.</summary>
    public required string Method { get; init; }

    /// <summary>Granularity.</summary>
    public required string Granularity { get; init; }

    /// <summary>class or dataset.</summary>
    public required string Scope { get; init; }

    /// <summary>Concepts of a class or of the data set.</summary>
    public required int Concepts { get; init; }

    /// <summary>Rows that a factorisation sees.</summary>
    public double Rows => (double)Images * (Granularity switch { "positions" => Cells, "crops" => CropsOfImage, _ => 1 });

    /// <summary>What an earlier run was asked for.</summary>
    public static RunTime Of(Manifest run) => new()
    {
        Images = run.Dataset.Images,
        Classes = Math.Max(1, run.Dataset.Classes.Count),
        Channels = run.Layer.Channels,
        Cells = (long)Math.Max(1, run.Layer.Height) * Math.Max(1, run.Layer.Width),
        Method = run.Request.Method,
        Granularity = run.Request.Granularity,
        Scope = run.Request.Scope,
        Concepts = run.Request.Concepts,
    };

    /// <summary>Seconds after the pass over the images, on the machine the constants were measured on.</summary>
    public double AfterPass => Fit + Coding + (Classes * 0.03) + (Images * (0.0004 + (0.0000012 * Channels)));

    // The fit's rows times channels times concepts, as often as the method passes over them.
    private double Fit => Method == AnalysisRequest.UniqueMethod ? 0 : 2 * Rows * Channels * Concepts / OperationsPerSecond * Method switch
    {
        "svd" or "pca" => Math.Max(1, Channels / (double)Math.Max(1, Concepts)),
        "kmeans" => 12,
        "ica" => 60,
        "nmf" or "semi-nmf" => 80,
        _ => 200,
    };

    // Each class is expressed by the whole dictionary, in double precision.
    private double Coding => Scope == "dataset" ? 8 * 2.0 * Images * Channels * Concepts / OperationsPerSecond : 0;

    /// <summary>Seconds of the whole run.</summary>
    /// <param name="imagesPerSecond">Speed of the network; 0 where it is not known.</param>
    /// <param name="factor">Of <see cref="Factor"/>.</param>
    public double Seconds(double imagesPerSecond, double factor)
    {
        var rate = imagesPerSecond > 0 ? imagesPerSecond : 20;
        return Start + (Images / rate * 1.1) + (Granularity == "crops" ? Rows / rate : 0) + (factor * AfterPass);
    }

    /// <summary>
    /// What runs on this machine took beside what the formula says: the median over the latest; 1 where there is none. Stages whose artefact
    /// was there already took no time and are no witness: such runs are left out.
    /// </summary>
    /// <param name="runs">Manifests, the latest first.</param>
    public static double Factor(IEnumerable<Manifest> runs)
    {
        var factors = new List<double>();
        foreach (var run in runs)
        {
            var (expected, took) = (Of(run).AfterPass, Took(run));
            if (took > 0 && expected > 0 && run.Stages.Where(stage => stage.Name is "concepts" or "outliers" or "factors").All(stage => stage.Seconds > 0.05))
            {
                factors.Add(took / expected);
            }

            if (factors.Count == MostRuns)
            {
                break;
            }
        }

        factors.Sort();
        return factors.Count == 0 ? 1 : Math.Clamp(factors[factors.Count / 2], 1 / MostFactor, MostFactor);
    }

    /// <summary>Seconds that a run took after the pass over its images.</summary>
    public static double Took(Manifest run) => run.Stages.Where(stage => Measured.Contains(stage.Name)).Sum(stage => stage.Seconds);
}
