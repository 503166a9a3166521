using TorchSharp;

// The one place where numbers are made.
#pragma warning disable RS0030

namespace Analysis.Numerics;

/// <summary>
/// Numbers for tensor operations. TorchSharp holds a number in native memory that its finaliser frees, and does not keep it
/// alive while an operation reads it: a collection at the wrong moment fails the operation or changes its result. Here each
/// thread keeps its last numbers, and frees the oldest when a new one needs its place.
/// </summary>
public static class Scalars
{
    private const int Kept = 256;

    [ThreadStatic]
    private static Scalar?[]? _ring;

    [ThreadStatic]
    private static int _next;

    /// <summary>1 as a whole number, for the factor of sums and differences; lives as long as the process.</summary>
    public static Scalar One { get; } = (Scalar)1L;

    /// <summary>A floating-point number; safe for the operation that it is made for.</summary>
    public static Scalar Of(double value) => Keep((Scalar)value);

    /// <summary>A single-precision number.</summary>
    public static Scalar Of(float value) => Keep((Scalar)value);

    /// <summary>A whole number.</summary>
    public static Scalar Of(long value) => Keep((Scalar)value);

    /// <summary>A whole number.</summary>
    public static Scalar Of(int value) => Keep((Scalar)value);

    /// <summary>A truth value.</summary>
    public static Scalar Of(bool value) => Keep((Scalar)value);

    private static Scalar Keep(Scalar value)
    {
        var ring = _ring ??= new Scalar?[Kept];
        ring[_next]?.Dispose();
        ring[_next] = value;
        _next = (_next + 1) % Kept;
        return value;
    }
}
