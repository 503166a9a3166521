namespace Analysis.Networks;

/// <summary>The sign of a layer's activations.</summary>
public enum ActivationSign
{
    /// <summary>No negative values: the layer ends in a ReLU or ReLU6.</summary>
    NonNegative,

    /// <summary>Values of both signs.</summary>
    Signed,
}

/// <summary>A place in the network where activations can be read.</summary>
/// <param name="Name">The layer's name as in the weights file, for example <c>layer3.1</c>.</param>
/// <param name="Channels">Number of channels C.</param>
/// <param name="Height">Height H of the activation; 1 where it has no spatial extent.</param>
/// <param name="Width">Width W of the activation; 1 where it has no spatial extent.</param>
/// <param name="Sign">Sign of the values.</param>
/// <param name="LinearHead">True where everything after the layer is global average pooling and one linear map, so that importance has a closed form.</param>
/// <param name="Suggested">True for the one layer that is suggested.</param>
/// <param name="Note">Why the layer is suggested, or what to know about it; may be empty.</param>
public sealed record LayerInfo(
    string Name,
    int Channels,
    int Height,
    int Width,
    ActivationSign Sign,
    bool LinearHead,
    bool Suggested = false,
    string Note = "");
