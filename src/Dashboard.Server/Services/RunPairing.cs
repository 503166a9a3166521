using System.Collections.Concurrent;
using System.Numerics.Tensors;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using Analysis;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Factorization;
using Analysis.Numerics;
using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>
/// How alike the concepts of two finished analyses are, class by class, and what became of the images that both saw. It holds
/// what does not depend on the least similarity; names and what people wrote are looked up by whoever shows it.
/// </summary>
internal sealed class RunPairing
{
    // Above, reading all paths costs more memory than the fallback is worth.
    private const int MostByName = 200_000;

    private readonly int[]? _rows;
    private readonly ConcurrentDictionary<(int Images, int Pairs), double> _leastByChance = new();

    private RunPairing(int[]? rows)
    {
        _rows = rows;
    }

    /// <summary>Why nothing can be compared, with a remedy; empty where it can.</summary>
    public string Problem { get; private init; } = "";

    public MatchMeasure Measure { get; private init; }

    /// <summary>In what they differ so that vectors cannot be compared: networks, layers or methods; empty where they can.</summary>
    public string Apart { get; private init; } = "";

    public bool SignIgnored { get; private init; }

    public IReadOnlyList<PairedClassData> Classes { get; private set; } = [];

    public IReadOnlyList<string> OnlyFirst { get; private init; } = [];

    public IReadOnlyList<string> OnlySecond { get; private init; } = [];

    public int Common { get; private set; }

    public PairSide FirstSide { get; private set; } = new(null, 0);

    public PairSide SecondSide { get; private set; } = new(null, 0);

    public int Mended { get; private set; }

    public int Broken { get; private set; }

    /// <summary>Rows of the first whose prediction differs in the second, by class and row.</summary>
    public IReadOnlyList<int> Changed { get; private set; } = [];

    /// <summary>Row in the second of a row in the first; −1 where the second did not see the image.</summary>
    public int RowInSecond(int row) => _rows is null ? row : row < _rows.Length ? _rows[row] : -1;

    /// <summary>
    /// How many of the images that show each of two concepts most are the same, for pairs of a class: a tenth of the images that
    /// both saw, from 5 to 20. None is looked at where fewer than twice as many are in common, or coefficients are missing.
    /// </summary>
    public (int Top, IReadOnlyList<int> Shared) SharedTop(DataFolders folders, string first, string second, PairedClassData data, IReadOnlyList<ConceptCounterpart> pairs)
    {
        using var a = Outline(folders.Run(first), data.First, coefficients: true);
        using var b = Outline(folders.Run(second), data.Second, coefficients: true);
        if (a is not { Values.Length: > 0 } || b is not { Values.Length: > 0 })
        {
            return (0, []);
        }

        var common = OnCommon(a, b);
        var (u, v) = (Take(a, common.First), Take(b, common.Second));
        var top = Math.Clamp(u.Rows / 10, 5, 20);
        return u.Rows < 2 * top ? (0, []) : (top,
        [
            .. pairs.Select(pair =>
            {
                var values = v.Column(pair.Second);
                // A concept that was turned round is strongest where its coefficients are least.
                return ConceptCorrespondence.SharedTop(u.Column(pair.First), pair.Similarity < 0 ? Array.ConvertAll(values, value => -value) : values, top);
            }),
        ]);
    }

