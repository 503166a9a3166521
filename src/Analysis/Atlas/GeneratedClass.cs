using System.Text.Json;
using Analysis.Datasets.Sample;
using Analysis.Labels;
using Analysis.Numerics;
using Analysis.Runs;

namespace Analysis.Atlas;

/// <summary>One class of a generated atlas: its files, and what the table of samples needs of it.</summary>
internal sealed class GeneratedClass
{
    private const int Alternatives = 3;
    private const int Bins = 20;
    private const int ImportantFrom = 10;
    private const int LabelBins = 24;
    private static readonly (string Band, int Count)[] Bands = [("top", 8), ("median", 4), ("edge", 4), ("counter", 4)];
    private static readonly string[] Oddities = ["mislabelled", "corrupted", "foreign", "duplicate", "rare"];

    public required int[] Predicted { get; init; }

    public required float[] Confidence { get; init; }

    public required float[] Logit { get; init; }

    public required int[] Strategy { get; init; }

    public required float[] Layout { get; init; }

    public required float[] Score { get; init; }

    public required string[] Kind { get; init; }

    /// <summary>Places of its concepts on the map of all, by rank.</summary>
    public required float[] Places { get; init; }

    public required double Accuracy { get; init; }

    /// <summary>Draws the numbers of a class and writes its two files.</summary>
    public static GeneratedClass Write(string folder, GeneratedWorld world, int index, string[] names)
    {
        var (n, k) = (world.Options.Samples, world.Options.Concepts);
        var random = new SplitMix64(GeneratedWorld.Mix(world.Options.Seed, index));
        var concepts = Draw(world, index, ref random);
        var strategies = 1 + random.NextInt(4);
        var profiles = Profiles(strategies, k, ref random);
        var skill = 0.5 + (0.5 * Math.Sqrt(random.NextDouble()));
        var confused = Enumerable.Range(1, Alternatives).Select(step => (index + (step * SampleClasses.Shapes.Count)) % names.Length).ToArray();
        var made = new GeneratedClass
        {
            Predicted = new int[n],
            Confidence = new float[n],
            Logit = new float[n],
            Strategy = new int[n],
            Layout = new float[2 * n],
            Score = new float[n],
            Kind = new string[n],
            Places = new float[2 * k],
            Accuracy = skill,
        };
        var shares = new double[n * k];
        for (var i = 0; i < n; i++)
        {
            // The first strategy is the largest.
            var strategy = Math.Min(strategies - 1, (int)(strategies * Math.Pow(random.NextDouble(), 1.7)));
            made.Strategy[i] = strategy;
            for (var c = 0; c < k; c++)
            {
                var mean = profiles[(strategy * k) + c];
                shares[(i * k) + c] = mean + (((0.3 * Math.Abs(mean)) + 0.004) * random.NextNormal());
            }

            var right = random.NextDouble() < skill;
            made.Predicted[i] = right || names.Length == 1 ? index : confused[random.NextInt(Alternatives)];
            made.Confidence[i] = (float)(right ? 0.6 + (0.4 * random.NextDouble()) : 0.3 + (0.4 * random.NextDouble()));
            made.Logit[i] = (float)Math.Max(1, 9 + (2.5 * random.NextNormal()));
            Oddness(made, i, index, ref random);
        }

        LargestFirst(made.Strategy);
        var order = Enumerable.Range(0, k).OrderByDescending(c => Mean(shares, n, k, c)).ToArray();
        var arrays = Arrays(made, index, shares, order, confused, ref random);
        var (coefficients, reliability) = Coefficients(arrays, n, k, ref random);
        var vectors = new float[k * GeneratedWorld.Channels];
        for (var rank = 0; rank < k; rank++)
        {
            var concept = concepts[order[rank]];
            concept.Vector.CopyTo(vectors, rank * GeneratedWorld.Channels);
            (made.Places[2 * rank], made.Places[(2 * rank) + 1]) = ((float)concept.X, (float)concept.Y);
        }

        ClassArraysFile.Write(ClassArraysFile.PathOf(folder, index), arrays, coefficients, vectors, new float[n]);
        var atlas = Atlas(made, world, index, names, arrays, coefficients, reliability, vectors, [.. order.Select(c => concepts[c].Shared)], confused, ref random);
        AtomicFile.WriteText(ClassArraysFile.AtlasPathOf(folder, index), JsonSerializer.Serialize(atlas, AnalysisJson.Line));
        return made;
    }

