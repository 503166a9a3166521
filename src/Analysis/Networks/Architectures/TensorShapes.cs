using Analysis.Networks.Files;

namespace Analysis.Networks.Architectures;

/// <summary>Names and shapes of a weights file, asked by the architectures.</summary>
internal sealed class TensorShapes(IReadOnlyDictionary<string, TensorHeader> headers)
{
    private const int MaxBlocks = 400;

    /// <summary>All names.</summary>
    public IEnumerable<string> Names => headers.Keys;

    /// <summary>True where a tensor has this name.</summary>
    public bool Has(string name) => headers.ContainsKey(name);

    /// <summary>Size of a dimension, or the default where the tensor is missing, has no such dimension, or the size is out of bounds.</summary>
    public int Size(string name, int dimension, int otherwise, int largest) =>
        headers.TryGetValue(name, out var header) && header.Shape.Count > dimension
        && header.Shape[dimension] >= 1 && header.Shape[dimension] <= largest
            ? (int)header.Shape[dimension]
            : otherwise;

    /// <summary>Number of blocks that the names <c>layer{stage}.{block}.…</c> speak of: the largest block index plus one.</summary>
    public int Blocks(int stage) => Count($"layer{stage}.");

    /// <summary>Largest number that follows a prefix and stands before a dot, plus one.</summary>
    public int Count(string prefix)
    {
        var blocks = 0;
        foreach (var name in headers.Keys)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal)
                && name.IndexOf('.', prefix.Length) is > 0 and var dot
                && int.TryParse(name.AsSpan(prefix.Length, dot - prefix.Length), out var block)
                && block is >= 0 and < MaxBlocks)
            {
                blocks = Math.Max(blocks, block + 1);
            }
        }

        return blocks;
    }
}
