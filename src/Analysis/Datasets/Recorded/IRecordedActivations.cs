using Analysis.Networks;
using static TorchSharp.torch;

namespace Analysis.Datasets.Recorded;

/// <summary>A linear head behind global average pooling: y = W·a + b.</summary>
/// <param name="Outputs">Number of outputs K.</param>
/// <param name="Weight">K×C, row by row.</param>
/// <param name="Bias">Length K.</param>
public sealed record RecordedHead(int Outputs, float[] Weight, float[] Bias);

/// <summary>
/// A data set whose activations were computed elsewhere and come from a file, of any modality. Rows are asked for by index
/// into <see cref="IDataset.Samples"/>; only the rows asked for are read. Safe for concurrent calls.
/// </summary>
public interface IRecordedActivations : IDataset
{
    /// <summary>Name of the layer that the activations come from; "activations" where the file does not say.</summary>
    string LayerName { get; }

    /// <summary>Channels C.</summary>
    int Channels { get; }

    /// <summary>Rows of positions; 1 without spatial extent.</summary>
    int Height { get; }

    /// <summary>Columns of positions, or tokens; 1 without spatial extent.</summary>
    int Width { get; }

    /// <summary>Sign of the values, as seen on rows spread over the file.</summary>
    ActivationSign Sign { get; }

    /// <summary>Number of columns of the recorded logits; 0 where there are none.</summary>
    int LogitColumns { get; }

    /// <summary>Names of the outputs in order; empty where none are named.</summary>
    IReadOnlyList<string> OutputNames { get; }

    /// <summary>The head given with the activations; null where there is none.</summary>
    RecordedHead? Head { get; }

    /// <summary>True where gradients of the predicted output at the layer were recorded.</summary>
    bool HasGradients { get; }

    /// <summary>Activations of samples, n×C×H×W float32 on the CPU; the caller's.</summary>
    Tensor Activations(ReadOnlySpan<int> samples);

    /// <summary>Logits of samples, n×K float32 on the CPU; the caller's. Null where none were recorded.</summary>
    Tensor? Logits(ReadOnlySpan<int> samples);

    /// <summary>Gradients of samples, summed over positions, n×C float32 on the CPU; the caller's. Null where none were recorded.</summary>
    Tensor? Gradients(ReadOnlySpan<int> samples);
}