    /// <summary>Labels of the class's concepts.</summary>
    public static IEnumerable<LabelEntry> Labels(GeneratedWorld world, int index, Dictionary<string, int> places)
    {
        var (n, k) = (world.Options.Samples, world.Options.Concepts);
        var random = new SplitMix64(GeneratedWorld.Mix(world.Options.Seed ^ 0x4C41, index));
        var shown = GeneratedDataset.AttributesOf(index);
        string[] words = [shown.Shape, shown.Texture, shown.Colour, shown.Background];
        var units = new List<LabelEntry>(k);
        for (var rank = 0; rank < k; rank++)
        {
            var first = random.NextInt(words.Length);
            var second = (first + 1 + random.NextInt(words.Length - 1)) % words.Length;
            var pair = random.NextDouble() < 0.6;
            var auc = 0.55 + (0.44 * Math.Sqrt(random.NextDouble()));
            var centre = (int)(auc * LabelBins);
            units.Add(new LabelEntry
            {
                Kind = "concept",
                Index = rank,
                Concept = (index * k) + rank,
                Class = index,
                ClassName = GeneratedDataset.NameOf(index),
                Label = pair ? $"{words[first]} AND {words[second]}" : words[first],
                Literals = pair ? [new(places[words[first]], false, false), new(places[words[second]], false, false)] : [new(places[words[first]], false, false)],
                Auc = auc,
                HeldOutAuc = auc,
                Support = n,
                Log10P = -300 * (auc - 0.5),
                Log10Corrected = Math.Min(0, (-300 * (auc - 0.5)) + 5),
                Significant = auc > 0.56,
                Inside = [.. Enumerable.Range(0, LabelBins).Select(bin => (int)(n * Math.Exp(-(bin - centre) * (bin - centre) / 18.0) / 7.5))],
                Outside = [.. Enumerable.Range(0, LabelBins).Select(bin => (int)(n * Math.Exp(-(bin - 7) * (bin - 7) / 18.0) / 7.5))],
                From = 0,
                To = 1,
                Fitting = [.. Enumerable.Range(0, 6).Select(at => (index * n) + ((at * 7) % n))],
                Surplus = [.. Enumerable.Range(0, 6).Select(at => (((index + 1) % world.Options.Classes) * n) + ((at * 7) % n))],
                Missing = [.. Enumerable.Range(0, 6).Select(at => (index * n) + (((at * 7) + 3) % n))],
            });
        }

        return units;
    }

    private static (float[] Vector, double X, double Y, int? Shared)[] Draw(GeneratedWorld world, int index, ref SplitMix64 random)
    {
        var group = GeneratedWorld.GroupOf(index);
        var (x, y) = GeneratedWorld.CentreOf(group);
        (x, y) = (x + (2.6 * random.NextNormal()), y + (2.6 * random.NextNormal()));
        var own = GeneratedWorld.Near(world.Groups[group], ref random);
        var taken = new HashSet<int>();
        var concepts = new (float[] Vector, double X, double Y, int? Shared)[world.Options.Concepts];
        for (var c = 0; c < concepts.Length; c++)
        {
            var draw = random.NextDouble();
            // A few concepts are used across groups.
            var from = draw < 0.03 ? random.NextInt(SampleClasses.Shapes.Count) : group;
            if (draw < 0.3 && taken.Count < 12 && GeneratedWorld.SharedOf(from, ref random) is var number && taken.Add(number))
            {
                var shared = world.Shared[number];
                concepts[c] = (GeneratedWorld.Near(shared.Vector, ref random, 0.12), shared.X + (0.15 * random.NextNormal()), shared.Y + (0.15 * random.NextNormal()), number);
            }
            else
            {
                concepts[c] = (GeneratedWorld.Near(own, ref random), x + (0.8 * random.NextNormal()), y + (0.8 * random.NextNormal()), null);
            }
        }

        return concepts;
    }

    /// <summary>Mean share of each concept in each strategy; the positive ones add up to less than 1, the rest stays unexplained.</summary>
    private static double[] Profiles(int strategies, int concepts, ref SplitMix64 random)
    {
        var decay = 0.55 + (0.37 * random.NextDouble());
        var profiles = new double[strategies * concepts];
        for (var s = 0; s < strategies; s++)
        {
            var sum = 0.0;
            for (var c = 0; c < concepts; c++)
            {
                var weight = Math.Pow(decay, c) * (0.3 + (1.4 * random.NextDouble()));
                weight = c > concepts - 3 ? -0.3 * weight : weight;
                profiles[(s * concepts) + c] = weight;
                sum += Math.Abs(weight);
            }

            for (var c = 0; c < concepts; c++)
            {
                profiles[(s * concepts) + c] *= 0.88 / sum;
            }
        }

        return profiles;
    }

    private static void Oddness(GeneratedClass made, int i, int index, ref SplitMix64 random)
    {
        var draw = random.NextDouble();
        var marked = index % 17 == 3 && random.NextDouble() < 0.06;
        made.Kind[i] = marked ? "confounded" : draw < 0.012 ? Oddities[random.NextInt(Oddities.Length)] : "";
        made.Score[i] = (float)(made.Kind[i].Length > 0 ? 0.6 + (0.4 * random.NextDouble()) : 0.5 * draw * draw);
    }

