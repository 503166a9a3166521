namespace Analysis.Probes;

/// <summary>What probes are asked for: the parameters of the task <c>probe</c>, with every default filled in.</summary>
public sealed record ProbeRequest
{
    /// <summary>The concept.</summary>
    public required ConceptDefinition Concept { get; init; }

    /// <summary>Layers to read; empty for all.</summary>
    public IReadOnlyList<string> Layers { get; init; } = [];

    /// <summary><c>l2</c> or <c>l1</c>.</summary>
    public string Penalty { get; init; } = "l2";

    /// <summary>Strength of the penalty beside the mean loss; null to choose one for each layer.</summary>
    public double? Strength { get; init; }

    /// <summary>Number of divisions into fitting and testing, 3 to 20.</summary>
    public int Seeds { get; init; } = 3;

    /// <summary>Seed of the first division; the next have the numbers after it.</summary>
    public int Seed { get; init; }

    /// <summary>Whether both answers count the same in fitting.</summary>
    public bool Balanced { get; init; } = true;

    /// <summary>Whether it is measured on how few neurons the concept can be read.</summary>
    public bool Sparsity { get; init; } = true;

    /// <summary>Whether the influence of the concept's direction on the classes is tested.</summary>
    public bool Tcav { get; init; } = true;

    /// <summary>Layer at which it is tested; null for the location of the concept.</summary>
    public string? TcavLayer { get; init; }
}

/// <summary>Where and how well a concept can be read: <c>result.json</c> of the task <c>probe</c>.</summary>
public sealed record ProbeReport
{
    /// <summary>Version of this text.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>What was asked for.</summary>
    public required ProbeRequest Request { get; init; }

    /// <summary>True where the concept is a number.</summary>
    public required bool Continuous { get; init; }

    /// <summary>Samples of the analysis.</summary>
    public required int Samples { get; init; }

    /// <summary>Samples that show the concept; 0 where it is continuous.</summary>
    public required int Positives { get; init; }

    /// <summary>Samples that do not; 0 where it is continuous.</summary>
    public required int Negatives { get; init; }

    /// <summary>Samples that take no part.</summary>
    public required int LeftOut { get; init; }

    /// <summary>Samples that the probes of the first seed are tested on.</summary>
    public required int HeldOut { get; init; }

    /// <summary>Figure that layers are compared by: <c>balancedAccuracy</c> or <c>r2</c>.</summary>
    public required string Measure { get; init; }

    /// <summary>What is reached without looking: ½ of balanced accuracy, 0 of R².</summary>
    public required double Chance { get; init; }

    /// <summary>Accuracy of always giving the more frequent answer; null where the concept is continuous.</summary>
    public Spread? Majority { get; init; }

    /// <summary>The same figure reached by knowing the class of an image and nothing else; null where the data set has no classes.</summary>
    public Spread? ByClass { get; init; }

    /// <summary>Where the concept is read best.</summary>
    public required ProbeLocation Location { get; init; }

    /// <summary>Layers in the order of the forward pass.</summary>
    public required IReadOnlyList<LayerProbe> Layers { get; init; }

    /// <summary>Influence on the classes; null where not asked for or not possible.</summary>
    public ClassInfluence? Tcav { get; init; }

    /// <summary>Samples on which the probe of the location disagrees most with the labels, and agrees best.</summary>
    public required ProbeExamples Examples { get; init; }

