using System.Numerics;

namespace Dashboard.Server.Services;

/// <summary>The concept vectors of all ready classes, with unit length, for likeness between concepts.</summary>
internal sealed class ConceptBank
{
    private readonly Dictionary<int, int> _rowOf;
    private readonly float[] _vectors;
    private readonly int _channels;

    private ConceptBank(IReadOnlyList<int> ids, float[] vectors, int channels)
    {
        Ids = ids;
        _vectors = vectors;
        _channels = channels;
        _rowOf = ids.Select((id, row) => (id, row)).ToDictionary(pair => pair.id, pair => pair.row);
    }

    /// <summary>Concept identifiers, one a row.</summary>
    public IReadOnlyList<int> Ids { get; }

    /// <summary>Collects vectors; classes whose vectors have another length than the first are left out.</summary>
    /// <param name="classes">For each class the identifiers of its concepts by rank, and its vectors (k×C row by row).</param>
    public static ConceptBank From(IEnumerable<(IReadOnlyList<int> Ids, float[] Vectors)> classes)
    {
        var ids = new List<int>();
        var parts = new List<float[]>();
        var channels = 0;
        foreach (var (classIds, vectors) in classes)
        {
            if (classIds.Count == 0 || vectors.Length == 0 || vectors.Length % classIds.Count != 0)
            {
                continue;
            }

            var width = vectors.Length / classIds.Count;
            channels = channels == 0 ? width : channels;
            if (width != channels)
            {
                continue;
            }

            var unit = new float[vectors.Length];
            for (var rank = 0; rank < classIds.Count; rank++)
            {
                var vector = vectors.AsSpan(rank * width, width);
                var norm = Math.Sqrt(Dot(vector, vector));
                ids.Add(classIds[rank]);
                for (var c = 0; c < width; c++)
                {
                    unit[(rank * width) + c] = norm > 0 ? (float)(vector[c] / norm) : 0;
                }
            }

            parts.Add(unit);
        }

        var values = new float[parts.Sum(part => part.Length)];
        var at = 0;
        foreach (var part in parts)
        {
            part.CopyTo(values, at);
            at += part.Length;
        }

        return new ConceptBank(ids, values, channels);
    }

    /// <summary>Cosine of two concepts in [−1, 1]; null where one has no vector.</summary>
    public double? Cosine(int first, int second) =>
        _rowOf.TryGetValue(first, out var a) && _rowOf.TryGetValue(second, out var b) ? Dot(Row(a), Row(b)) : null;

    /// <summary>Cosine of two concepts of two banks in [−1, 1]; null where one has no vector or the lengths differ.</summary>
    public static double? Cosine(ConceptBank firstBank, int first, ConceptBank secondBank, int second) =>
        firstBank._channels == secondBank._channels && firstBank._rowOf.TryGetValue(first, out var a) && secondBank._rowOf.TryGetValue(second, out var b)
            ? Dot(firstBank.Row(a), secondBank.Row(b))
            : null;

    /// <summary>The channels most like a concept, by the size of the cosine, which is the component of the unit vector.</summary>
    public IReadOnlyList<(int Channel, double Cosine)> Channels(int id, int count) => !_rowOf.TryGetValue(id, out var row)
        ? []
        : [.. Row(row).ToArray().Select((value, channel) => (channel, (double)value)).Where(pair => pair.Item2 != 0)
            .OrderByDescending(pair => Math.Abs(pair.Item2)).ThenBy(pair => pair.channel).Take(count)];

    /// <summary>The concepts most like one, best first, itself left out.</summary>
    public IReadOnlyList<(int Id, double Cosine)> Nearest(int id, int count) => !_rowOf.TryGetValue(id, out var row)
        ? []
        : [.. Enumerable.Range(0, Ids.Count).Where(other => other != row)
            .Select(other => (Id: Ids[other], Cosine: Dot(Row(row), Row(other))))
            .OrderByDescending(pair => pair.Cosine).ThenBy(pair => pair.Id).Take(count)];