    private static ClassArrays Arrays(GeneratedClass made, int index, double[] shares, int[] order, int[] confused, ref SplitMix64 random)
    {
        var (n, k) = (made.Logit.Length, order.Length);
        var contributions = new float[n * (k + 1)];
        var against = new float[n * (k + 1)];
        var strongest = new int[n];
        var runnerUp = new int[n];
        for (var i = 0; i < n; i++)
        {
            var rest = (double)made.Logit[i];
            var most = 0.0;
            strongest[i] = -1;
            for (var rank = 0; rank < k; rank++)
            {
                var value = shares[(i * k) + order[rank]] * made.Logit[i];
                contributions[(i * (k + 1)) + rank] = (float)value;
                against[(i * (k + 1)) + rank] = (float)(value * (0.5 * random.NextDouble()));
                rest -= value;
                if (value > most)
                {
                    (most, strongest[i]) = (value, rank);
                }
            }

            contributions[(i * (k + 1)) + k] = (float)rest;
            against[(i * (k + 1)) + k] = (float)(rest * random.NextDouble());
            runnerUp[i] = made.Predicted[i] != index ? made.Predicted[i] : confused[random.NextInt(Alternatives)];
            var around = (2 * Math.PI * made.Strategy[i] / 4) + 0.6;
            var towards = 2 * Math.PI * Math.Max(0, strongest[i]) / 6;
            made.Layout[2 * i] = (float)((6 * Math.Cos(around)) + (1.6 * Math.Cos(towards)) + (0.8 * random.NextNormal()));
            made.Layout[(2 * i) + 1] = (float)((6 * Math.Sin(around)) + (1.6 * Math.Sin(towards)) + (0.8 * random.NextNormal()));
        }

        return new ClassArrays
        {
            Sample = [.. Enumerable.Range(index * n, n)],
            Layout = made.Layout,
            Strategy = made.Strategy,
            Strongest = strongest,
            Predicted = made.Predicted,
            Target = [.. Enumerable.Repeat(index, n)],
            RunnerUp = runnerUp,
            Concepts = k,
            Contributions = contributions,
            Against = against,
            MapHeight = 0,
            MapWidth = 0,
            MapScale = new float[k],
            Maps = default,
        };
    }

    private static (float[] Coefficients, double[] Reliability) Coefficients(ClassArrays arrays, int n, int k, ref SplitMix64 random)
    {
        var reliability = new double[k];
        for (var rank = 0; rank < k; rank++)
        {
            reliability[rank] = 0.5 + random.NextDouble();
        }

        var coefficients = new float[n * k];
        for (var i = 0; i < n; i++)
        {
            for (var rank = 0; rank < k; rank++)
            {
                coefficients[(i * k) + rank] = (float)Math.Max(0, arrays.Contributions[(i * (k + 1)) + rank] / reliability[rank]);
            }
        }

        return (coefficients, reliability);
    }

