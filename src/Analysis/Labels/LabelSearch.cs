using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Labels;

/// <summary>How formulas are searched.</summary>
public sealed record LabelSearchOptions
{
    /// <summary>Most literals in a formula, 1 to 5.</summary>
    public int MaximumLength { get; init; } = 3;

    /// <summary>Formulas kept after each length, 1 to 10.</summary>
    public int Beam { get; init; } = 3;

    /// <summary>Smallest share of samples that may fulfil a formula, inclusive.</summary>
    public double MinimumFraction { get; init; } = 0.002;

    /// <summary>Largest share of samples that may fulfil a formula, inclusive.</summary>
    public double MaximumFraction { get; init; } = 0.5;

    /// <summary>Fewest samples that may fulfil a formula; with a handful of them an AUC of 1 comes by chance.</summary>
    public int MinimumSupport { get; init; } = 1;

    /// <summary>Search for what the neuron is low on (the smallest AUC) instead of what it is high on.</summary>
    public bool Negative { get; init; }

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="AnalysisException">A value is out of range; names it.</exception>
    public void Validate()
    {
        if (MaximumLength is < 1 or > 5)
        {
            throw new AnalysisException($"Formulas of up to {MaximumLength} concepts were asked for.", "Choose 1 to 5.");
        }

        if (Beam is < 1 or > 10)
        {
            throw new AnalysisException($"A beam of {Beam} formulas was asked for.", "Choose 1 to 10.");
        }

        if (!(MinimumFraction >= 0 && MinimumFraction < MaximumFraction && MaximumFraction <= 1))
        {
            throw new AnalysisException(
                FormattableString.Invariant($"Formulas that hold for {MinimumFraction} to {MaximumFraction} of the samples were asked for."), "Choose shares with 0 ≤ smallest < largest ≤ 1.");
        }
    }
}

/// <summary>A formula and how well the activation separates the samples that fulfil it from the rest.</summary>
/// <param name="Formula">The formula.</param>
/// <param name="Auc">Area under the ROC curve, ties counted ½.</param>
/// <param name="Support">Samples that fulfil it.</param>
public sealed record ScoredFormula(Formula Formula, double Auc, int Support);

/// <summary>
/// Finds the boolean formula of concepts that an activation separates best (INVERT: Bykov et al. 2023, arXiv 2311.13594,
/// section 3.2), exactly as a beam search that tries every literal with every formula of the beam would, without evaluating
/// the formulas: the AUC of "formula AND/OR concept" follows from two sums, the number and the rank sum of the samples that
/// fulfil both. For sparse labels the sums run over the concepts of the samples in the formula's mask, in whole numbers; for
/// dense labels and on a GPU they are matrix products in float64, of many neurons at once. Both are exact and agree.
/// A truth table holds one place in the beam. Equal AUCs: the shorter formula, then the larger support, then the earlier one.
/// </summary>
/// <param name="labels">Labels of the samples.</param>
/// <param name="options">Length, beam, bounds.</param>
public sealed class LabelSearch(LabelMatrix labels, LabelSearchOptions options)
{
    /// <summary>Density of labels from which matrix products are quicker than sums over lists.</summary>
    public const double DenseFrom = 0.2;

    private const int NeuronBlock = 32;
    private const int SampleBlock = 8192;

