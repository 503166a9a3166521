using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// Wrong labels: the network's own probability of the label, after its confidence was brought to a sensible scale, and the
/// classes of the nearest samples in the analysed layer. Neither is enough alone: a weak network is wrong about many
/// well-labelled images, but then their neighbours rarely agree on one other class.
/// </summary>
internal sealed class LabelDetector
{
    /// <summary>Nearest samples asked.</summary>
    public const int Neighbours = 20;

    // The 0.9 at which a label is doubted, as log-odds: the mean of the two kinds of evidence has to be strong.
    private const double Threshold = 2.2;
    private const double LargestEvidence = 9.2;
    private const int RowBlock = 8192;

    private readonly OutlierInput _input;
    private readonly int[] _other;
    private readonly double[] _probabilityOfOther;
    private readonly int[] _agreeing;
    private readonly int[] _own;
    private readonly int[] _asked;
    private readonly int[] _agreedClass;

    private LabelDetector(OutlierInput input)
    {
        var n = input.Class.Count;
        _input = input;
        _other = new int[n];
        _probabilityOfOther = new double[n];
        _agreeing = new int[n];
        _own = new int[n];
        _asked = new int[n];
        _agreedClass = new int[n];
        LogOdds = new double[n];
        Misfit = new double[n];
        Agreement = new double[n];
        Array.Fill(LogOdds, Evidence.Absent);
    }

    /// <summary>Log-odds that the label is wrong; 0 at the threshold.</summary>
    public double[] LogOdds { get; }

    /// <summary>Log-odds of a neighbour being of another class than the sample's; 0 where unknown.</summary>
    public double[] Misfit { get; }

    /// <summary>Log ratio of neighbours of the one other class to neighbours of the own; 0 where unknown.</summary>
    public double[] Agreement { get; }

    /// <param name="input">The samples.</param>
    /// <param name="usable">Samples with finite logits and features.</param>
    /// <param name="neighbours">Nearest samples in the analysed layer, as rows, K per sample.</param>
    /// <param name="k">Neighbours per sample.</param>
    public static LabelDetector Run(OutlierInput input, bool[] usable, int[] neighbours, int k)
    {
        var detector = new LabelDetector(input);
        var doubt = detector.Doubts(usable);
        for (var i = 0; i < usable.Length; i++)
        {
            if (!usable[i] || input.Class[i] < 0)
                continue;
            detector.AskNeighbours(i, neighbours.AsSpan((int)Math.Min((long)i * k, neighbours.Length), k));
            var labelled = input.Label[i] >= 0;
            if (!labelled && k == 0)
                continue;
            var evidence = !labelled ? detector.Agreement[i] - 1
                : k == 0 ? doubt[i]
                : (doubt[i] + detector.Agreement[i]) / 2;
            detector.LogOdds[i] = evidence - Threshold;
        }

        return detector;
    }

    /// <summary>In words why the label is doubted.</summary>
    public string Reason(int row)
    {
        var own = _input.ClassNames[_input.Class[row]];
        var neighbours = _asked[row] == 0 ? ""
            : _agreedClass[row] >= 0 ? $"{_agreeing[row]} of its {_asked[row]} nearest neighbours are filed under {_input.ClassNames[_agreedClass[row]]}"
            : $"{_own[row]} of its {_asked[row]} nearest neighbours share that label";
        if (_input.Label[row] < 0 || _other[row] < 0)
            return $"Filed under {own}, but {neighbours}.";
        var predicted = $"The network sees {OutputName(_other[row])} with {_probabilityOfOther[row]:P0}, labelled {own}".Replace(" %", "%", StringComparison.Ordinal);
        return neighbours.Length > 0 ? $"{predicted}; {neighbours}." : $"{predicted}.";
    }

    /// <summary>Name of an output.</summary>
    public string OutputName(int output) =>
        output < _input.OutputNames.Count ? _input.OutputNames[output] : $"output {output}";