    /// <summary>Compares two analyses; reads a small part of the file of each class.</summary>
    public static async Task<RunPairing> ReadAsync(
        IDbContextFactory<DashboardDbContext> databases, DataFolders folders, AnalysisEntity first, AnalysisEntity second, IProgress<(int Done, int Total)> progress, CancellationToken cancellation)
    {
        if (RunFiles.Manifest(folders.Run(first.Id)) is not { } left || RunFiles.Manifest(folders.Run(second.Id)) is not { } right)
        {
            return new RunPairing(null) { Problem = "The recipe of one of them cannot be read. Run it again." };
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var (own, others) = (await SideAsync(database, folders, first, left, cancellation), await SideAsync(database, folders, second, right, cancellation));
        var common = own.Classes.Join(others.Classes, row => row.Name, row => row.Name, (a, b) => (First: a, Second: b)).ToList();
        progress.Report((0, common.Count));
        var rows = SameImages(left, right) ? null : await RowsAsync(database, first, second, cancellation);
        var none = rows is { } known && known.All(row => row < 0);

        // Methods put the origin of their directions in different places (the mean, zero, a contrast of classes): the same
        // concept then points elsewhere. Without a common image the direction is all there is.
        var apart = left.Network.Sha256.Length == 0 || left.Network.Sha256 != right.Network.Sha256 ? "networks"
            : left.Layer.Name != right.Layer.Name || left.Layer.Channels != right.Layer.Channels ? "layers"
            : left.Request.Method != right.Request.Method && !none ? "methods"
            : "";
        var measure = apart.Length > 0 ? MatchMeasure.Correlation : MatchMeasure.Cosine;
        var pairing = new RunPairing(rows)
        {
            Measure = measure,
            Apart = apart,
            SignIgnored = SignIsArbitrary(left) || SignIsArbitrary(right),
            OnlyFirst = [.. own.Classes.Where(row => others.Classes.All(other => other.Name != row.Name)).Select(row => row.DisplayName)],
            OnlySecond = [.. others.Classes.Where(row => own.Classes.All(other => other.Name != row.Name)).Select(row => row.DisplayName)],
            Problem = common.Count == 0 ? "They have no class in common: classes are one where their folders have one name."
                : measure == MatchMeasure.Correlation && none
                    ? $"They look at different {(apart == "networks" ? "networks, or at activations of which the network is not known" : apart)}, so that concepts can only be matched by the images they respond to, and no image is in both. Analyse the same data set with both."
                    : "",
        };
        if (pairing.Problem.Length == 0)
        {
            await Task.Run(() => pairing.Compare(own, others, common, progress, cancellation), cancellation);
        }

        return pairing;
    }

    private void Compare(Side own, Side others, IReadOnlyList<(ClassRow First, ClassRow Second)> common, IProgress<(int Done, int Total)> progress, CancellationToken cancellation)
    {
        var correlate = Measure == MatchMeasure.Correlation;
        var classes = new PairedClassData[common.Count];
        var options = new ParallelOptions { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount };
        var done = 0;
        InParallel(common.Count, at =>
        {
            classes[at] = Compare(own, common[at].First, others, common[at].Second, correlate);
            progress.Report((Interlocked.Increment(ref done), common.Count));
        });

        // Classes that only one has count for the images, whose predictions do not depend on what they are grouped by.
        var lone = own.Classes.Select(row => (Side: own, Row: row)).Concat(others.Classes.Select(row => (Side: others, Row: row))).Where(entry => !entry.Side.Predictions.Seen(entry.Row)).ToList();
        InParallel(lone.Count, at =>
        {
            using var outline = Outline(lone[at].Side.Folder, lone[at].Row.Index, correlate);
            lone[at].Side.Predictions.Take(lone[at].Row, outline);
        });

        Classes = CountImages(own, others, classes);

        void InParallel(int count, Action<int> work)
        {
            try
            {
                Parallel.For(0, count, options, work);
            }
            catch (AggregateException faults)
            {
                // The first tells as much as all.
                ExceptionDispatchInfo.Capture(faults.InnerExceptions[0]).Throw();
            }
        }
    }

    private PairedClassData Compare(Side own, ClassRow first, Side others, ClassRow second, bool correlate)
    {
        var data = new PairedClassData(first.Name, first.DisplayName, first.Index, second.Index, first.Importance, second.Importance);
        using var a = Outline(own.Folder, first.Index, correlate);
        using var b = Outline(others.Folder, second.Index, correlate);
        own.Predictions.Take(first, a);
        others.Predictions.Take(second, b);
        if (a is null || b is null || a.Concepts != first.Importance.Count || b.Concepts != second.Importance.Count)
        {
            return data with { Problem = "Its concepts cannot be read." };
        }

        if (a.Concepts == 0 || b.Concepts == 0)
        {
            return data with { Similarity = new DenseMatrix(a.Concepts, b.Concepts) };
        }

        if (!correlate)
        {
            var channels = a.Values.Length / a.Concepts;
            return channels > 0 && b.Values.Length == b.Concepts * channels
                ? data with { Similarity = ConceptMatching.Cosines(Matrix(a.Values, a.Concepts), Matrix(b.Values, b.Concepts)) }
                : data with { Problem = "Its concept vectors cannot be compared." };
        }

        if (a.Values.Length == 0 || b.Values.Length == 0)
        {
            return data with { Problem = "Its coefficients cannot be read." };
        }

        var (u, v) = OnCommon(a, b);
        return u.Length < ConceptCorrespondence.FewestSamples
            ? data with { Problem = $"Too few images in common ({u.Length}) to say which concepts respond to the same." }
            : data with
            {
                Similarity = ConceptCorrespondence.Correlations(a.Values, a.Concepts, u, b.Values, b.Concepts, v),
                // Few images are alike by chance. Most classes have as many images as the next.
                LeastByChance = _leastByChance.GetOrAdd((u.Length, a.Concepts * b.Concepts), key => ConceptCorrespondence.LeastCorrelation(key.Images, key.Pairs)),
            };
    }

    /// <summary>Positions in both of the images of a class that both saw, in the order of the first.</summary>
    private (int[] First, int[] Second) OnCommon(ClassOutline first, ClassOutline second)
    {
        var own = first.Sample;
        var others = second.Sample;
        var placeOf = new Dictionary<int, int>(others.Length);
        for (var position = 0; position < others.Length; position++)
        {
            placeOf[others[position]] = position;
        }

        var (left, right) = (new int[own.Length], new int[own.Length]);
        var count = 0;
        for (var position = 0; position < own.Length; position++)
        {
            if (placeOf.TryGetValue(RowInSecond(own[position]), out var place))
            {
                (left[count], right[count]) = (position, place);
                count++;
            }
        }

        return (left[..count], right[..count]);
    }

    private PairedClassData[] CountImages(Side own, Side others, PairedClassData[] classes)
    {
        var counts = own.Classes.ToDictionary(row => row.Index, _ => new Counts());
        var all = new Counts();
        var changed = new List<(int Class, int Row)>();
        // Names are compared once for each two outputs, not once for each image.
        var differ = new Dictionary<(int, int), bool>();
        for (var row = 0; row < own.Predictions.Count; row++)
        {
            var other = RowInSecond(row);
            if (own.Predictions[row] is not { } mine || others.Predictions[other] is not { } theirs)
            {
                continue;
            }

            ref var differs = ref CollectionsMarshal.GetValueRefOrAddDefault(differ, (mine.Output, theirs.Output), out var known);
            if (!known)
            {
                differs = own.OutputName(mine.Output) != others.OutputName(theirs.Output);
            }

            var (odd, oddThere) = (own.Outliers.Contains(row), others.Outliers.Contains(other));
            all.Add(mine.Right, theirs.Right, differs, odd, oddThere);
            counts[mine.Class].Add(mine.Right, theirs.Right, differs, odd, oddThere);
            if (differs)
            {
                changed.Add((mine.Class, row));
            }
        }

        (Common, Mended, Broken) = (all.Images, all.Mended, all.Broken);
        (FirstSide, SecondSide) = (all.First, all.Second);
        Changed = [.. changed.OrderBy(entry => entry.Class).ThenBy(entry => entry.Row).Select(entry => entry.Row)];
        return Array.ConvertAll(classes, data => data with { Common = counts[data.First].Images, Changed = counts[data.First].Changed, FirstSide = counts[data.First].First, SecondSide = counts[data.First].Second });
    }

    private static ClassOutline? Outline(string folder, int index, bool coefficients)
    {
        var path = ClassArraysFile.PathOf(folder, index);
        try
        {
            return File.Exists(path) ? ClassArraysFile.ReadOutline(path, coefficients) : null;
        }
        catch (AnalysisException)
        {
            return null;
        }
    }

    private static DenseMatrix Matrix(ReadOnlySpan<float> values, int rows)
    {
        var matrix = new DenseMatrix(rows, values.Length / rows);
        TensorPrimitives.ConvertTruncating(values, matrix.Values.AsSpan());
        return matrix;
    }

    private static DenseMatrix Take(ClassOutline outline, int[] rows)
    {
        var values = outline.Values;
        var width = outline.Concepts;
        var result = new DenseMatrix(rows.Length, width);
        for (var i = 0; i < rows.Length; i++)
        {
            TensorPrimitives.ConvertTruncating(values.Slice(rows[i] * width, width), result.Values.AsSpan(i * width, width));
        }

        return result;
    }

    private static bool SignIsArbitrary(Manifest manifest) =>
        FactorizationCatalogue.All.FirstOrDefault(method => method.Info.Name == manifest.Request.Method)?.Info.SignIsArbitrary ?? false;

    // Rows are the images of the scan in order, less those that were left out: of one data set, cut alike, they are the same.
    private static bool SameImages(Manifest first, Manifest second) =>
        first.Dataset.Fingerprint == second.Dataset.Fingerprint && first.Dataset.Images == second.Dataset.Images && first.Request.Limit == second.Request.Limit
        && first.Dataset.Classes.SequenceEqual(second.Dataset.Classes) && first.Skipped.Select(file => file.Path).SequenceEqual(second.Skipped.Select(file => file.Path));

    /// <summary>Row in the second of each row of the first, −1 where there is none; null where the rows are the same.</summary>
    private static async Task<int[]?> RowsAsync(DashboardDbContext database, AnalysisEntity first, AnalysisEntity second, CancellationToken cancellation)
    {
        var own = database.Samples.AsNoTracking().Where(row => row.AnalysisKey == first.Key);
        var others = database.Samples.AsNoTracking().Where(row => row.AnalysisKey == second.Key);
        var count = await own.CountAsync(cancellation);
        if (count == await others.CountAsync(cancellation) && await own.Join(others, row => row.Index, row => row.Index, (a, b) => new { First = a.Path, Second = b.Path }).CountAsync(pair => pair.First == pair.Second, cancellation) == count)
        {
            return null;
        }

        var map = new int[count == 0 ? 0 : await own.MaxAsync(row => row.Index, cancellation) + 1];
        Array.Fill(map, -1);
        await foreach (var pair in own.Join(others, row => row.Path, row => row.Path, (a, b) => new { First = a.Index, Second = b.Index }).AsAsyncEnumerable().WithCancellation(cancellation))
        {
            map[pair.First] = pair.Second;
        }

        return map.All(row => row < 0) && count <= MostByName ? await RowsByNameAsync(own, others, map, cancellation) : map;
    }

    /// <summary>One data set may lie a folder deeper in the other: images are told by their own folder and name, where these occur once.</summary>
    private static async Task<int[]> RowsByNameAsync(IQueryable<SampleEntity> own, IQueryable<SampleEntity> others, int[] map, CancellationToken cancellation)
    {
        static string End(string path) => path.LastIndexOf('/') is > 0 and var name && path.LastIndexOf('/', name - 1) is >= 0 and var folder ? path[(folder + 1)..] : path;
        var first = (await own.Select(row => new { row.Index, row.Path }).ToListAsync(cancellation)).ToLookup(row => End(row.Path), row => row.Index);
        var second = (await others.Select(row => new { row.Index, row.Path }).Take(MostByName).ToListAsync(cancellation)).ToLookup(row => End(row.Path), row => row.Index);
        foreach (var rows in first.Where(rows => rows.Count() == 1 && second[rows.Key].Count() == 1))
        {
            map[rows.First()] = second[rows.Key].First();
        }

        return map;
    }

    private static async Task<Side> SideAsync(DashboardDbContext database, DataFolders folders, AnalysisEntity analysis, Manifest manifest, CancellationToken cancellation)
    {
        var key = analysis.Key;
        var importance = (await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == key).OrderBy(row => row.Class).ThenBy(row => row.Rank)
            .Select(row => new { row.Class, row.Importance }).ToListAsync(cancellation)).ToLookup(row => row.Class, row => row.Importance);
        var classes = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == key && row.Ready).OrderBy(row => row.Index)
            .Select(row => new { row.Index, row.Name, row.DisplayName, row.Label, row.Accuracy }).ToListAsync(cancellation);
        // In the order of the partial index, which is not used otherwise.
        var outliers = await database.Samples.AsNoTracking().Where(row => row.AnalysisKey == key && row.OutlierKind != "").OrderBy(row => row.OutlierKind).ThenBy(row => row.OutlierRank).Select(row => row.Index).ToListAsync(cancellation);
        return new Side(
            folders.Run(analysis.Id),
            // Where classes are predictions there is no label, and none is right or wrong.
            [.. classes.Select(row => new ClassRow(row.Index, row.Name, row.DisplayName, row.Accuracy is null ? null : row.Label, [.. importance[row.Index]]))],
            [.. outliers],
            manifest.Network.Outputs.Count > 0 ? manifest.Network.Outputs : analysis.OutputNames is null ? [] : JsonSerializer.Deserialize<string[]>(analysis.OutputNames, Json.Options) ?? []);
    }

    private sealed record ClassRow(int Index, string Name, string DisplayName, int? Label, IReadOnlyList<double> Importance);

    private sealed record Side(string Folder, IReadOnlyList<ClassRow> Classes, HashSet<int> Outliers, IReadOnlyList<string> Outputs)
    {
        public Predictions Predictions { get; } = new();

        public string OutputName(int output) => output >= 0 && output < Outputs.Count && Outputs[output].Length > 0 ? Outputs[output] : FormattableString.Invariant($"output {output}");
    }

    /// <summary>Predicted output, class and correctness of each row.</summary>
    private sealed class Predictions
    {
        private readonly Lock _gate = new();
        private readonly List<(int Class, int Output, bool? Right)?> _rows = [];
        private readonly HashSet<int> _classes = [];

        public int Count => _rows.Count;

        public (int Class, int Output, bool? Right)? this[int row] => row >= 0 && row < _rows.Count ? _rows[row] : null;

        public bool Seen(ClassRow row) => _classes.Contains(row.Index);

        /// <summary>Takes those of a class; classes may come from several threads.</summary>
        public void Take(ClassRow of, ClassOutline? outline)
        {
            lock (_gate)
            {
                _classes.Add(of.Index);
                if (outline is null)
                {
                    return;
                }

                var sample = outline.Sample;
                var predicted = outline.Predicted;
                for (var position = 0; position < sample.Length; position++)
                {
                    var row = sample[position];
                    if (row < 0)
                    {
                        continue;
                    }

                    while (_rows.Count <= row)
                    {
                        _rows.Add(null);
                    }

                    _rows[row] = (of.Index, predicted[position], of.Label is { } label ? label == predicted[position] : null);
                }
            }
        }
    }

    private sealed class Counts
    {
        private int _judged;
        private int _rightInFirst;
        private int _rightInSecond;
        private int _oddInFirst;
        private int _oddInSecond;

        public int Images { get; private set; }

        public int Changed { get; private set; }

        public int Mended { get; private set; }

        public int Broken { get; private set; }

        public PairSide First => new(_judged > 0 ? (double)_rightInFirst / _judged : null, _oddInFirst);

        public PairSide Second => new(_judged > 0 ? (double)_rightInSecond / _judged : null, _oddInSecond);

        public void Add(bool? rightInFirst, bool? rightInSecond, bool changed, bool oddInFirst, bool oddInSecond)
        {
            Images++;
            Changed += changed ? 1 : 0;
            _oddInFirst += oddInFirst ? 1 : 0;
            _oddInSecond += oddInSecond ? 1 : 0;
            if (rightInFirst is { } first && rightInSecond is { } second)
            {
                _judged++;
                _rightInFirst += first ? 1 : 0;
                _rightInSecond += second ? 1 : 0;
                Mended += !first && second ? 1 : 0;
                Broken += first && !second ? 1 : 0;
            }
        }
    }
}