    /// <summary>File with the weights, beside this one.</summary>
    public string Weights { get; init; } = "probes.safetensors";

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>A figure over seeds.</summary>
/// <param name="Mean">Mean.</param>
/// <param name="Deviation">Standard deviation, n − 1 in the denominator.</param>
/// <param name="Values">In the order of seeds.</param>
public sealed record Spread(double Mean, double Deviation, IReadOnlyList<double> Values)
{
    /// <summary>Of some values; null where there is none.</summary>
    public static Spread? Of(IEnumerable<double?> values)
    {
        var known = values.Where(v => v is { } number && double.IsFinite(number)).Select(v => Numerics.Rounding.Significant(v!.Value)).ToList();
        if (known.Count == 0)
        {
            return null;
        }

        var mean = known.Average();
        return new Spread(
            Numerics.Rounding.Significant(mean),
            known.Count < 2 ? 0 : Numerics.Rounding.Significant(Math.Sqrt(known.Sum(v => (v - mean) * (v - mean)) / (known.Count - 1))),
            known);
    }
}

/// <summary>Where a concept is read best.</summary>
/// <param name="Layer">Layer with the best mean score; the analysed one where it has the same activations.</param>
/// <param name="Score">That score.</param>
/// <param name="AsGood">Layers whose mean score is within one deviation of it, in the order of the forward pass, itself among them.</param>
/// <param name="Readable">Whether the score is above chance and the shuffled control by more than two deviations.</param>
public sealed record ProbeLocation(string Layer, double Score, IReadOnlyList<string> AsGood, bool Readable);

/// <summary>Scores of the probes of some seeds.</summary>
public sealed record ProbeFigures
{
    /// <summary>Mean of the shares of right answers on both sides; null where the concept is continuous.</summary>
    public Spread? BalancedAccuracy { get; init; }

    /// <summary>Share of right answers; null where the concept is continuous.</summary>
    public Spread? Accuracy { get; init; }

    /// <summary>Area under the ROC curve; null where the concept is continuous.</summary>
    public Spread? Auc { get; init; }

    /// <summary>R²; null where the concept is yes or no.</summary>
    public Spread? R2 { get; init; }

    /// <summary>The figure that layers are compared by.</summary>
    public Spread? Score => R2 ?? BalancedAccuracy;

    /// <summary>Of probes.</summary>
    public static ProbeFigures Of(IReadOnlyList<ProbeScores> scores) => new()
    {
        BalancedAccuracy = Spread.Of(scores.Select(s => s.BalancedAccuracy)),
        Accuracy = Spread.Of(scores.Select(s => s.Accuracy)),
        Auc = Spread.Of(scores.Select(s => s.Auc)),
        R2 = Spread.Of(scores.Select(s => s.R2)),
    };
}

/// <summary>Probes of a layer.</summary>
public sealed record LayerProbe
{
    /// <summary>Name.</summary>
    public required string Layer { get; init; }

    /// <summary>Channels.</summary>
    public required int Channels { get; init; }

    /// <summary>Channels that vary over the samples.</summary>
    public required int Varying { get; init; }

    /// <summary>Place in the forward pass, from 0.</summary>
    public required int Depth { get; init; }

    /// <summary>Whether it is the layer of the analysis.</summary>
    public required bool Analysed { get; init; }

    /// <summary>Earlier layer with the same pooled activations, from which the figures are taken; null where there is none.</summary>
    public string? SameAs { get; init; }

    /// <summary>True where the probes were fitted to positions inside and outside of marked places, and the figures count positions.</summary>
    public bool Placed { get; init; }

    /// <summary>Where <see cref="Placed"/>: held-out AUC of the same direction on whole images; null elsewhere.</summary>
    public Spread? ImageAuc { get; init; }

    /// <summary>Strength of the penalty.</summary>
    public required double Strength { get; init; }

    /// <summary>Samples that the probes of the first seed were fitted to; fewer than are labelled where more would take too long.</summary>
    public required int FittedOn { get; init; }

    /// <summary>Samples that they were tested on.</summary>
    public required int TestedOn { get; init; }

    /// <summary>On held-out samples.</summary>
    public required ProbeFigures Scores { get; init; }

    /// <summary>On the samples that the probes were fitted to.</summary>
    public required ProbeFigures Fitted { get; init; }

    /// <summary>Of probes fitted to shuffled labels, on held-out samples with shuffled labels.</summary>
    public required ProbeFigures Control { get; init; }

    /// <summary>Score less the control's, by seed.</summary>
    public Spread? Selectivity { get; init; }

    /// <summary>Mean cosine between the directions of two seeds.</summary>
    public required double Agreement { get; init; }

    /// <summary>On how few neurons the concept can be read; null where not asked for.</summary>
    public ProbeSparsity? Sparsity { get; init; }

