using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Components;

/// <summary>A field for search words that the address holds; see <see cref="Pending{T}"/>.</summary>
public sealed partial class SearchBox
{
    private readonly Pending<string> _text = new("");

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
    protected override void OnParametersSet() => _text.Give(Value ?? "");

    private Task SetAsync(string? text)
    {
        _text.Set(text ?? "");
        return ValueChanged.InvokeAsync(_text.Value.Length == 0 ? null : _text.Value);
    }
}
