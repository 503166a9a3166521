using System.Numerics;

namespace Analysis.Labels;

/// <summary>A concept that labels may be built from.</summary>
/// <param name="Name">For display, for example <c>dog</c> or <c>colour is red</c>.</param>
/// <param name="Source">Where it comes from: <c>class</c>, <c>hierarchy</c>, <c>attribute</c>, <c>user</c> or <c>metadata</c>.</param>
/// <param name="Artefact">True where a network should have no use for it (a watermark, a border, the file's size): neurons that follow it are flagged.</param>
public sealed record LabelConcept(string Name, string Source, bool Artefact = false);

/// <summary>
/// Which samples show which concepts, n×m. Kept twice, since labels are sparse: one bit set a concept, for the masks of
/// formulas, and one list of concepts a sample, so that sums over a mask touch only the concepts that occur in it.
/// Immutable and safe for concurrent use.
/// </summary>
public sealed class LabelMatrix
{
    private readonly ulong[][] _columns;
    private readonly int[] _offsets;
    private readonly int[] _entries;

    private LabelMatrix(int samples, IReadOnlyList<LabelConcept> concepts, ulong[][] columns)
    {
        Samples = samples;
        Concepts = concepts;
        _columns = columns;
        Counts = Array.ConvertAll(columns, c => Count(c));
        var widths = new int[samples + 1];
        foreach (var column in columns)
        {
            foreach (var i in Members(column))
            {
                widths[i + 1]++;
            }
        }

        for (var i = 0; i < samples; i++)
        {
            widths[i + 1] += widths[i];
        }

        _offsets = widths;
        _entries = new int[widths[^1]];
        var next = (int[])widths.Clone();
        for (var j = 0; j < columns.Length; j++)
        {
            foreach (var i in Members(columns[j]))
            {
                _entries[next[i]++] = j;
            }
        }
    }

    /// <summary>Number of samples n.</summary>
    public int Samples { get; }

    /// <summary>The concepts, length m.</summary>
    public IReadOnlyList<LabelConcept> Concepts { get; }

    /// <summary>Samples that show each concept, length m.</summary>
    public IReadOnlyList<int> Counts { get; }

    /// <summary>Words of a bit set over the samples.</summary>
    public int Words => (Samples + 63) / 64;

    /// <summary>Share of entries that are set, in [0, 1].</summary>
    public double Density => Samples == 0 || Concepts.Count == 0 ? 0 : _entries.Length / ((double)Samples * Concepts.Count);

    /// <summary>
    /// Makes a matrix. Concepts that no sample or every sample shows are left out: they separate nothing. Concepts shown by the
    /// very same samples become one, named by all of them.
    /// </summary>
    /// <param name="samples">n.</param>
    /// <param name="columns">Concepts with the samples that show them (length n each).</param>
    public static LabelMatrix Create(int samples, IEnumerable<(LabelConcept Concept, bool[] Shown)> columns)
    {
        var concepts = new List<LabelConcept>();
        var sets = new List<ulong[]>();
        var known = new Dictionary<ulong, List<int>>();
        foreach (var (concept, shown) in columns)
        {
            if (shown.Length != samples)
            {
                throw new ArgumentException($"'{concept.Name}' has {shown.Length} entries for {samples} samples.", nameof(columns));
            }

            var set = Pack(shown);
            var count = Count(set);
            if (count == 0 || count == samples)
            {
                continue;
            }

            var hash = Hash(set);
            var same = known.TryGetValue(hash, out var places) ? places.FirstOrDefault(p => sets[p].AsSpan().SequenceEqual(set), -1) : -1;
            if (same >= 0)
            {
                concepts[same] = concepts[same] with { Name = $"{concepts[same].Name} = {concept.Name}", Artefact = concepts[same].Artefact || concept.Artefact };
                continue;
            }

            (known.TryGetValue(hash, out var list) ? list : known[hash] = []).Add(sets.Count);
            concepts.Add(concept);
            sets.Add(set);
        }

        return new LabelMatrix(samples, concepts, [.. sets]);
    }

    /// <summary>The same concepts on some of the samples, in the given order; every concept is kept, so that formulas keep their meaning.</summary>
    /// <param name="samples">Indices of the samples.</param>
    public LabelMatrix Take(ReadOnlySpan<int> samples)
    {
        var columns = new ulong[_columns.Length][];
        for (var j = 0; j < columns.Length; j++)
        {
            var set = new ulong[(samples.Length + 63) / 64];
            for (var i = 0; i < samples.Length; i++)
            {
                if (Contains(_columns[j], samples[i]))
                {
                    set[i >> 6] |= 1UL << (i & 63);
                }
            }

            columns[j] = set;
        }

        return new LabelMatrix(samples.Length, Concepts, columns);
    }

    /// <summary>Bit set of the samples that show a concept.</summary>
    /// <param name="concept">0-based.</param>
    public ReadOnlySpan<ulong> Column(int concept) => _columns[concept];

    /// <summary>Concepts that a sample shows, ascending.</summary>
    /// <param name="sample">0-based.</param>
    public ReadOnlySpan<int> ConceptsOf(int sample) => _entries.AsSpan(_offsets[sample], _offsets[sample + 1] - _offsets[sample]);

    /// <summary>Number of bits that are set.</summary>
    public static int Count(ReadOnlySpan<ulong> set)
    {
        var count = 0;
        foreach (var word in set)
        {
            count += BitOperations.PopCount(word);
        }

        return count;
    }

    /// <summary>True where a sample's bit is set.</summary>
    public static bool Contains(ReadOnlySpan<ulong> set, int sample) => (set[sample >> 6] & (1UL << (sample & 63))) != 0;

    /// <summary>Indices of the bits that are set, ascending.</summary>
    public static IEnumerable<int> Members(ulong[] set)
    {
        for (var w = 0; w < set.Length; w++)
        {
            for (var word = set[w]; word != 0; word &= word - 1)
            {
                yield return (w << 6) + BitOperations.TrailingZeroCount(word);
            }
        }
    }

    /// <summary>A hash of the bits; equal sets have equal hashes.</summary>
    public static ulong Hash(ReadOnlySpan<ulong> set)
    {
        var hash = 0x9E3779B97F4A7C15UL;
        foreach (var word in set)
        {
            hash = BitOperations.RotateLeft((hash ^ word) * 0xBF58476D1CE4E5B9UL, 29);
        }

        return hash;
    }

    /// <summary>Bits from booleans.</summary>
    public static ulong[] Pack(ReadOnlySpan<bool> shown)
    {
        var set = new ulong[(shown.Length + 63) / 64];
        for (var i = 0; i < shown.Length; i++)
        {
            if (shown[i])
            {
                set[i >> 6] |= 1UL << (i & 63);
            }
        }

        return set;
    }
}
