using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers;

/// <summary>Combines detectors into one score.</summary>
public static class OutlierDetector
{
    private const double Threshold = 0.9;

    /// <summary>Scores every sample.</summary>
    /// <param name="input">What is known of the samples.</param>
    /// <param name="progress">Called with the share done.</param>
    /// <param name="cancellation">Honoured between detectors.</param>
    public static OutlierResult Detect(OutlierInput input, Action<double>? progress, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var probability = DenseMatrix.FromTensor(input.Logits.softmax(1));
        var n = probability.Rows;
        var doubt = new double[n];
        for (var i = 0; i < n; i++)
        {
            doubt[i] = input.Label[i] >= 0 ? 1 - probability[i, input.Label[i]] : 0;
        }

        cancellation.ThrowIfCancellationRequested();
        progress?.Invoke(1);
        var order = Ranks.Descending(doubt);
        var rank = new int[n];
        for (var r = 0; r < n; r++)
        {
            rank[order[r]] = r + 1;
        }

        return new OutlierResult(
            [.. doubt.Select((d, i) => new SampleOutlier(
                d, rank[i], d >= Threshold ? OutlierKind.Mislabelled : OutlierKind.None, d >= Threshold ? "The network is sure of another class." : "", [(float)d]))],
            ["label"]);
    }
}