    /// <summary>
    /// The first two principal components of the centred unit vectors, by orthogonal iteration from a fixed start:
    /// O(60·K·C). x and y interleaved, one pair a row.
    /// </summary>
    public float[] Plane()
    {
        var rows = Ids.Count;
        var points = new float[2 * rows];
        if (rows < 2 || _channels < 2)
        {
            return points;
        }

        var mean = new double[_channels];
        for (var row = 0; row < rows; row++)
        {
            for (var c = 0; c < _channels; c++)
            {
                mean[c] += _vectors[(row * _channels) + c] / (double)rows;
            }
        }

        var axes = new double[2][];
        for (var axis = 0; axis < 2; axis++)
        {
            axes[axis] = [.. Enumerable.Range(0, _channels).Select(c => Math.Cos(((axis * 7.3) + 1.7) * (c + 1)))];
        }

        Span<double> score = stackalloc double[2];
        for (var round = 0; round < 60; round++)
        {
            var next = new[] { new double[_channels], new double[_channels] };
            for (var row = 0; row < rows; row++)
            {
                Project(row, mean, axes, score);
                for (var c = 0; c < _channels; c++)
                {
                    var value = _vectors[(row * _channels) + c] - mean[c];
                    next[0][c] += score[0] * value;
                    next[1][c] += score[1] * value;
                }
            }

            Normalise(next[0]);
            var overlap = next[0].Zip(next[1], (a, b) => a * b).Sum();
            for (var c = 0; c < _channels; c++)
            {
                next[1][c] -= overlap * next[0][c];
            }

            Normalise(next[1]);
            axes = next;
        }

        for (var row = 0; row < rows; row++)
        {
            Project(row, mean, axes, score);
            (points[2 * row], points[(2 * row) + 1]) = ((float)score[0], (float)score[1]);
        }

        return points;
    }

    /// <summary>Mean unit vector of some concepts, scaled to unit length; zero where none has a vector.</summary>
    public float[] Mean(IEnumerable<(int Id, double Weight)> concepts)
    {
        var sum = new double[_channels];
        foreach (var (id, weight) in concepts)
        {
            if (_rowOf.TryGetValue(id, out var row))
            {
                var vector = Row(row);
                for (var c = 0; c < sum.Length; c++)
                {
                    sum[c] += weight * vector[c];
                }
            }
        }

        Normalise(sum);
        return [.. sum.Select(value => (float)value)];
    }

    private void Project(int row, double[] mean, double[][] axes, Span<double> score)
    {
        score.Clear();
        for (var c = 0; c < _channels; c++)
        {
            var value = _vectors[(row * _channels) + c] - mean[c];
            score[0] += value * axes[0][c];
            score[1] += value * axes[1][c];
        }
    }

    private static void Normalise(double[] vector)
    {
        var norm = Math.Sqrt(vector.Sum(value => value * value));
        for (var c = 0; c < vector.Length && norm > 0; c++)
        {
            vector[c] /= norm;
        }
    }

    private ReadOnlySpan<float> Row(int row) => _vectors.AsSpan(row * _channels, _channels);

    internal static double Dot(ReadOnlySpan<float> first, ReadOnlySpan<float> second)
    {
        // Products in single precision, sums in double: cosines are exact to 1e-7, and a bank of 50,000 is searched at once.
        var sums = Vector<double>.Zero;
        var c = 0;
        for (; c <= first.Length - Vector<float>.Count; c += Vector<float>.Count)
        {
            Vector.Widen(new Vector<float>(first[c..]) * new Vector<float>(second[c..]), out var low, out var high);
            sums += low + high;
        }

        var sum = Vector.Sum(sums);
        for (; c < first.Length; c++)
        {
            sum += (double)first[c] * second[c];
        }

        return sum;
    }
}
