using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Analysis.Numerics;

/// <summary>Arithmetic on eight float32 side by side, in a form that can be compiled ahead of time.</summary>
internal static class Lanes8
{
    /// <summary>a·b + c; rounded once where the processor can.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Fma.IsSupported ? Fma.MultiplyAdd(a, b, c) : (a * b) + c;

    /// <summary>
    /// x to the power b = 2^(b log₂ x) by polynomials for the logarithm of the mantissa (error below 1.5e-5) and for the fraction of
    /// the exponent (below 4e-6): about 2e-5 of the value. Meaningless where x is not positive.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Power(Vector256<float> x, float b)
    {
        var bits = x.AsInt32();
        var whole = Vector256.ConvertToSingle((bits >> 23) - Vector256.Create(127));
        var m = ((bits & Vector256.Create(0x007FFFFF)) | Vector256.Create(0x3F800000)).AsSingle() - Vector256.Create(1f);
        var logarithm = MultiplyAdd(m, Vector256.Create(0.0439286278f), Vector256.Create(-0.189832447f));
        logarithm = MultiplyAdd(m, logarithm, Vector256.Create(0.411561482f));
        logarithm = MultiplyAdd(m, logarithm, Vector256.Create(-0.707253434f));
        logarithm = MultiplyAdd(m, logarithm, Vector256.Create(1.44159208f));
        logarithm = MultiplyAdd(m, logarithm, Vector256.Create(1.43909300e-05f) + whole);
        var exponent = Vector256.Min(Vector256.Max(logarithm * Vector256.Create(b), Vector256.Create(-126f)), Vector256.Create(126f));
        var floor = Vector256.Floor(exponent);
        var f = exponent - floor;
        var value = MultiplyAdd(f, Vector256.Create(0.01368398f), Vector256.Create(0.05171774f));
        value = MultiplyAdd(f, value, Vector256.Create(0.24162132f));
        value = MultiplyAdd(f, value, Vector256.Create(0.69296955f));
        value = MultiplyAdd(f, value, Vector256.Create(1.0000036f));
        return value * ((Vector256.ConvertToInt32(floor) + Vector256.Create(127)) << 23).AsSingle();
    }
}
