using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Analysis.Networks.Files;

/// <summary>Shows safetensors entries as plain headers without copying the dictionary.</summary>
internal sealed class HeaderView(Dictionary<string, SafetensorsEntry> entries) : IReadOnlyDictionary<string, TensorHeader>
{
    public IEnumerable<string> Keys => entries.Keys;

    public IEnumerable<TensorHeader> Values => entries.Values;

    public int Count => entries.Count;

    public TensorHeader this[string key] => entries[key];

    public bool ContainsKey(string key) => entries.ContainsKey(key);

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out TensorHeader value)
    {
        var found = entries.TryGetValue(key, out var entry);
        value = entry;
        return found;
    }

    public IEnumerator<KeyValuePair<string, TensorHeader>> GetEnumerator() =>
        entries.Select(e => KeyValuePair.Create(e.Key, (TensorHeader)e.Value)).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
