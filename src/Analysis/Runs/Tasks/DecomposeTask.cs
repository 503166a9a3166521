using System.Text.Json;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Evaluation;
using Analysis.Factorization;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs.Stages;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Tasks;

/// <summary>What a decomposition is asked for.</summary>
/// <param name="Class">Index of the class.</param>
/// <param name="Concept">Rank of the concept in the class.</param>
/// <param name="Path">Sub-concept to descend into at each further level; empty for the first level.</param>
/// <param name="Layer">Layer of the first level; null for the one before, of finer extent.</param>
/// <param name="Components">Sub-concepts to find.</param>
/// <param name="Percentile">Crops with coefficients from this percentile on are decomposed.</param>
/// <param name="Method">Factorisation.</param>
/// <param name="Seed">Seed.</param>
public sealed record DecomposeParameters(int Class, int Concept, IReadOnlyList<int> Path, string? Layer, int Components, int Percentile, string Method, int Seed);

/// <summary>Result of a decomposition: <c>result.json</c>.</summary>
/// <param name="Parameters">What was asked for, complete.</param>
/// <param name="ParentLayer">Layer of the concept that is decomposed.</param>
/// <param name="Layer">Earlier layer at which its parts were found.</param>
/// <param name="Images">Images whose crops were looked at: those with the largest coefficients.</param>
/// <param name="Crops">Crops looked at.</param>
/// <param name="Used">Crops with the concept that were decomposed.</param>
/// <param name="RSquared">Share of the variance of the rows that the parts explain.</param>
/// <param name="RelativeError">Mean relative error of the rows.</param>
/// <param name="Parts">Sub-concepts, most used first.</param>
/// <param name="Notes">Doubts, in words.</param>
public sealed record Decomposition(
    DecomposeParameters Parameters,
    string ParentLayer,
    string Layer,
    int Images,
    int Crops,
    int Used,
    double RSquared,
    double RelativeError,
    IReadOnlyList<SubConcept> Parts,
    IReadOnlyList<string> Notes);

/// <summary>A part of a concept.</summary>
/// <param name="Index">0-based, most used first; what <see cref="DecomposeParameters.Path"/> refers to.</param>
/// <param name="Usage">Its share of the coefficients on the crops, in [0, 1]; the shares sum to 1.</param>
/// <param name="Cosine">Cosine between its coefficients and the concept's over the crops with the concept, in [0, 1] for non-negative methods.</param>
/// <param name="Exemplars">Crops that show it best, strongest first.</param>
public sealed record SubConcept(int Index, double Usage, double Cosine, IReadOnlyList<CropExemplar> Exemplars);

/// <summary>A crop that shows a sub-concept.</summary>
/// <param name="Sample">Row of the sample.</param>
/// <param name="Score">Coefficient.</param>
/// <param name="Left">Crop, as a share of the part of the image that the network sees.</param>
/// <param name="Top">Likewise.</param>
/// <param name="Width">Likewise.</param>
/// <param name="Height">Likewise.</param>
/// <param name="PeakX">Where in the crop it is strongest, as a share of its width.</param>
/// <param name="PeakY">Likewise of its height.</param>
public sealed record CropExemplar(int Sample, double Score, double Left, double Top, double Width, double Height, double PeakX, double PeakY);

/// <summary>
/// Recursion (CRAFT, Fel et al. 2023, arXiv 2211.10154, section 3): a concept is decomposed again at an earlier layer, on the crops that show
/// it most. The parts of a part are found in the same way another layer before.
/// </summary>
public sealed class DecomposeTask : IAnalysisTask
{
    private const int MostImages = 64;
    private const int MostRows = 20_000;
    private const int FewestCrops = 10;
    private const int MostExemplars = 12;

    /// <inheritdoc/>
    public string Kind => "decompose";

