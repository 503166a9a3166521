using Analysis.Numerics;

namespace Analysis.Concepts;

/// <summary>Two concepts of different classes that point almost the same way.</summary>
/// <param name="First">Row of the first.</param>
/// <param name="Second">Row of the second, larger.</param>
/// <param name="Cosine">Cosine of the two vectors.</param>
public sealed record ConceptPair(int First, int Second, double Cosine);

/// <summary>Finds concepts that classes share.</summary>
public static class ConceptMatching
{
    /// <summary>Pairs of concepts of different classes at or above a cosine, most similar first.</summary>
    /// <param name="vectors">k×C, all classes.</param>
    /// <param name="classes">Class of each row.</param>
    /// <param name="threshold">0.9 for "the same concept"; 0.6 for "similar".</param>
    public static IReadOnlyList<ConceptPair> Pairs(DenseMatrix vectors, IReadOnlyList<int> classes, double threshold = 0.9)
    {
        var unit = Normalize(vectors);
        var pairs = new List<ConceptPair>();
        for (var i = 0; i < unit.Rows; i++)
        {
            for (var j = i + 1; j < unit.Rows; j++)
            {
                if (classes[i] != classes[j])
                {
                    var cosine = Vectors.Dot(unit.Row(i), unit.Row(j));
                    if (cosine >= threshold)
                    {
                        pairs.Add(new ConceptPair(i, j, Math.Min(1, cosine)));
                    }
                }
            }
        }

        pairs.Sort((a, b) => (b.Cosine, a.First, a.Second).CompareTo((a.Cosine, b.First, b.Second)));
        return pairs;
    }

    /// <summary>
    /// Numbers the groups of concepts that different classes share. Groups grow from the most similar pair on, and two merge
    /// only while every pair across classes in the result reaches the threshold, so a chain of small steps does not join
    /// concepts that differ.
    /// </summary>
    /// <param name="vectors">k×C, all classes.</param>
    /// <param name="classes">Class of each row.</param>
    /// <param name="threshold">Least cosine.</param>
    /// <returns>Number of the group of each row, by first appearance; null where the concept is its class's own.</returns>
    public static int?[] Groups(DenseMatrix vectors, IReadOnlyList<int> classes, double threshold = 0.9)
    {
        var unit = Normalize(vectors);
        var group = Enumerable.Range(0, vectors.Rows).ToArray();
        var members = group.ToDictionary(i => i, i => new List<int> { i });
        foreach (var pair in Pairs(vectors, classes, threshold))
        {
            var a = group[pair.First];
            var b = group[pair.Second];
            if (a == b || !members[a].All(i => members[b].All(j => Vectors.Dot(unit.Row(i), unit.Row(j)) >= threshold)))
            {
                continue;
            }

            foreach (var j in members[b])
            {
                group[j] = a;
            }

            members[a].AddRange(members[b]);
            members.Remove(b);
        }

        var numbers = new Dictionary<int, int>();
        var result = new int?[vectors.Rows];
        for (var i = 0; i < vectors.Rows; i++)
        {
            if (members[group[i]].Count > 1)
            {
                numbers.TryAdd(group[i], numbers.Count);
                result[i] = numbers[group[i]];
            }
        }

        return result;
    }

    /// <summary>Cosines between all rows of two sets.</summary>
    /// <param name="a">m×C.</param>
    /// <param name="b">n×C.</param>
    /// <returns>m×n; 0 where a row is zero.</returns>
    public static DenseMatrix Cosines(DenseMatrix a, DenseMatrix b)
    {
        var x = Normalize(a);
        var y = Normalize(b);
        var result = new DenseMatrix(a.Rows, b.Rows);
        for (var i = 0; i < a.Rows; i++)
        {
            for (var j = 0; j < b.Rows; j++)
            {
                result[i, j] = Vectors.Dot(x.Row(i), y.Row(j));
            }
        }

        return result;
    }

    /// <summary>Proximity map: classical scaling of 1 − cosine, the same for the same vectors.</summary>
    /// <param name="vectors">k×C.</param>
    /// <returns>k×2.</returns>
    public static DenseMatrix ProximityMap(DenseMatrix vectors)
    {
        var cosine = Cosines(vectors, vectors);
        for (var i = 0; i < cosine.Rows; i++)
        {
            for (var j = 0; j < cosine.Rows; j++)
            {
                cosine[i, j] = i == j ? 0 : Math.Max(0, 1 - cosine[i, j]);
            }
        }

        return ClassicalScaling.Embed(cosine);
    }

    private static DenseMatrix Normalize(DenseMatrix vectors)
    {
        var unit = vectors.Clone();
        for (var i = 0; i < unit.Rows; i++)
        {
            var norm = Vectors.Norm(unit.Row(i));
            Vectors.Scale(unit.Row(i), norm > 0 ? 1 / norm : 0);
        }

        return unit;
    }
}
