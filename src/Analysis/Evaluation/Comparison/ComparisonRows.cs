using System.Text.Json;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Factorization;
using Analysis.Importance;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Evaluation.Comparison;

/// <summary>The classes of a comparison with the rows that methods are fitted to.</summary>
internal sealed class ComparisonRows : IDisposable
{
    private const int Part = 32;
    private readonly TaskContext _context;
    private readonly ComparisonParameters _parameters;
    private readonly Dictionary<int, Tensor> _rows = [];
    private readonly Dictionary<int, FrechetReference> _references = [];

    /// <summary>Chooses the classes.</summary>
    /// <exception cref="AnalysisException">A class is not known, or none has enough images.</exception>
    public ComparisonRows(TaskContext context, ComparisonParameters parameters)
    {
        (_context, _parameters) = (context, parameters);
        var least = Math.Max(4, 2 * parameters.Folds);
        var able = context.Classes.Where(c => c.Rows.Length >= least).ToArray();
        if (parameters.Classes is { } names)
        {
            Classes = [.. names.Select(name => context.Classes.FirstOrDefault(c => c.Description.Name == name)
                ?? throw new AnalysisException($"The analysis has no class '{name}'.", $"It has: {string.Join(", ", context.Classes.Take(20).Select(c => c.Description.Name))}{(context.Classes.Count > 20 ? ", …" : "")}."))];
            if (Classes.FirstOrDefault(c => c.Rows.Length < least) is { } small)
            {
                throw new AnalysisException($"The class '{small.Description.Name}' has {small.Rows.Length} images; a comparison needs {least}.", "Leave it out, or ask for fewer folds.");
            }

            Note = $"{Classes.Count} classes, as asked for.";
            return;
        }

        if (able.Length == 0)
        {
            throw new AnalysisException($"No class has the {least} images that a comparison needs.", "Analyse more images, or ask for fewer folds.");
        }

        var count = Math.Min(parameters.ClassLimit, able.Length);
        Classes = [.. Enumerable.Range(0, count).Select(i => able[(int)((2L * i + 1) * able.Length / (2L * count))])];
        Note = count == context.Classes.Count
            ? $"All {count} classes."
            : $"{count} of {context.Classes.Count} classes, spread evenly over those with at least {least} images.";
    }

    /// <summary>The classes.</summary>
    public IReadOnlyList<ClassRows> Classes { get; }

    /// <summary>How they were chosen.</summary>
    public string Note { get; }

    /// <summary>Rows of a class, n×C float32 on the network's device; stays this object's.</summary>
    public Tensor Of(ClassRows members, CancellationToken cancellation)
    {
        if (!_rows.TryGetValue(members.Description.Index, out var rows))
        {
            using var scope = NewDisposeScope();
            rows = (_parameters.Granularity == "positions" ? Positions(members, cancellation) : Pooled(members)).DetachFromDisposeScope();
            _rows[members.Description.Index] = rows;
        }

        return rows;
    }

    /// <summary>The fixed side of the Fréchet distance of a class.</summary>
    public FrechetReference Reference(ClassRows members, CancellationToken cancellation)
    {
        if (!_references.TryGetValue(members.Description.Index, out var reference))
        {
            _references[members.Description.Index] = reference = ExtractionMetrics.Reference(Of(members, cancellation), cancellation: cancellation);
        }

        return reference;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var rows in _rows.Values)
        {
            rows.Dispose();
        }

        foreach (var reference in _references.Values)
        {
            reference.Dispose();
        }
    }

    /// <summary>At most so many of a list, spread evenly.</summary>
    public static int[] Spread(int[] rows, int most) =>
        rows.Length <= most ? rows : [.. Enumerable.Range(0, most).Select(i => rows[(int)((long)i * rows.Length / most)])];

    private Tensor Pooled(ClassRows members)
    {
        using var host = _context.Store.GatherTensor("pooled.0", Spread(members.Rows, _parameters.RowLimit));
        return host.to(_context.Plan.Network.Device).alias();
    }

    private Tensor Positions(ClassRows members, CancellationToken cancellation)
    {
        var layer = _context.Plan.Layer;
        var total = (long)members.Rows.Length * layer.Height * layer.Width;
        var most = Math.Min(total, _parameters.RowLimit);
        var parts = new List<Tensor>();
        foreach (var (start, activation) in _context.Spatial.Read(members.Rows, Part, cancellation))
        {
            using (activation)
            {
                using var inner = NewDisposeScope();
                var rows = activation.permute(0, 2, 3, 1).reshape(-1, layer.Channels);
                var first = (long)start * layer.Height * layer.Width;
                var (from, to) = (Ceiling(first * most, total), Ceiling((first + rows.shape[0]) * most, total));
                var index = Enumerable.Range(0, (int)(to - from)).Select(i => ((from + i) * total / most) - first).ToArray();
                if (index.Length > 0)
                {
                    parts.Add(rows.index_select(0, tensor(index, ScalarType.Int64, rows.device)).MoveToOuterDisposeScope());
                }
            }
        }

        return cat(parts, 0);

        static long Ceiling(long a, long b) => (a + b - 1) / b;
    }
}

/// <summary>Concept vectors of the finished analysis as factors: unique concept vectors are contrasts with the mean of the data set.</summary>
internal sealed class AnalysedFactors : Factors
{
    private readonly Tensor _mean;

    private AnalysedFactors(Tensor vectors, Tensor mean)
        : base(vectors, mean)
    {
        _mean = mean;
    }

    /// <summary>Reads the strongest vectors of a class.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="index">Index of the class.</param>
    /// <param name="components">Vectors to take at most.</param>
    /// <returns>The factors, and the stability of each vector where it was measured.</returns>
    /// <exception cref="AnalysisException">The analysis found its concepts in another way.</exception>
    public static (AnalysedFactors Factors, IReadOnlyList<double> Stability) Read(TaskContext context, int index, int components)
    {
        if (context.Request.Method != AnalysisRequest.UniqueMethod)
        {
            throw new AnalysisException(
                $"Unique concepts cannot be compared here: the analysis found its concepts by '{context.Request.Method}'.", "Compare in an analysis that was made by 'unique'.");
        }

        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(context.ResultFolder, index));
        var all = file.Load("concept_vectors").to(ScalarType.Float64);
        var vectors = all.narrow(0, 0, Math.Min(components, all.shape[0])).to(context.Plan.Network.Device).clone();
        var mean = context.Directions.Mean.to(vectors.device).clone();
        var atlas = JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllText(ClassArraysFile.AtlasPathOf(context.ResultFolder, index)), AnalysisJson.Line)!;
        return (new AnalysedFactors(vectors, mean), [.. atlas.Concepts.Take(components).Select(c => c.Stability).OfType<double>()]);
    }

    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows) => NonNegativeEncoding.Encode(rows.to(ScalarType.Float64) - _mean, Vectors).Codes.ToTensor(rows.device);
}
