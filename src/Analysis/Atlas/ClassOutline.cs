using Analysis.Networks.Files;

namespace Analysis.Atlas;

/// <summary>What two analyses of a class are compared by, read where it lies in the class's file: valid until it is disposed.</summary>
public sealed class ClassOutline : IDisposable
{
    private readonly SafetensorsFile _file;
    private readonly string? _values;

    internal ClassOutline(SafetensorsFile file, bool coefficients)
    {
        _file = file;
        var name = coefficients ? "coefficients" : "concept_vectors";
        _values = file.Entries.ContainsKey(name) ? name : null;
        Concepts = file.Span<float>("map_scale").Length;
        var n = Sample.Length;
        if (Predicted.Length != n || Strategy.Length != n || (coefficients && Values.Length != 0 && Values.Length != n * Concepts)
            || (Concepts == 0 ? Values.Length != 0 : Values.Length % Concepts != 0))
        {
            throw new AnalysisException($"The arrays in {file.FileName} do not fit together.", "Resume the analysis to write them again.");
        }
    }

    /// <summary>Number of concepts k.</summary>
    public int Concepts { get; }

    /// <summary>Rows of the images, ascending; length n.</summary>
    public ReadOnlySpan<int> Sample => _file.Span<int>("sample");

    /// <summary>Predicted output of each image.</summary>
    public ReadOnlySpan<int> Predicted => _file.Span<int>("predicted");

    /// <summary>Strategy of each image.</summary>
    public ReadOnlySpan<int> Strategy => _file.Span<int>("strategy");

    /// <summary>Coefficients n×k, or concept vectors k×C, row by row; empty where the file has none.</summary>
    public ReadOnlySpan<float> Values => _values is null ? [] : _file.Span<float>(_values);

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
