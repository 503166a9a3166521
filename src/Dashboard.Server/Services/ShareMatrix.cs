using System.Buffers.Binary;
using Dashboard.Client.Contracts;

namespace Dashboard.Server.Services;

/// <summary>How many concepts each two classes share, in the binary form of docs/file-formats.md.</summary>
internal static class ShareMatrix
{
    /// <summary>Counts pairs of classes over the groups of shared concepts and writes them, little-endian.</summary>
    public static byte[] Write(AtlasView atlas)
    {
        // Like classes stand beside each other: blocks on the diagonal are groups, what lies outside them connects groups.
        var order = atlas.Classes.OrderBy(c => c.Group < 0 ? int.MaxValue : c.Group).ThenBy(c => c.Index).Select(c => c.Index).ToArray();
        var place = order.Select((index, at) => (index, at)).ToDictionary(pair => pair.index, pair => pair.at);
        var counts = new Dictionary<int, int>();
        var n = order.Length;
        foreach (var group in atlas.Shared)
        {
            var members = group.Members.Select(member => place.GetValueOrDefault(member.Class, -1)).Where(at => at >= 0).Distinct().Order().ToArray();
            for (var i = 0; i < members.Length; i++)
            {
                for (var j = i + 1; j < members.Length; j++)
                {
                    var pair = checked((members[i] * n) + members[j]);
                    counts[pair] = counts.GetValueOrDefault(pair) + 1;
                }
            }
        }

        var bytes = new byte[16 + (4 * n) + (8 * counts.Count)];
        "CASM"u8.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), 1);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), (uint)n);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), (uint)counts.Count);
        var position = 16;
        foreach (var index in order)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(position), index);
            position += 4;
        }

        foreach (var (pair, count) in counts.OrderBy(entry => entry.Key))
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(position), pair);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(position + 4), count);
            position += 8;
        }

        return bytes;
    }
}