    /// <summary>Searches for many neurons.</summary>
    /// <param name="neurons">Number of neurons Q.</param>
    /// <param name="activation">Activations of a neuron on the n samples; called once for each, from several threads.</param>
    /// <param name="parallel">Neurons at the same time.</param>
    /// <param name="progress">Called with the number of neurons done, by one thread at a time.</param>
    /// <param name="cancellation">Honoured between neurons.</param>
    /// <returns>For each neuron the beam after each length, best first; no lengths for a constant neuron.</returns>
    /// <exception cref="AnalysisException">An activation is NaN.</exception>
    public IReadOnlyList<IReadOnlyList<ScoredFormula>>[] Search(
        int neurons, Func<int, double[]> activation, int parallel = 1, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        options.Validate();
        if (labels.Density >= DenseFrom)
        {
            return SearchDense(neurons, activation, CPU, progress, cancellation);
        }

        var result = new IReadOnlyList<IReadOnlyList<ScoredFormula>>[neurons];
        var done = 0;
        Lock gate = new();
        Parallel.For(
            0,
            neurons,
            new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, parallel), CancellationToken = cancellation },
            () => new Sums(labels.Concepts.Count),
            (q, _, sums) =>
            {
                result[q] = One(activation(q), sums);
                lock (gate)
                {
                    progress?.Invoke(++done);
                }

                return sums;
            },
            _ => { });
        return result;
    }

    /// <summary>The same by matrix products.</summary>
    /// <param name="neurons">Number of neurons Q.</param>
    /// <param name="activation">Activations of a neuron on the n samples.</param>
    /// <param name="device">Where the products are computed.</param>
    /// <param name="progress">Called with the number of neurons done.</param>
    /// <param name="cancellation">Honoured between blocks.</param>
    public IReadOnlyList<IReadOnlyList<ScoredFormula>>[] SearchDense(
        int neurons, Func<int, double[]> activation, Device device, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        options.Validate();
        using var guard = no_grad();
        using var shown = LabelsOn(device);
        var result = new IReadOnlyList<IReadOnlyList<ScoredFormula>>[neurons];
        for (var first = 0; first < neurons; first += NeuronBlock)
        {
            var states = Enumerable.Range(first, Math.Min(NeuronBlock, neurons - first)).Select(q => new State(labels, options, RanksOf(activation(q)))).ToArray();
            for (var length = 1; length <= options.MaximumLength; length++)
            {
                cancellation.ThrowIfCancellationRequested();
                var work = states.SelectMany(s => s.Pending.Select(p => (State: s, Mask: p))).ToArray();
                var sums = Products(shown, work, device, cancellation);
                var next = 0;
                foreach (var state in states)
                {
                    state.Advance([.. state.Pending.Select(_ => sums[next++])]);
                }
            }

            for (var i = 0; i < states.Length; i++)
            {
                result[first + i] = states[i].Beams;
            }

            progress?.Invoke(first + states.Length);
        }

        return result;
    }

    /// <summary>The search for one activation.</summary>
    /// <param name="activation">Length n, no NaN.</param>
    /// <returns>The beam after each length, best first; no lengths for a constant activation.</returns>
    public IReadOnlyList<IReadOnlyList<ScoredFormula>> Search(double[] activation) => Search(1, _ => activation)[0];

    private IReadOnlyList<IReadOnlyList<ScoredFormula>> One(double[] activation, Sums sums)
    {
        var state = new State(labels, options, RanksOf(activation));
        for (var length = 1; length <= options.MaximumLength; length++)
        {
            state.Advance([.. state.Pending.Select(mask => Accumulate(mask, state, sums))]);
        }

        return state.Beams;
    }

    /// <summary>Twice the average ranks, which are whole numbers; null where all are equal.</summary>
    private long[]? RanksOf(double[] activation)
    {
        if (activation.Length != labels.Samples)
        {
            throw new ArgumentException($"{activation.Length} activations for {labels.Samples} samples.", nameof(activation));
        }

        if (Array.Exists(activation, double.IsNaN))
        {
            throw new AnalysisException("An activation is not a number.", "Check the network's weights and the layer.");
        }

        return activation.Length == 0 || Array.TrueForAll(activation, a => a == activation[0]) ? null : Array.ConvertAll(Ranks.Average(activation), r => (long)(2 * r));
    }

    /// <summary>Number and rank sum of the samples that fulfil a mask and show a concept, for every concept.</summary>
    private PairSums Accumulate(ulong[]? mask, State state, Sums sums)
    {
        var m = labels.Concepts.Count;
        var (counts, ranks) = (new int[m], new long[m]);
        if (mask is null)
        {
            for (var i = 0; i < labels.Samples; i++)
            {
                foreach (var j in labels.ConceptsOf(i))
                {
                    ranks[j] += state.Ranks![i];
                }
            }

            for (var j = 0; j < m; j++)
            {
                counts[j] = labels.Counts[j];
            }

            return new PairSums(counts, ranks);
        }

        // The smaller side of the mask is walked; the other follows from the totals.
        var inverse = LabelMatrix.Count(mask) > labels.Samples / 2;
        sums.Clear();
        for (var w = 0; w < mask.Length; w++)
        {
            var word = inverse ? ~mask[w] : mask[w];
            if (w == mask.Length - 1 && labels.Samples % 64 is var rest and > 0)
            {
                word &= (1UL << rest) - 1;
            }

            for (; word != 0; word &= word - 1)
            {
                var i = (w << 6) + System.Numerics.BitOperations.TrailingZeroCount(word);
                var rank = state.Ranks![i];
                foreach (var j in labels.ConceptsOf(i))
                {
                    sums.Counts[j]++;
                    sums.Ranks[j] += rank;
                }
            }
        }

        for (var j = 0; j < m; j++)
        {
            counts[j] = inverse ? labels.Counts[j] - sums.Counts[j] : sums.Counts[j];
            ranks[j] = inverse ? state.Totals![j] - sums.Ranks[j] : sums.Ranks[j];
        }

        return new PairSums(counts, ranks);
    }

    /// <summary>n×m on the device, one byte an entry.</summary>
    private Tensor LabelsOn(Device device)
    {
        var bytes = new byte[checked((long)labels.Samples * labels.Concepts.Count)];
        for (var i = 0; i < labels.Samples; i++)
        {
            foreach (var j in labels.ConceptsOf(i))
            {
                bytes[((long)i * labels.Concepts.Count) + j] = 1;
            }
        }

        using var host = tensor(bytes, [labels.Samples, labels.Concepts.Count], ScalarType.Byte);
        return host.to(device).alias();
    }

    private PairSums[] Products(Tensor shown, (State State, ulong[]? Mask)[] work, Device device, CancellationToken cancellation)
    {
        if (work.Length == 0)
        {
            return [];
        }

        using var outer = NewDisposeScope();
        var m = labels.Concepts.Count;
        var counts = zeros([work.Length, m], ScalarType.Float64, device);
        var ranks = zeros([work.Length, m], ScalarType.Float64, device);
        for (var start = 0; start < labels.Samples; start += SampleBlock)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var size = Math.Min(SampleBlock, labels.Samples - start);
            var (inside, ranked) = (new double[work.Length * size], new double[work.Length * size]);
            for (var b = 0; b < work.Length; b++)
            {
                var (state, mask) = work[b];
                for (var i = 0; i < size; i++)
                {
                    if (mask is null || LabelMatrix.Contains(mask, start + i))
                    {
                        inside[(b * size) + i] = 1;
                        ranked[(b * size) + i] = state.Ranks![start + i];
                    }
                }
            }

            var part = shown.narrow(0, start, size).to(ScalarType.Float64);
            counts.add_(tensor(inside, [work.Length, size], ScalarType.Float64, device).mm(part), Scalars.One);
            ranks.add_(tensor(ranked, [work.Length, size], ScalarType.Float64, device).mm(part), Scalars.One);
        }

        var (count, rank) = (DenseMatrix.FromTensor(counts), DenseMatrix.FromTensor(ranks));
        return [.. work.Select((_, b) => new PairSums(Array.ConvertAll(count.Row(b).ToArray(), v => (int)v), Array.ConvertAll(rank.Row(b).ToArray(), v => (long)v)))];
    }

    /// <summary>Number and doubled rank sum of the samples that fulfil a formula and show each concept.</summary>
    private sealed record PairSums(int[] Counts, long[] Ranks);

    /// <summary>Buffers of one thread.</summary>
    private sealed class Sums(int concepts)
    {
        public int[] Counts { get; } = new int[concepts];

        public long[] Ranks { get; } = new long[concepts];

        public void Clear()
        {
            Array.Clear(Counts);
            Array.Clear(Ranks);
        }
    }

    /// <summary>The search of one neuron between two lengths.</summary>
    private sealed class State
    {
        private readonly LabelMatrix _labels;
        private readonly LabelSearchOptions _options;
        private readonly List<IReadOnlyList<ScoredFormula>> _beams = [];
        private readonly long _totalRank;
        private List<Entry> _beam = [];

        public State(LabelMatrix labels, LabelSearchOptions options, long[]? ranks)
        {
            _labels = labels;
            _options = options;
            Ranks = ranks;
            _totalRank = (long)labels.Samples * (labels.Samples + 1);
        }

        /// <summary>Doubled average ranks; null for a constant neuron.</summary>
        public long[]? Ranks { get; }

        /// <summary>Doubled rank sum of each concept, known after the first length.</summary>
        public long[]? Totals { get; private set; }

        public IReadOnlyList<IReadOnlyList<ScoredFormula>> Beams => _beams;

        /// <summary>Masks whose sums the next step needs; null stands for "all samples".</summary>
        public IReadOnlyList<ulong[]?> Pending => Ranks is null ? [] : Totals is null ? [null] : [.. _beam.Select(e => e.Mask)];

        /// <summary>Makes the next beam.</summary>
        public void Advance(IReadOnlyList<PairSums> sums)
        {
            if (Ranks is null)
            {
                return;
            }

            var candidates = new List<Candidate>();
            if (Totals is null)
            {
                Totals = sums[0].Ranks;
                for (var j = 0; j < Totals.Length; j++)
                {
                    Add(candidates, -1, j, false, Connective.And, _labels.Counts[j], Totals[j], 1);
                    Add(candidates, -1, j, true, Connective.And, _labels.Samples - _labels.Counts[j], _totalRank - Totals[j], 1);
                }
            }
            else
            {
                for (var b = 0; b < _beam.Count; b++)
                {
                    Extend(candidates, b, sums[b]);
                }
            }

            _beam = Best(candidates);
            _beams.Add([.. _beam.Select(e => e.Scored)]);
        }

        private void Extend(List<Candidate> candidates, int b, PairSums sums)
        {
            var (count, rank, length) = (_beam[b].Scored.Support, _beam[b].RankSum, _beam[b].Scored.Formula.Length + 1);
            for (var j = 0; j < sums.Counts.Length; j++)
            {
                var (both, bothRank) = (sums.Counts[j], sums.Ranks[j]);
                var (c, r) = (_labels.Counts[j], Totals![j]);
                Add(candidates, b, j, false, Connective.And, both, bothRank, length);
                Add(candidates, b, j, true, Connective.And, count - both, rank - bothRank, length);
                Add(candidates, b, j, false, Connective.Or, count + c - both, rank + r - bothRank, length);
                Add(candidates, b, j, true, Connective.Or, _labels.Samples - c + both, _totalRank - r + bothRank, length);
            }
        }

        private void Add(List<Candidate> candidates, int parent, int concept, bool negated, Connective connective, int count, long rank, int length)
        {
            var n = _labels.Samples;
            if (count < Math.Max(1, _options.MinimumSupport) || count >= n || count < _options.MinimumFraction * n || count > _options.MaximumFraction * n)
            {
                return;
            }

            var auc = ((rank / 2.0) - (count * (count + 1.0) / 2)) / ((double)count * (n - count));
            candidates.Add(new Candidate(_options.Negative ? 1 - auc : auc, auc, length, count, rank, parent, new Literal(concept, negated), connective, candidates.Count));
        }

        /// <summary>The best of the last beam and the new candidates, one for each truth table.</summary>
        private List<Entry> Best(List<Candidate> candidates)
        {
            // Formulas of the last beam compete with the longer ones that they grew into.
            var old = _beam.Select((e, b) => new Candidate(
                _options.Negative ? 1 - e.Scored.Auc : e.Scored.Auc, e.Scored.Auc, e.Scored.Formula.Length, e.Scored.Support, e.RankSum, b, null, Connective.And, b - _beam.Count));
            candidates.AddRange(old);
            // Most often a few dozen suffice; many equal truth tables may need more.
            for (var few = Math.Min(candidates.Count, 16 * _options.Beam); ; few = candidates.Count)
            {
                var best = new List<Entry>(_options.Beam);
                foreach (var candidate in Top(candidates, few))
                {
                    var entry = Make(candidate);
                    if (!best.Any(e => e.Hash == entry.Hash && e.Mask.AsSpan().SequenceEqual(entry.Mask)))
                    {
                        best.Add(entry);
                        if (best.Count == _options.Beam)
                        {
                            return best;
                        }
                    }
                }

                if (few == candidates.Count)
                {
                    return best;
                }
            }
        }

        private static IEnumerable<Candidate> Top(List<Candidate> candidates, int few)
        {
            if (few == candidates.Count)
            {
                return candidates.Order();
            }

            // Keeps the few best in a heap whose root is the worst of them.
            var heap = new PriorityQueue<Candidate, Candidate>(few + 1, Comparer<Candidate>.Create((a, b) => b.CompareTo(a)));
            foreach (var candidate in candidates)
            {
                if (heap.Count < few)
                {
                    heap.Enqueue(candidate, candidate);
                }
                else if (candidate.CompareTo(heap.Peek()) < 0)
                {
                    heap.EnqueueDequeue(candidate, candidate);
                }
            }

            return heap.UnorderedItems.Select(i => i.Element).Order();
        }

        private Entry Make(Candidate candidate)
        {
            if (candidate.Literal is not { } literal)
            {
                return _beam[candidate.Parent];
            }

            var mask = candidate.Parent < 0 ? new ulong[_labels.Words] : (ulong[])_beam[candidate.Parent].Mask.Clone();
            Formula.Join(_labels, mask, literal, candidate.Parent < 0 ? null : candidate.Connective);
            var formula = candidate.Parent < 0 ? new Formula(literal) : _beam[candidate.Parent].Scored.Formula.With(candidate.Connective, literal);
            return new Entry(new ScoredFormula(formula, candidate.Auc, candidate.Count), candidate.RankSum, mask, LabelMatrix.Hash(mask));
        }

        private sealed record Entry(ScoredFormula Scored, long RankSum, ulong[] Mask, ulong Hash);

        private readonly record struct Candidate(
            double Score, double Auc, int Length, int Count, long RankSum, int Parent, Literal? Literal, Connective Connective, int Order) : IComparable<Candidate>
        {
            /// <summary>Best first.</summary>
            public int CompareTo(Candidate other)
            {
                var c = other.Score.CompareTo(Score);
                c = c != 0 ? c : Length.CompareTo(other.Length);
                c = c != 0 ? c : other.Count.CompareTo(Count);
                return c != 0 ? c : Order.CompareTo(other.Order);
            }
        }
    }
}
