using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Components;

/// <summary>
/// A field for search words that the address holds. The address answers a letter a round trip later: what was typed meanwhile
/// is never written over by it.
/// </summary>
public sealed partial class SearchBox
{
    private readonly List<string> _asked = [];
    private string _text = "";
    private string _given = "";

    /// <summary>The words of the address; null for none.</summary>
    [Parameter, EditorRequired]
    public string? Value { get; set; }

    /// <summary>The words after each letter; null for none.</summary>
    [Parameter]
    public EventCallback<string?> ValueChanged { get; set; }

    /// <summary>Its name for screen readers.</summary>
    [Parameter, EditorRequired]
    public string Label { get; set; } = "";

    /// <summary>What stands in the empty field.</summary>
    [Parameter, EditorRequired]
    public string Placeholder { get; set; } = "";

    /// <inheritdoc/>
    protected override void OnParametersSet()
    {
        var value = Value ?? "";
        if (value == _given)
        {
            return;
        }

        _given = value;
        var known = _asked.IndexOf(value);
        _asked.RemoveRange(0, known + 1);
        if (known < 0)
        {
            // Another address, by a link or by the browser's back.
            _asked.Clear();
            _text = value;
        }
    }

    private Task SetAsync(string? text)
    {
        _text = text ?? "";
        _asked.Add(_text);
        return ValueChanged.InvokeAsync(_text.Length == 0 ? null : _text);
    }
}