    private void AskNeighbours(int row, ReadOnlySpan<int> neighbours)
    {
        if (neighbours.Length == 0)
        {
            _agreedClass[row] = -1;
            return;
        }

        var own = 0;
        var counts = new Dictionary<int, int>();
        foreach (var near in neighbours)
        {
            if (_input.Class[near] == _input.Class[row])
                own++;
            else if (_input.Class[near] >= 0)
                counts[_input.Class[near]] = counts.GetValueOrDefault(_input.Class[near]) + 1;
        }

        // The class that the network's other answer stands for; without outputs, the neighbours' favourite.
        var favourite = counts.Count == 0 ? (Class: -1, Count: 0) : counts.Select(c => (Class: c.Key, Count: c.Value)).OrderByDescending(c => c.Count).ThenBy(c => c.Class).First();
        if (_input.Label[row] >= 0 && _other[row] >= 0)
        {
            var meant = neighbours.ToArray().Where(near => _input.Label[near] == _other[row]).ToArray();

            // An answer that no neighbour bears out, or that stands for no class here, says little: networks with many outputs
            // often prefer one that the data set lacks.
            favourite = meant.Length > 0 ? (_input.Class[meant[0]], meant.Length) : (-1, 0);
        }

        _own[row] = own;
        _asked[row] = neighbours.Length;
        _agreeing[row] = favourite.Count;
        _agreedClass[row] = favourite.Class;
        Misfit[row] = Math.Log((neighbours.Length - own + 0.5) / (own + 0.5));
        Agreement[row] = Math.Log((favourite.Count + 0.5) / (own + 0.5));
    }

    /// <summary>Log-odds against the label by the network, for labelled samples.</summary>
    private double[] Doubts(bool[] usable)
    {
        var n = usable.Length;
        var doubts = new double[n];
        Array.Fill(_other, -1);
        var labelled = Enumerable.Range(0, n).Where(i => usable[i] && _input.Label[i] >= 0 && _input.Label[i] < _input.Logits.shape[1]).ToArray();
        if (labelled.Length == 0 || _input.Logits.shape[1] < 2)
            return doubts;

        var temperature = Temperature(ReferenceSet.Sample(labelled, ReferenceSet.Largest, _input.Seed));
        for (var start = 0; start < labelled.Length; start += RowBlock)
        {
            using var scope = NewDisposeScope();
            var rows = labelled.AsSpan(start, Math.Min(RowBlock, labelled.Length - start)).ToArray();
            var (logits, label) = Gather(rows);
            var probabilities = nn.functional.softmax(logits / Scalars.Of(temperature), 1);
            var own = probabilities.gather(1, label).squeeze(1).cpu().data<double>().ToArray();
            var (_, at) = probabilities.scatter(1, label, full_like(label, Scalars.Of(-1.0), ScalarType.Float64)).max(1);
            // Doubts are weighed by calibrated probabilities; people are told the one that the network states.
            var bestHost = nn.functional.softmax(logits, 1).gather(1, at.unsqueeze(1)).squeeze(1).cpu().data<double>().ToArray();
            var atHost = at.cpu().data<long>().ToArray();
            for (var i = 0; i < rows.Length; i++)
            {
                _other[rows[i]] = (int)atHost[i];
                _probabilityOfOther[rows[i]] = bestHost[i];
                doubts[rows[i]] = Math.Clamp(Evidence.LogOdds(Math.Clamp(1 - own[i], 1e-6, 1 - 1e-6)), -LargestEvidence, LargestEvidence);
            }
        }

        return doubts;
    }

    /// <summary>
    /// The temperature (Guo et al. 2017) that explains the labels best. A label's loss is capped, so that a few wrong labels do
    /// not make the network look unsure of everything.
    /// </summary>
    private double Temperature(int[] rows)
    {
        using var scope = NewDisposeScope();
        var (logits, label) = Gather(rows);
        var (best, bestLoss) = (1.0, double.PositiveInfinity);
        for (var step = 0; step <= 35; step++)
        {
            using var inner = NewDisposeScope();
            var temperature = 0.25 * Math.Pow(32, step / 35.0);
            var loss = -nn.functional.log_softmax(logits / Scalars.Of(temperature), 1).gather(1, label).clamp_min(Scalars.Of(Math.Log(1e-3))).mean().ToDouble();
            if (loss < bestLoss)
                (best, bestLoss) = (temperature, loss);
        }

        return best;
    }

    private (Tensor Logits, Tensor Label) Gather(int[] rows)
    {
        var index = tensor(rows.Select(i => (long)i).ToArray(), device: _input.Logits.device);
        var label = tensor(rows.Select(i => (long)_input.Label[i]).ToArray(), device: _input.Logits.device).unsqueeze(1);
        return (_input.Logits.index_select(0, index).to(ScalarType.Float64), label);
    }
}
