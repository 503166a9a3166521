using System.Text.Json;
using Analysis.Runs;

namespace Analysis.Evaluation.Comparison;

/// <summary>
/// What the task <c>compare</c> leaves in <c>result.json</c>: how well methods extract concepts for different numbers of them,
/// and how faithful estimators of importance are. The same parameters on the same analysis give the same bytes; times and
/// memory, which no two runs share, are in <see cref="ComparisonMeasurements"/>.
/// </summary>
public sealed record ComparisonResult
{
    /// <summary>File of the result in the task's folder.</summary>
    public const string FileName = "result.json";

    /// <summary>Version of this text.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>What was asked for, every default filled in.</summary>
    public required ComparisonParameters Parameters { get; init; }

    /// <summary>Network's display name.</summary>
    public required string Network { get; init; }

    /// <summary>Data set's display name.</summary>
    public required string Dataset { get; init; }

    /// <summary>Analysed layer.</summary>
    public required string Layer { get; init; }

    /// <summary>Channels of the layer: length of a concept vector.</summary>
    public required int Channels { get; init; }

    /// <summary>True where the logit is linear in the coefficients, so that importance has an exact value.</summary>
    public required bool LinearHead { get; init; }

    /// <summary>Classes that were compared, in order.</summary>
    public required IReadOnlyList<ComparedClass> Classes { get; init; }

    /// <summary>How the classes were chosen, in words.</summary>
    public required string ClassNote { get; init; }

    /// <summary>The methods in the order asked for, each with its curve over k.</summary>
    public required IReadOnlyList<ComparedMethod> Methods { get; init; }

    /// <summary>Faithfulness of the estimators; null where none were asked for or none could be judged.</summary>
    public FaithfulnessComparison? Faithfulness { get; init; }

    /// <summary>Method that stands out; null where none does.</summary>
    public string? SuggestedMethod { get; init; }

    /// <summary>Number of concepts to choose with it; null where nothing can be said.</summary>
    public int? SuggestedComponents { get; init; }

    /// <summary>The outcome in plain sentences, most important first.</summary>
    public required IReadOnlyList<string> Verdict { get; init; }

    /// <summary>What to know about single figures, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Reads it from a task's folder.</summary>
    /// <exception cref="AnalysisException">There is no complete result.</exception>
    public static ComparisonResult Read(string folder) => ComparisonFiles.Read<ComparisonResult>(Path.Combine(folder, FileName));
}

/// <summary>A class of a comparison.</summary>
/// <param name="Index">Index in the analysis.</param>
/// <param name="Name">Folder name.</param>
/// <param name="DisplayName">Name for display.</param>
/// <param name="Images">Images of the class.</param>
/// <param name="Rows">Rows that the methods were fitted to.</param>
public sealed record ComparedClass(int Index, string Name, string DisplayName, int Images, int Rows);

/// <summary>A method with its curve.</summary>
public sealed record ComparedMethod
{
    /// <summary>Name, as in <see cref="ComparisonParameters.Methods"/>.</summary>
    public required string Name { get; init; }

    /// <summary>Name for display.</summary>
    public required string Title { get; init; }

    /// <summary>One plain sentence about it.</summary>
    public required string Summary { get; init; }

    /// <summary>One entry for each number of concepts, ascending.</summary>
    public required IReadOnlyList<ComparisonCell> Cells { get; init; }

    /// <summary>Suggested number of concepts by its own curve; null where nothing can be said.</summary>
    public int? SuggestedComponents { get; init; }

    /// <summary>Why, in one sentence: <c>k = 20 explains 91% of the variance; more adds little.</c></summary>
    public string Suggestion { get; init; } = "";
}

/// <summary>A method with one number of concepts.</summary>
public sealed record ComparisonCell
{
    /// <summary>Number of concepts asked for, k.</summary>
    public required int Components { get; init; }