    private static ClassAtlas Atlas(
        GeneratedClass made, GeneratedWorld world, int index, string[] names, ClassArrays arrays, float[] coefficients, double[] reliability, float[] vectors,
        int?[] shared, int[] confused, ref SplitMix64 random)
    {
        var (n, k) = (made.Logit.Length, world.Options.Concepts);
        var first = index * n;
        var entries = new List<ConceptEntry>(k);
        var unexplained = 1.0;
        for (var rank = 0; rank < k; rank++)
        {
            var column = Enumerable.Range(0, n).Select(i => (double)coefficients[(i * k) + rank]).ToArray();
            var share = Enumerable.Range(0, n).Select(i => arrays.Contributions[(i * (k + 1)) + rank] / (double)made.Logit[i]).ToArray();
            var mean = share.Average();
            unexplained -= mean;
            var (low, high) = (column.Min(), column.Max());
            var histogram = new int[Bins];
            foreach (var value in column)
            {
                histogram[high > low ? Math.Min(Bins - 1, (int)((value - low) / (high - low) * Bins)) : 0]++;
            }

            var vector = vectors.AsSpan(rank * GeneratedWorld.Channels, GeneratedWorld.Channels);
            var (channel, fourth) = (0, 0.0);
            for (var c = 0; c < vector.Length; c++)
            {
                channel = vector[c] > vector[channel] ? c : channel;
                fourth += Math.Pow(vector[c], 4);
            }

            entries.Add(new ConceptEntry
            {
                Id = (index * k) + rank,
                Rank = rank,
                Shared = shared[rank],
                Importance = mean,
                ImportanceSpread = Math.Sqrt(share.Average(s => (s - mean) * (s - mean))),
                Prevalence = column.Average(),
                ActiveShare = column.Count(static value => value > 0) / (double)n,
                Reliability = reliability[rank],
                Relevance = 2 + (8 * random.NextDouble()),
                Stability = 0.5 + (0.5 * random.NextDouble()),
                Spread = 1 / fourth,
                Channel = channel,
                ChannelCosine = vector[channel],
                StrongestFor = arrays.Strongest.Count(s => s == rank),
                X = random.NextNormal(),
                Y = random.NextNormal(),
                Alignment = [new(index, names[index], 0.5 + (0.3 * random.NextDouble())), .. confused.Select((output, at) => new ClassAlignment(output, names[output], 0.4 - (0.1 * at)))],
                Exemplars = Exemplars(column, first, ref random),
                Histogram = histogram,
                HistogramFrom = low,
                HistogramTo = high,
            });
        }

        var important = entries.Where(static e => e.StrongestFor >= ImportantFrom).Select(static e => e.Rank).ToHashSet();
        return new ClassAtlas
        {
            Class = index,
            Name = GeneratedDataset.FolderOf(index),
            DisplayName = names[index],
            Label = index,
            Accuracy = made.Predicted.Count(p => p == index) / (double)n,
            Concepts = entries,
            UnexplainedShare = unexplained,
            Strategies = Strategies(made, arrays, index, first, k),
            Embedding = "generated points",
            LeftOut = arrays.Strongest.Count(s => !important.Contains(s)),
            ImportantFrom = ImportantFrom,
            Confusions = [.. made.Predicted.Where(p => p != index).CountBy(static p => p).OrderByDescending(static p => p.Value).ThenBy(static p => p.Key).Select(p => new Confusion(p.Key, names[p.Key], p.Value))],
            Notes = [GeneratedAtlas.Notice],
        };
    }

    private static List<Exemplar> Exemplars(double[] column, int first, ref SplitMix64 random)
    {
        var order = Enumerable.Range(0, column.Length).OrderByDescending(i => column[i]).ThenBy(static i => i).ToArray();
        var (left, top) = (Math.Round(0.55 * random.NextDouble(), 2), Math.Round(0.55 * random.NextDouble(), 2));
        var exemplars = new List<Exemplar>();
        foreach (var (band, count) in Bands)
        {
            var from = band switch { "top" => 0, "median" => order.Length / 2, "edge" => order.Length * 9 / 10, _ => order.Length - count };
            foreach (var i in order.Skip(Math.Max(0, from)).Take(count))
            {
                exemplars.Add(new Exemplar(first + i, column[i], left, top, 0.45, 0.45, band));
            }
        }

        return exemplars;
    }

    private static List<StrategyEntry> Strategies(GeneratedClass made, ClassArrays arrays, int index, int first, int k)
    {
        var entries = new List<StrategyEntry>();
        var groups = Enumerable.Range(0, made.Strategy.Length).GroupBy(i => made.Strategy[i]).OrderBy(static g => g.Key).ToList();
        foreach (var group in groups)
        {
            int[] members = [.. group];
            var profile = Enumerable.Range(0, k).Select(c => members.Average(i => arrays.Contributions[(i * (k + 1)) + c] / (double)made.Logit[i])).ToArray();
            var near = members.OrderBy(i => Enumerable.Range(0, k).Sum(c => Math.Pow((arrays.Contributions[(i * (k + 1)) + c] / made.Logit[i]) - profile[c], 2))).ToArray();
            var top = Array.IndexOf(profile, profile.Max());
            entries.Add(new StrategyEntry(
                entries.Count, members.Length, members.Count(i => made.Predicted[i] == index) / (double)members.Length, first + near[0], profile, FormattableString.Invariant($"mainly c{top} ({100 * profile[top]:0}%)"))
            {
                Typical = [.. near.Take(24).Select(i => first + i)],
                Borderline = groups.Count > 1 ? [.. near.TakeLast(12).Select(i => first + i)] : [],
                BorderlineNext = groups.Count > 1 ? [.. Enumerable.Repeat((entries.Count + 1) % groups.Count, Math.Min(12, near.Length))] : [],
            });
        }

        return entries;
    }

    private static void LargestFirst(int[] strategies)
    {
        var renumbered = strategies.CountBy(static s => s).OrderByDescending(static s => s.Value).ThenBy(static s => s.Key).Select(static (s, at) => (s.Key, at)).ToDictionary();
        for (var i = 0; i < strategies.Length; i++)
        {
            strategies[i] = renumbered[strategies[i]];
        }
    }

    private static double Mean(double[] shares, int n, int k, int concept)
    {
        var sum = 0.0;
        for (var i = 0; i < n; i++)
        {
            sum += shares[(i * k) + concept];
        }

        return sum / n;
    }
}
