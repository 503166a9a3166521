using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Checks that all methods share, and their parameters.</summary>
public static class FactorizationInput
{
    /// <summary>
    /// Refuses rows that a method cannot factorise: no matrix of real numbers, values that are not finite, negative ones where
    /// the method needs none, too few rows or columns for k. One pass over the rows; nothing is clipped.
    /// </summary>
    /// <param name="rows">A, n×p.</param>
    /// <param name="options">k and parameters.</param>
    /// <param name="info">What the method needs.</param>
    /// <exception cref="AnalysisException">Names the value and the remedy.</exception>
    public static void Check(Tensor rows, FactorizationOptions options, MethodInfo info)
    {
        if (rows.dim() != 2 || rows.dtype is not (ScalarType.Float32 or ScalarType.Float64))
        {
            throw new ArgumentException($"A matrix of float32 or float64 is expected, not {rows.dtype} of shape ({string.Join(", ", rows.shape)}).", nameof(rows));
        }

        var (n, p, k) = (rows.shape[0], rows.shape[1], options.Components);
        if (n == 0 || p == 0)
        {
            throw new AnalysisException($"There are no activations to find concepts in ({n} rows of {p} columns).", "Choose a class that has images.");
        }

        if (k < 1)
        {
            throw new AnalysisException($"{k} concepts cannot be found.", "Ask for at least 1.");
        }

        if (!info.AllowsOvercomplete && k > Math.Min(n, p))
        {
            throw new AnalysisException(
                $"{info.Title} cannot find {k} concepts in {n} rows of {p} columns.",
                $"Ask for at most {Math.Min(n, p)} concepts, or give more rows.");
        }

        foreach (var name in options.Parameters.Keys)
        {
            options.Value(info, name);
        }

        using var scope = torch.NewDisposeScope();
        var (least, most) = rows.detach().aminmax();
        var (low, high) = (least.to(ScalarType.Float64).item<double>(), most.to(ScalarType.Float64).item<double>());
        if (!double.IsFinite(low) || !double.IsFinite(high))
        {
            throw new AnalysisException(
                "The activations contain values that are not finite.", "Check the weights and the normalisation, or choose an earlier layer.");
        }

        if (info.NeedsNonNegative && low < 0)
        {
            throw new AnalysisException(
                string.Create(CultureInfo.InvariantCulture, $"{info.Title} needs activations of at least 0; the smallest here is {low:G4}."),
                "Choose a layer after a ReLU, or a method for signed activations such as semi-nmf.");
        }

        if (low == 0 && high == 0)
        {
            throw new AnalysisException("All activations of the layer are zero.", "Choose another layer.");
        }
    }

    /// <summary>The value of a method's parameter: the given one, or its default.</summary>
    /// <param name="options">Given values.</param>
    /// <param name="info">The method.</param>
    /// <param name="name">One of <see cref="MethodInfo.Parameters"/>.</param>
    /// <exception cref="AnalysisException">The method has no such parameter, or the value is out of its range.</exception>
    public static double Value(this FactorizationOptions options, MethodInfo info, string name)
    {
        var parameter = info.Parameters.FirstOrDefault(p => p.Name == name) ?? throw new AnalysisException(
            $"{info.Title} has no parameter '{name}'.",
            info.Parameters.Count == 0 ? "Leave it out." : $"Choose one of: {string.Join(", ", info.Parameters.Select(p => p.Name))}.");
        var value = options.Parameters.TryGetValue(name, out var given) ? given : parameter.Default;
        return value >= parameter.Minimum && value <= parameter.Maximum
            ? value
            : throw new AnalysisException(
                string.Create(CultureInfo.InvariantCulture, $"{value} is no value for '{name}' of {info.Title}."),
                string.Create(CultureInfo.InvariantCulture, $"Give {parameter.Minimum} to {parameter.Maximum}."));
    }

    /// <summary>A tensor of a restored state, on which the caller's result will depend.</summary>
    /// <param name="state">Tensors by name.</param>
    /// <param name="name">Wanted.</param>
    /// <exception cref="AnalysisException">It is not there.</exception>
    public static Tensor Required(this IReadOnlyDictionary<string, Tensor> state, string name) =>
        state.TryGetValue(name, out var tensor)
            ? tensor
            : throw new AnalysisException($"The stored factors hold no '{name}'.", "Run the analysis again.");
}