    /// <summary>Means over the classes in which the method could be fitted; null where it could be in none.</summary>
    public ExtractionFigures? Figures { get; init; }

    /// <summary>The classes one by one, in the order of <see cref="ComparisonResult.Classes"/>; null figures where it could not be fitted.</summary>
    public required IReadOnlyList<ExtractionFigures?> ByClass { get; init; }

    /// <summary>Why it could not be fitted in some class, with the remedy; or what limits its figures; null for nothing.</summary>
    public string? Problem { get; init; }
}

/// <summary>How well concepts stand for activations (METHODS 2.3). Null where a figure is undefined or was not asked for.</summary>
public sealed record ExtractionFigures
{
    /// <summary>Concept vectors that the method gave; fewer than asked for where it has no more.</summary>
    public required double Components { get; init; }

    /// <summary>Mean over rows of ||a − â|| / ||a||. Lower is better.</summary>
    public double? RelativeError { get; init; }

    /// <summary>||A − Â|| / ||A||, Frobenius. Lower is better.</summary>
    public double? FrobeniusError { get; init; }

    /// <summary>1 − SSE / SST with column means: share of the variance that is explained. Higher is better.</summary>
    public double? RSquared { get; init; }

    /// <summary>The same for rows that were left out of the fit, mean over folds. Higher is better.</summary>
    public double? HeldOutRSquared { get; init; }

    /// <summary>Share of coefficients that are not zero. Lower is sparser.</summary>
    public double? ActiveShare { get; init; }

    /// <summary>Hoyer sparsity, 0 to 1. Higher is sparser.</summary>
    public double? Hoyer { get; init; }

    /// <summary>Σu⁴ / (Σu²)², 1/k to 1. Higher is sparser.</summary>
    public double? Kappa4 { get; init; }

    /// <summary>Share of concepts that no row uses. Lower is better.</summary>
    public double? DeadShare { get; init; }

    /// <summary>Mean matched cosine over pairs of folds. Higher is better; 0.9 and more counts as stable.</summary>
    public double? Stability { get; init; }

    /// <summary>The least of these over pairs.</summary>
    public double? WorstStability { get; init; }

    /// <summary>Fréchet distance between activations and reconstructions. Lower is better.</summary>
    public double? Frechet { get; init; }

    /// <summary>Distance of reconstructions to real activations relative to that of real ones among themselves; 1 is best.</summary>
    public double? OutOfDistribution { get; init; }
}

/// <summary>How faithful estimators of importance are for one set of concepts (METHODS 2.6).</summary>
public sealed record FaithfulnessComparison
{
    /// <summary>Method whose concepts were weighed.</summary>
    public required string Method { get; init; }

    /// <summary>Number of concepts k that was asked for; curves of classes for which the method gave fewer are stretched to it.</summary>
    public required int Components { get; init; }

    /// <summary>Images that were judged, over all classes.</summary>
    public required int Images { get; init; }

    /// <summary>What the curves show, for the axis: <c>logit</c>.</summary>
    public required string Score { get; init; }

    /// <summary>The estimators in the order asked for, then <c>random</c> and <c>oracle</c>.</summary>
    public required IReadOnlyList<EstimatorFigures> Estimators { get; init; }

    /// <summary>TCAV of each class with significance; empty where <c>tcav</c> was not asked for.</summary>
    public IReadOnlyList<ClassTcav> Tcav { get; init; } = [];
}

/// <summary>Faithfulness of one estimator, means over images.</summary>
public sealed record EstimatorFigures
{
    /// <summary>Name; <c>random</c> and <c>oracle</c> are the two ends of the scale.</summary>
    public required string Name { get; init; }

    /// <summary>Name for display.</summary>
    public required string Title { get; init; }

    /// <summary>True for the random orders and the oracle, which no one chooses.</summary>
    public bool Reference { get; init; }

    /// <summary>Area under the deletion curve, in units of the logit. Lower is better.</summary>
    public double? Deletion { get; init; }