    /// <inheritdoc/>
    public int Version => 1;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        var given = new TaskParameters(Kind, parameters, "class", "concept", "path", "layer", "components", "percentile", "method", "seed");
        return JsonSerializer.Serialize(
            new DecomposeParameters(
                given.Integer("class", null, 0, int.MaxValue),
                given.Integer("concept", null, 0, ConceptOptions.MostOfClass - 1),
                given.Integers("path", 4),
                given.Text("layer"),
                given.Integer("components", 5, 2, 25),
                given.Integer("percentile", 90, 0, 99),
                given.Choice("method", "nmf", [.. FactorizationCatalogue.All.Select(m => m.Info.Name)]),
                given.Integer("seed", 0, 0, int.MaxValue)),
            AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var wish = JsonSerializer.Deserialize<DecomposeParameters>(parameters, AnalysisJson.Line)!;
        // Opened first: what the context keeps must not belong to a scope of this method.
        _ = context.Samples;
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var atlas = ClassConcepts.Read(context, wish.Class);
        ClassConcepts.Concept(atlas, wish.Concept);
        var levels = wish.Path.Count + 1;
        var crops = new CropSet(context, StrongestImages(context, wish), cancellation);
        var steps = crops.Images.Length * (1 + (2 * levels));
        var done = 0;
        observer.OnProgress(new TaskProgress(0, steps, "Looking for crops with the concept"));

        using var encoder = ClassConcepts.Encoder(context, atlas, cancellation);
        var layer = context.Plan.Layer;
        var codes = crops.Codes(
            layer.Name, a => encoder.Encode(a.mean([2L, 3L]).to(ScalarType.Float64)).select(1, wish.Concept), () => Step("Looking for crops with the concept"), cancellation);
        for (var level = 0; ; level++)
        {
            var parent = layer;
            layer = Earlier(context.Plan.Network, layer, level == 0 ? wish.Layer : null, wish.Method);
            var used = Strongest(codes, wish.Percentile);
            var rows = crops.Rows(layer.Name, used, MostRows, wish.Seed, () => Step($"Reading {layer.Name}"), cancellation);
            var method = FactorizationCatalogue.Get(wish.Method);
            var components = (int)Math.Min(wish.Components, method.Info.AllowsOvercomplete ? rows.shape[0] : Math.Min(rows.shape[0], rows.shape[1]));
            observer.OnProgress(new TaskProgress(done, steps, $"{method.Info.Title} with {components} parts at {layer.Name}"));
            using var factors = method.Fit(rows, new FactorizationOptions { Components = components, Seed = wish.Seed }, null, cancellation);
            using var parts = FactorEncoder.Create(factors, byPositions: true);
            var (found, peaks) = crops.PartCodes(layer.Name, parts, () => Step($"Encoding crops at {layer.Name}"), cancellation);
            var usage = Usage(found, used);
            var order = Ranks.Descending(usage);
            if (level + 1 < levels)
            {
                var next = wish.Path[level];
                if (next >= order.Length)
                {
                    throw new AnalysisException($"Level {level + 1} has no part {next}.", $"Choose 0 to {order.Length - 1}.");
                }

                codes = found.Column(order[next]);
                continue;
            }

            var scores = ExtractionMetrics.Score(rows, factors, new ScoreOptions { Frechet = false, OutOfDistribution = false }, cancellation: cancellation);
            var notes = new List<string>();
            if (used.Length < 5 * components)
            {
                notes.Add($"Only {used.Length} crops show the concept: its parts are uncertain.");
            }

            var result = new Decomposition(
                wish with { Layer = layer.Name },
                parent.Name,
                layer.Name,
                crops.Images.Length,
                codes.Length,
                used.Length,
                Rounding.Significant(scores.RSquared),
                Rounding.Significant(scores.RelativeError),
                [.. order.Select((part, index) => Describe(crops, part, index, usage[part], codes, found, peaks, used))],
                notes);
            Write(folder, result, parts, found, order, crops);
            return;
        }

        void Step(string doing) => observer.OnProgress(new TaskProgress(++done, steps, doing));
    }

    private static SubConcept Describe(
        CropSet crops, int part, int index, double usage, double[] parent, DenseMatrix codes, (double X, double Y)[][] peaks, int[] used)
    {
        var own = codes.Column(part);
        var cosine = Vectors.Cosine([.. used.Select(c => own[c])], [.. used.Select(c => parent[c])]);
        var best = used.OrderByDescending(c => own[c]).ThenBy(c => c).Where(c => own[c] > 0).Take(MostExemplars);
        return new SubConcept(index, Rounding.Significant(usage), double.IsFinite(cosine) ? Rounding.Significant(cosine) : 0, [.. best.Select(crop =>
        {
            var (left, top, width, height) = crops.Geometry.Rectangle(crop % crops.Geometry.Count);
            var (x, y) = peaks[crop][part];
            return new CropExemplar(crops.Images[crop / crops.Geometry.Count], Rounding.Significant(own[crop]), left, top, width, height, x, y);
        })]);
    }

