using System.Globalization;
using System.Runtime.ExceptionServices;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Evaluation;
using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Stages;

/// <summary>Fits the concept vectors of each class, or of the whole data set; each fit is a checkpoint.</summary>
internal static class FactorsStage
{
    /// <summary>Memory set aside for the rows of a class and their coefficients.</summary>
    private const long ClassBytes = 256L << 20;

    /// <summary>Memory set aside for the rows of the data set and their coefficients.</summary>
    private const long DatasetBytes = 1L << 30;

    /// <summary>Rows that a fit is scored on at most.</summary>
    private const long MostScored = 5000;

    /// <summary>Steps of progress within a fit.</summary>
    private const int Steps = 100;

    /// <summary>Path of a class's factors, or of the data set's.</summary>
    /// <param name="folder">The artefact's folder.</param>
    /// <param name="classIndex">Index of the class; null for the data set.</param>
    public static string PathOf(string folder, int? classIndex) => Path.Combine(
        folder, classIndex is { } index ? index.ToString("0000", CultureInfo.InvariantCulture) + ".safetensors" : "dictionary.safetensors");

    /// <summary>Fits what is not there yet.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="input">Rows to factorise.</param>
    /// <param name="classes">All classes.</param>
    /// <param name="folder">The artefact's folder.</param>
    /// <param name="parallel">Classes fitted at the same time; 1 where their rows need the network.</param>
    /// <param name="reporter">Told of the stage.</param>
    /// <param name="cancellation">Honoured inside fits.</param>
    public static void Run(
        RunPlan plan, ConceptInput input, IReadOnlyList<ClassRows> classes, string folder, int parallel, RunReporter reporter, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var whole = plan.Request.Scope == "dataset";
        var jobs = whole
            ? [(Index: (int?)null, Members: classes)]
            : classes.Where(c => c.Rows.Length > 0).Select(c => (Index: (int?)c.Description.Index, Members: (IReadOnlyList<ClassRows>)[c])).ToArray();
        reporter.Begin("factors", (long)jobs.Length * Steps);
        var missing = jobs.Where(j => !File.Exists(PathOf(folder, j.Index))).ToArray();
        var share = new double[missing.Length];
        Lock gate = new();
        set_num_threads(parallel > 1 ? 1 : plan.Request.Threads);
        try
        {
            Parallel.For(0, missing.Length, new ParallelOptions { MaxDegreeOfParallelism = parallel, CancellationToken = cancellation }, i =>
            {
                Fit(plan, input, missing[i].Members, PathOf(folder, missing[i].Index), done => Advance(i, done), cancellation);
                Advance(i, 1);
            });
        }
        catch (AggregateException failures)
        {
            cancellation.ThrowIfCancellationRequested();
            // The first failure is the one to report; the others are most often the same.
            ExceptionDispatchInfo.Capture(failures.InnerExceptions[0]).Throw();
        }
        finally
        {
            set_num_threads(plan.Request.Threads);
        }

        reporter.End("factors", missing.Length == 0);

        void Advance(int job, double done)
        {
            lock (gate)
            {
                share[job] = Math.Max(share[job], Math.Clamp(done, 0, 1));
                reporter.Advance("factors", (long)((jobs.Length - missing.Length + share.Sum()) * Steps));
            }
        }
    }

    /// <summary>Fits the rows of some classes and writes the file.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="input">Rows to factorise.</param>
    /// <param name="members">A class, or all of them.</param>
    /// <param name="path">Target.</param>
    /// <param name="progress">Called with the share that is done.</param>
    /// <param name="cancellation">Honoured inside the fit.</param>
    public static void Fit(
        RunPlan plan, ConceptInput input, IReadOnlyList<ClassRows> members, string path, Action<double> progress, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var request = plan.Request;
        var method = FactorizationCatalogue.Get(request.Method);
        var bytes = request.Scope == "dataset" ? DatasetBytes : ClassBytes;
        var most = Math.Max(1, bytes / (4L * (plan.Layer.Channels + (2L * request.Concepts))));
        var gathered = input.Gather(members, most, request.Seed, cancellation);
        using var rows = gathered.Rows;
        var notes = new List<string>();
        if (gathered.Available > rows.shape[0])
        {
            notes.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"Concept vectors were fitted on {rows.shape[0]:N0} of {gathered.Available:N0} {Unit(request.Granularity)}, drawn with seed {request.Seed}, to bound memory; every image is encoded."));
        }

        var components = (int)Math.Min(request.Concepts, rows.shape[0]);
        if (!method.Info.AllowsOvercomplete)
        {
            components = Math.Min(components, plan.Layer.Channels);
        }

        if (components < request.Concepts)
        {
            notes.Add($"Only {components} of {request.Concepts} concepts were asked of {method.Info.Title}: no more than rows ({rows.shape[0]}) and channels ({plan.Layer.Channels}) allow.");
        }

        var (factors, name) = Factorise(method, rows, request, components, notes, progress, cancellation);
        using (factors)
        {
            try
            {
                FactorsFile.Save(path, factors, new FitRecord(name, rows.shape[0], gathered.Available, factors.Iterations, notes, Score(rows, factors, cancellation)));
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                throw AtomicFile.Explain(path, failure);
            }
        }
    }

    private static (Factors Factors, string Method) Factorise(
        IFactorizationMethod method, Tensor rows, AnalysisRequest request, int components, List<string> notes, Action<double> progress, CancellationToken cancellation)
    {
        var few = rows.shape[0] < 5L * request.Concepts;
        if (rows.shape[0] > 1)
        {
            try
            {
                var options = new FactorizationOptions { Components = components, Seed = request.Seed, Parameters = request.Parameters };
                return (method.Fit(rows, options, progress, cancellation), method.Info.Name);
            }
            catch (AnalysisException failure) when (few)
            {
                // One small class must not fail the run; with enough rows the reason lies elsewhere and is everybody's.
                notes.Add($"{method.Info.Title} found no concepts here: {failure.Message}");
            }
        }

        notes.Add($"Too few {Unit(request.Granularity)} to factorise: the class is described by its mean.");
        return (new MeanFactors(rows.mean([0L], keepdim: true)), MeanFactors.Name);
    }

    /// <summary>Error and sparsity on the rows that were fitted, of many rows a part spread evenly over them.</summary>
    private static Dictionary<string, double> Score(Tensor rows, Factors factors, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var step = (rows.shape[0] + MostScored - 1) / MostScored;
        var part = step > 1 ? rows.index_select(0, arange(Scalars.Of(0), Scalars.Of(rows.shape[0]), Scalars.Of(step), ScalarType.Int64, rows.device)) : rows;
        var scores = ExtractionMetrics.Score(part, factors, new ScoreOptions { Frechet = false, OutOfDistribution = false }, cancellation: cancellation);
        var metrics = new Dictionary<string, double>
        {
            ["relativeError"] = scores.RelativeError,
            ["rSquared"] = scores.RSquared,
            ["hoyer"] = scores.Hoyer,
            ["activeShare"] = scores.ActiveShare,
            ["deadShare"] = scores.DeadShare,
        };
        return metrics.Where(m => double.IsFinite(m.Value)).ToDictionary(m => m.Key, m => m.Value);
    }

    private static string Unit(string granularity) => granularity switch { "positions" => "positions", "crops" => "crops", _ => "images" };
}
