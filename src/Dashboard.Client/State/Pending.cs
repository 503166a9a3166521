namespace Dashboard.Client.State;

/// <summary>
/// What a person set in a field whose value the address holds. The address answers each change a round trip later: what was set
/// meanwhile is never written over by it.
/// </summary>
/// <param name="value">Before anything was given or set.</param>
public sealed class Pending<T>(T value)
{
    // Set by the person, and not answered yet.
    private readonly List<T> _asked = [];
    private T _given = value;

    /// <summary>What the field shows.</summary>
    public T Value { get; private set; } = value;

    /// <summary>The person has set it.</summary>
    public void Set(T to)
    {
        Value = to;
        _asked.Add(to);
    }

    /// <summary>The address says it: an answer, or another address, by a link or by the browser's back.</summary>
    public void Give(T to)
    {
        if (EqualityComparer<T>.Default.Equals(to, _given))
        {
            return;
        }

        _given = to;
        var answered = _asked.IndexOf(to);
        _asked.RemoveRange(0, answered + 1);
        if (answered < 0)
        {
            _asked.Clear();
            Value = to;
        }
    }
}