    /// <summary>Channels with the largest |weight| on standardised activations, mean over seeds, strongest first; at most 10.</summary>
    public required IReadOnlyList<ProbeNeuron> Strongest { get; init; }
}

/// <summary>A channel of a probe.</summary>
/// <param name="Channel">Channel.</param>
/// <param name="Weight">Weight on the standardised activation, mean over seeds.</param>
public sealed record ProbeNeuron(int Channel, double Weight);

/// <summary>On how few neurons a concept can be read (METHODS 4.1).</summary>
/// <param name="NonZeros">Weights that are not zero in the probe with the largest l1 whose held-out score is within 1% of the best of the path.</param>
/// <param name="Path">The path of l1, strongest first, mean over seeds.</param>
/// <param name="Strongest">Probes fitted again to the q strongest neurons only, q = 1, 2, 4, …</param>
public sealed record ProbeSparsity(Spread? NonZeros, IReadOnlyList<SparsityStep> Path, IReadOnlyList<NeuronStep> Strongest);

/// <summary>A step of the l1 path.</summary>
/// <param name="Share">Strength as a share of the smallest that leaves no weight.</param>
/// <param name="NonZeros">Weights that are not zero, mean over seeds.</param>
/// <param name="Score">Held-out score, mean over seeds.</param>
public sealed record SparsityStep(double Share, double NonZeros, double Score);

/// <summary>A probe on a few neurons.</summary>
/// <param name="Neurons">Number q.</param>
/// <param name="Score">Held-out score.</param>
public sealed record NeuronStep(int Neurons, Spread Score);

/// <summary>Influence of the concept's direction on the classes.</summary>
/// <param name="Layer">Layer at which it was tested.</param>
/// <param name="Refits">Probes of the concept, each on another division.</param>
/// <param name="Controls">Probes of shuffled labels.</param>
/// <param name="Classes">In the order of the analysis's classes.</param>
public sealed record ClassInfluence(string Layer, int Refits, int Controls, IReadOnlyList<ClassInfluenceEntry> Classes);

/// <summary>Influence on a class.</summary>
public sealed record ClassInfluenceEntry
{
    /// <summary>Index of the class in the analysis.</summary>
    public required int Class { get; init; }

    /// <summary>Its display name.</summary>
    public required string Name { get; init; }

    /// <summary>Its output of the network.</summary>
    public required int Output { get; init; }

    /// <summary>Images of the class that were looked at.</summary>
    public required int Images { get; init; }

    /// <summary>TCAV score: share of the images whose logit rises along the direction; over refits.</summary>
    public required Spread Score { get; init; }

    /// <summary>The same of the controls.</summary>
    public required Spread Control { get; init; }

    /// <summary>Mean rise of the logit for one standard deviation of the activation along the direction; over refits.</summary>
    public required Spread Derivative { get; init; }

    /// <summary>Two-sided p that refits and controls have the same mean score (Welch's t test); null where neither varies.</summary>
    public double? PScore { get; init; }

    /// <summary>Two-sided p of the mean derivative as one new observation against those of the controls (Student's t).</summary>
    public required double PDerivative { get; init; }

    /// <summary><see cref="PDerivative"/> after Holm's correction over the classes.</summary>
    public required double PCorrected { get; init; }

    /// <summary>Whether that is below 0.05, and at least nine of ten refits agree whether the logit rises or falls.</summary>
    public required bool Significant { get; init; }
}

/// <summary>Held-out samples of the first seed at the concept's location, as rows of samples.</summary>
/// <param name="Positive">Show it, and the probe is surest (continuous: largest answers).</param>
/// <param name="Missed">Show it, and the probe denies it most (continuous: answers that are furthest below).</param>
/// <param name="FalseAlarms">Do not show it, and the probe claims it most (continuous: answers that are furthest above).</param>
public sealed record ProbeExamples(IReadOnlyList<ProbeExample> Positive, IReadOnlyList<ProbeExample> Missed, IReadOnlyList<ProbeExample> FalseAlarms);

/// <summary>A sample with the probe's answer.</summary>
/// <param name="Sample">Row of the sample.</param>
/// <param name="Answer">Probability, or the number where the concept is continuous.</param>
/// <param name="Target">What the label says.</param>
public sealed record ProbeExample(int Sample, double Answer, double Target);
