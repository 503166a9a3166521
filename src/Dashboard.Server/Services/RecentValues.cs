using System.Diagnostics.CodeAnalysis;

namespace Dashboard.Server.Services;

/// <summary>Keeps what was used last while all of it together stays below a size; the newest stays whatever its size. Safe for concurrent use.</summary>
/// <param name="mostBytes">Bytes to keep.</param>
internal sealed class RecentValues(long mostBytes)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<(string Key, object Value, long Bytes)> _values = new();

    /// <summary>Finds a value and makes it the newest.</summary>
    public bool TryGet<T>(string key, [NotNullWhen(true)] out T? value)
        where T : class
    {
        lock (_gate)
        {
            for (var node = _values.First; node is not null; node = node.Next)
            {
                if (node.Value.Key == key)
                {
                    _values.Remove(node);
                    _values.AddFirst(node);
                    value = (T)node.Value.Value;
                    return true;
                }
            }
        }

        value = null;
        return false;
    }

    /// <summary>Keeps a value under a key that has none yet, or replaces it; what was unused for longest goes.</summary>
    public void Add(string key, object value, long bytes)
    {
        lock (_gate)
        {
            for (var node = _values.First; node is not null; node = node.Next)
            {
                if (node.Value.Key == key)
                {
                    _values.Remove(node);
                    break;
                }
            }

            _values.AddFirst((key, value, bytes));
            var sum = _values.Sum(entry => entry.Bytes);
            while (sum > mostBytes && _values.Count > 1)
            {
                sum -= _values.Last!.Value.Bytes;
                _values.RemoveLast();
            }
        }
    }
}