/// <summary>A class of two analyses, before it is said from which similarity on two concepts are the same.</summary>
/// <param name="Name">Name of the folder.</param>
/// <param name="DisplayName">Name for display.</param>
/// <param name="First">Index in the first analysis.</param>
/// <param name="Second">Index in the second.</param>
/// <param name="FirstImportance">Importance of the first's concepts by rank.</param>
/// <param name="SecondImportance">Importance of the second's.</param>
internal sealed record PairedClassData(string Name, string DisplayName, int First, int Second, IReadOnlyList<double> FirstImportance, IReadOnlyList<double> SecondImportance)
{
    /// <summary>Signed similarity of each two concepts; null where there is a problem.</summary>
    public DenseMatrix? Similarity { get; init; }

    /// <summary>Least similarity that is not put down to chance.</summary>
    public double LeastByChance { get; init; }

    public string Problem { get; init; } = "";

    public int Common { get; init; }

    public int Changed { get; init; }

    public PairSide FirstSide { get; init; } = new(null, 0);

    public PairSide SecondSide { get; init; } = new(null, 0);

    /// <summary>Which concepts are the same from a similarity on.</summary>
    public IReadOnlyList<ConceptCounterpart> Match(double least, bool ignoreSign) =>
        Similarity is null ? [] : ConceptCorrespondence.Match(Similarity, Math.Max(least, LeastByChance), ignoreSign);

    /// <summary>The row of the comparison.</summary>
    public PairedClass Row(double least, IReadOnlyList<ConceptCounterpart> pairs) => new()
    {
        Name = Name,
        DisplayName = DisplayName,
        First = First,
        Second = Second,
        FirstConcepts = FirstImportance.Count,
        SecondConcepts = SecondImportance.Count,
        Matched = pairs.Count,
        SameStrongest = Similarity is null || FirstImportance.Count == 0 || SecondImportance.Count == 0 ? null : pairs.Any(pair => pair is { First: 0, Second: 0 }),
        Similarity = pairs.Count == 0 ? null : pairs.Average(pair => Math.Abs(pair.Similarity)),
        Shift = Similarity is null ? null : ConceptCorrespondence.ImportanceShift(FirstImportance, SecondImportance, pairs),
        Least = Math.Max(least, LeastByChance),
        Common = Common,
        Changed = Changed,
        FirstSide = FirstSide,
        SecondSide = SecondSide,
        Problem = Problem,
    };
}
