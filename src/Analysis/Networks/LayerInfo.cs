namespace Analysis.Networks;

/// <summary>The sign of a layer's activations.</summary>
public enum ActivationSign
{
    /// <summary>No negative values: the layer ends in a ReLU or ReLU6.</summary>
    NonNegative,

    /// <summary>Values of both signs.</summary>
    Signed,
}

/// <summary>Tokens of a transformer as positions: some leading tokens without a place, then the patches row by row.</summary>
/// <param name="Leading">Number of leading tokens, such as the class token.</param>
/// <param name="Height">Rows of patches.</param>
/// <param name="Width">Columns of patches.</param>
public sealed record TokenGrid(int Leading, int Height, int Width);

/// <summary>A place in the network where activations can be read.</summary>
/// <param name="Name">The layer's name as in the weights file, for example <c>layer3.1</c>.</param>
/// <param name="Channels">Number of channels C.</param>
/// <param name="Height">Height H of the activation; 1 where it has no spatial extent.</param>
/// <param name="Width">Width W of the activation; 1 where it has no spatial extent.</param>
/// <param name="Sign">Sign of the values.</param>
/// <param name="LinearHead">True where everything after the layer is global average pooling and one linear map, so that importance has a closed form.</param>
/// <param name="Suggested">True for the one layer that is suggested.</param>
/// <param name="Note">Why the layer is suggested, or what to know about it; may be empty.</param>
/// <param name="Tokens">Where positions are tokens (1 row, a column each): which of them have a place in the image; null otherwise.</param>
public sealed record LayerInfo(
    string Name,
    int Channels,
    int Height,
    int Width,
    ActivationSign Sign,
    bool LinearHead,
    bool Suggested = false,
    string Note = "",
    TokenGrid? Tokens = null);