    /// <summary>Area under the insertion curve, in units of the logit. Higher is better.</summary>
    public double? Insertion { get; init; }

    /// <summary>C-µFidelity, −1 to 1. Higher is better.</summary>
    public double? MuFidelity { get; init; }

    /// <summary>Deletion on a scale from 0 (random order) to 1 (oracle); null where the two are equal.</summary>
    public double? DeletionQuality { get; init; }

    /// <summary>Insertion on the same scale.</summary>
    public double? InsertionQuality { get; init; }

    /// <summary>Mean logit after 0 to k concepts are removed. Length k + 1; empty where it was not computed.</summary>
    public IReadOnlyList<double> DeletionCurve { get; init; } = [];

    /// <summary>Mean logit after 0 to k concepts are inserted. Length k + 1.</summary>
    public IReadOnlyList<double> InsertionCurve { get; init; } = [];

    /// <summary>Why it could not be computed, with the remedy; null where it could.</summary>
    public string? Problem { get; init; }
}

/// <summary>TCAV of one class.</summary>
/// <param name="Class">Index of the class in the analysis.</param>
/// <param name="Concepts">One entry for each concept.</param>
public sealed record ClassTcav(int Class, IReadOnlyList<ConceptTcav> Concepts);

/// <summary>TCAV of one concept (Kim et al. 2018).</summary>
/// <param name="Score">Share of images whose logit rises along the concept vector.</param>
/// <param name="PSign">Two-sided binomial p value against a share of one half.</param>
/// <param name="PRandom">Two-sided p value of a t test against random directions; null where these do not vary.</param>
/// <param name="Significant">True where both stay below 0.05 after Holm's correction over the class's concepts, an undefined one left aside.</param>
public sealed record ConceptTcav(double Score, double PSign, double? PRandom, bool Significant);

/// <summary>Times and memory of a comparison, in <c>measurements.json</c> beside the result: no two runs give the same.</summary>
public sealed record ComparisonMeasurements
{
    /// <summary>File in the task's folder.</summary>
    public const string FileName = "measurements.json";

    /// <summary>Device and threads, for people.</summary>
    public required string Device { get; init; }

    /// <summary>Fits, in the order of methods and numbers of concepts.</summary>
    public required IReadOnlyList<FitMeasurement> Fits { get; init; }

    /// <summary>Estimators, in the order asked for.</summary>
    public IReadOnlyList<EstimatorMeasurement> Estimators { get; init; } = [];

    /// <summary>Reads it from a task's folder.</summary>
    /// <exception cref="AnalysisException">There is no complete result.</exception>
    public static ComparisonMeasurements Read(string folder) => ComparisonFiles.Read<ComparisonMeasurements>(Path.Combine(folder, FileName));
}

/// <summary>Cost of fitting a method with one number of concepts.</summary>
/// <param name="Method">Method.</param>
/// <param name="Components">k.</param>
/// <param name="Seconds">Seconds of one fit, mean over classes; null where nothing is fitted (vectors of the finished analysis).</param>
/// <param name="PeakMemoryMiB">Largest resident memory of the process during the fits; null where the system does not tell.</param>
public sealed record FitMeasurement(string Method, int Components, double? Seconds, double? PeakMemoryMiB);

/// <summary>Cost of an estimator.</summary>
/// <param name="Name">Estimator.</param>
/// <param name="SecondsPerImage">Seconds an image.</param>
public sealed record EstimatorMeasurement(string Name, double SecondsPerImage);

/// <summary>Reads the texts of a comparison.</summary>
internal static class ComparisonFiles
{
    public static T Read<T>(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllText(path), AnalysisJson.Options)
                ?? throw new AnalysisException($"{path} is empty.", "Run the comparison again.");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new AnalysisException($"{path} is no complete result of a comparison: {failure.Message}", "Run the comparison again.", failure);
        }
    }
}