    private static void Write(string folder, Decomposition result, FactorEncoder parts, DenseMatrix codes, int[] order, CropSet crops)
    {
        var places = tensor(order.Select(i => (long)i).ToArray(), ScalarType.Int64);
        var count = crops.Geometry.Count;
        try
        {
            SafetensorsTensors.Save(Path.Combine(folder, "tensors.safetensors"),
            [
                ("vectors", parts.Vectors.cpu().index_select(0, places).to(ScalarType.Float32)),
                ("codes", codes.ToTensor(CPU).index_select(1, places).to(ScalarType.Float32)),
                ("sample", tensor(Enumerable.Range(0, codes.Rows).Select(c => crops.Images[c / count]).ToArray())),
            ]);
            AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(result, AnalysisJson.Options));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(folder, failure);
        }
    }

    private static int[] StrongestImages(TaskContext context, DecomposeParameters wish)
    {
        using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(context.ResultFolder, wish.Class));
        var samples = file.Span<int>("sample").ToArray();
        var k = (int)file.Entry("coefficients").Shape[1];
        var coefficients = file.Span<float>("coefficients").ToArray();
        var own = Array.ConvertAll(Enumerable.Range(0, samples.Length).ToArray(), i => (double)coefficients[(i * k) + wish.Concept]);
        var strongest = Ranks.Descending(own).Where(i => own[i] > 0).Take(MostImages).Select(i => samples[i]).ToArray();
        return strongest.Length > 0 ? strongest : throw new AnalysisException("No image of the class shows this concept.", "Choose another concept.");
    }

    /// <summary>Crops from the percentile on, those without the concept left out; at least <see cref="FewestCrops"/> where there are so many.</summary>
    private static int[] Strongest(double[] codes, int percentile)
    {
        var limit = RobustStatistics.Percentile(codes, percentile);
        var order = Ranks.Descending(codes).Where(c => codes[c] > 0).ToArray();
        var count = Math.Max(Math.Min(FewestCrops, order.Length), order.Count(c => codes[c] >= limit));
        return count > 0 ? [.. order.Take(count).Order()] : throw new AnalysisException("No crop shows this concept by itself.", "It needs the whole image: choose another concept.");
    }

    private static double[] Usage(DenseMatrix codes, int[] used)
    {
        var usage = new double[codes.Columns];
        foreach (var crop in used)
        {
            for (var part = 0; part < usage.Length; part++)
            {
                usage[part] += Math.Abs(codes[crop, part]);
            }
        }

        var sum = usage.Sum();
        return sum > 0 ? Array.ConvertAll(usage, u => u / sum) : usage;
    }

    /// <summary>The layer asked for, or the last one before with at least twice the extent that the method can take; without one, the layer before.</summary>
    private static LayerInfo Earlier(INetwork network, LayerInfo layer, string? asked, string method)
    {
        var place = Enumerable.Range(0, network.Layers.Count).First(i => network.Layers[i].Name == layer.Name);
        var nonNegative = FactorizationCatalogue.Get(method).Info.NeedsNonNegative;
        var before = network.Layers.Take(place).Where(l => !nonNegative || l.Sign == ActivationSign.NonNegative).ToList();
        if (asked is not null)
        {
            return before.FirstOrDefault(l => l.Name == asked) ?? throw new AnalysisException(
                $"'{asked}' is no layer before {layer.Name} that {method} can take.", $"Choose one of: {string.Join(", ", before.Select(l => l.Name))}.");
        }

        return before.LastOrDefault(l => l.Height >= 2 * layer.Height)
            ?? before.LastOrDefault()
            ?? throw new AnalysisException($"There is no layer before {layer.Name} that {method} can take.", "Decompose concepts of a later layer, or choose another method.");
    }

    /// <summary>Crops of some images, kept as images so that each layer can be asked for.</summary>
    private sealed class CropSet
    {
        private readonly INetwork _network;
        private readonly Tensor _images;

        public CropSet(TaskContext context, int[] rows, CancellationToken cancellation)
        {
            _network = context.Plan.Network;
            var reader = ClassConcepts.Images(context);
            Geometry = reader.Geometry;
            Images = rows;
            _images = cat([.. reader.Images(rows, 16, cancellation).Select(p => p.Images)], 0);
        }

        public CropGeometry Geometry { get; }

        /// <summary>Rows of the images.</summary>
        public int[] Images { get; }

        /// <summary>A number for each crop.</summary>
        public double[] Codes(string layer, Func<Tensor, Tensor> code, Action step, CancellationToken cancellation)
        {
            var codes = new List<double>();
            foreach (var (_, activation) in Forward(layer, null, step, cancellation))
            {
                codes.AddRange(DenseMatrix.FromTensor(code(activation).reshape(1, -1)).Values);
            }

            return [.. codes];
        }

        /// <summary>Positions of some crops, of too many an even part drawn by the seed.</summary>
        public Tensor Rows(string layer, int[] used, int most, int seed, Action step, CancellationToken cancellation)
        {
            var parts = new List<Tensor>();
            var generator = new Random(seed);
            foreach (var (_, activation) in Forward(layer, used, step, cancellation))
            {
                var rows = activation.permute(0, 2, 3, 1).reshape(-1, activation.shape[1]);
                var fair = (int)Math.Ceiling((double)most * activation.shape[0] / used.Length);
                if (rows.shape[0] > fair)
                {
                    var places = Enumerable.Range(0, (int)rows.shape[0]).ToArray();
                    generator.Shuffle(places);
                    Array.Sort(places, 0, fair);
                    rows = rows.index_select(0, tensor(places[..fair].Select(p => (long)p).ToArray(), ScalarType.Int64, rows.device));
                }

                parts.Add(rows.MoveToOuterDisposeScope());
            }

            return cat(parts, 0);
        }

        /// <summary>Coefficient of each part on each crop (mean over positions), and where in the crop it is strongest.</summary>
        public (DenseMatrix Codes, (double X, double Y)[][] Peaks) PartCodes(string layer, FactorEncoder encoder, Action step, CancellationToken cancellation)
        {
            var k = encoder.Kept.Count;
            var codes = new List<double>();
            var peaks = new List<(double, double)[]>();
            foreach (var (_, activation) in Forward(layer, null, step, cancellation))
            {
                var (b, c, h, w) = (activation.shape[0], activation.shape[1], (int)activation.shape[2], (int)activation.shape[3]);
                var u = encoder.Encode(activation.permute(0, 2, 3, 1).reshape(-1, c).to(ScalarType.Float64)).reshape(b, h * w, k);
                codes.AddRange(DenseMatrix.FromTensor(u.mean([1L])).Values);
                var best = u.argmax(1).cpu().data<long>().ToArray();
                for (var crop = 0; crop < b; crop++)
                {
                    peaks.Add([.. Enumerable.Range(0, k).Select(i => best[(crop * k) + i]).Select(p => (((p % w) + 0.5) / w, ((p / w) + 0.5) / h))]);
                }
            }

            return (new DenseMatrix(codes.Count / k, k, [.. codes]), [.. peaks]);
        }

        /// <summary>Activations of the crops of one image after the other; of each only the used ones.</summary>
        private IEnumerable<(int Image, Tensor Activation)> Forward(string layer, int[]? used, Action step, CancellationToken cancellation)
        {
            for (var image = 0; image < Images.Length; image++)
            {
                cancellation.ThrowIfCancellationRequested();
                var own = used?.Where(c => c / Geometry.Count == image).Select(c => (long)(c % Geometry.Count)).ToArray();
                if (own is null or { Length: > 0 })
                {
                    using var scope = NewDisposeScope();
                    using var guard = no_grad();
                    var crops = Geometry.Cut(_images.narrow(0, image, 1));
                    var chosen = own is null ? crops : crops.index_select(0, tensor(own, ScalarType.Int64, crops.device));
                    yield return (image, _network.Forward(chosen, [layer]).Activations[0]);
                }

                step();
            }
        }
    }
}
