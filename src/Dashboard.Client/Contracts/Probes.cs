using System.Text.Json;

namespace Dashboard.Client.Contracts;

/// <summary>Where and how well a concept can be read, as the task <c>probe</c> writes it (docs/file-formats.md).</summary>
public sealed record ProbeView
{
    /// <summary>Kind of the task.</summary>
    public const string TaskKind = "probe";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    /// <summary>True where the concept is a number.</summary>
    public bool Continuous { get; init; }

    /// <summary>Samples that show the concept; 0 where it is continuous.</summary>
    public int Positives { get; init; }

    /// <summary>Samples that do not; 0 where it is continuous.</summary>
    public int Negatives { get; init; }

    /// <summary>Samples that take no part.</summary>
    public int LeftOut { get; init; }

    /// <summary>Samples that the probes of the first seed are tested on.</summary>
    public int HeldOut { get; init; }

    /// <summary>Figure that layers are compared by: <c>balancedAccuracy</c> or <c>r2</c>.</summary>
    public string Measure { get; init; } = "balancedAccuracy";

    /// <summary>What is reached without looking: ½ of balanced accuracy, 0 of R².</summary>
    public double Chance { get; init; }

    /// <summary>Accuracy of always giving the more frequent answer; null where the concept is continuous.</summary>
    public SpreadView? Majority { get; init; }

    /// <summary>Where the concept is read best.</summary>
    public ProbeLocationView Location { get; init; } = new("", double.NaN, [], false);

    /// <summary>Layers in the order of the forward pass.</summary>
    public IReadOnlyList<LayerProbeView> Layers { get; init; } = [];

    /// <summary>Influence on the classes; null where not asked for or not possible.</summary>
    public ClassInfluenceView? Tcav { get; init; }

    /// <summary>Samples on which the probe of the location agrees and disagrees most with the labels.</summary>
    public ProbeExamplesView Examples { get; init; } = new([], [], []);

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The layer of a name; null where there is none.</summary>
    public LayerProbeView? Layer(string? name) => Layers.FirstOrDefault(l => l.Layer == name);

    /// <summary>Whether the probes of any layer were fitted to marked places.</summary>
    public bool OfPlaces => Layers.Any(l => l.Placed);

    /// <summary>Reads a result; null where it is none.</summary>
    public static ProbeView? Parse(string? json)
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize<ProbeView>(json, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>A figure over seeds.</summary>
/// <param name="Mean">Mean.</param>
/// <param name="Deviation">Standard deviation.</param>
/// <param name="Values">In the order of seeds.</param>
public sealed record SpreadView(double Mean, double Deviation, IReadOnlyList<double> Values);

/// <summary>Where a concept is read best.</summary>
/// <param name="Layer">Layer with the best mean score.</param>
/// <param name="Score">That score.</param>
/// <param name="AsGood">Layers within one deviation of it, itself among them.</param>
/// <param name="Readable">Whether the score is above chance and the shuffled control by more than two deviations.</param>
public sealed record ProbeLocationView(string Layer, double Score, IReadOnlyList<string> AsGood, bool Readable);

/// <summary>Scores of the probes of some seeds.</summary>
/// <param name="BalancedAccuracy">Mean of the shares of right answers on both sides.</param>
/// <param name="Accuracy">Share of right answers.</param>
/// <param name="Auc">Area under the ROC curve.</param>
/// <param name="R2">R² of a concept of numbers.</param>
public sealed record ProbeFiguresView(SpreadView? BalancedAccuracy, SpreadView? Accuracy, SpreadView? Auc, SpreadView? R2)
{
    /// <summary>A figure by its name; null where it does not apply.</summary>
    public SpreadView? Of(string figure) => figure switch { "accuracy" => Accuracy, "auc" => Auc, "r2" => R2, _ => BalancedAccuracy };
}

/// <summary>Probes of a layer.</summary>
public sealed record LayerProbeView
{
    /// <summary>Name.</summary>
    public string Layer { get; init; } = "";

    /// <summary>Channels.</summary>
    public int Channels { get; init; }

    /// <summary>Whether it is the layer of the analysis.</summary>
    public bool Analysed { get; init; }

    /// <summary>Whether the probes were fitted to positions inside and outside of marked places, and the figures count positions.</summary>
    public bool Placed { get; init; }

    /// <summary>Where <see cref="Placed"/>, the held-out AUC of the same direction on whole images; null elsewhere.</summary>
    public SpreadView? ImageAuc { get; init; }

    /// <summary>On held-out samples.</summary>
    public ProbeFiguresView Scores { get; init; } = new(null, null, null, null);

    /// <summary>On the samples that the probes were fitted to.</summary>
    public ProbeFiguresView Fitted { get; init; } = new(null, null, null, null);

    /// <summary>Of probes of shuffled labels.</summary>
    public ProbeFiguresView Control { get; init; } = new(null, null, null, null);

    /// <summary>Mean cosine between the directions of two seeds.</summary>
    public double Agreement { get; init; }

    /// <summary>On how few neurons the concept can be read; null where not asked for.</summary>
    public ProbeSparsityView? Sparsity { get; init; }

    /// <summary>Channels with the largest weights, strongest first.</summary>
    public IReadOnlyList<ProbeNeuronView> Strongest { get; init; } = [];
}

/// <summary>A channel of a probe.</summary>
/// <param name="Channel">Channel.</param>
/// <param name="Weight">Weight on the standardised activation.</param>
public sealed record ProbeNeuronView(int Channel, double Weight);

/// <summary>On how few neurons a concept can be read.</summary>
/// <param name="NonZeros">Weights of the sparsest probe that is nearly as good as the best.</param>
/// <param name="Strongest">Probes on the q strongest neurons only.</param>
public sealed record ProbeSparsityView(SpreadView? NonZeros, IReadOnlyList<NeuronStepView> Strongest);

/// <summary>A probe on a few neurons.</summary>
/// <param name="Neurons">Number.</param>
/// <param name="Score">Held-out score.</param>
public sealed record NeuronStepView(int Neurons, SpreadView Score);

/// <summary>Influence of the concept's direction on the classes.</summary>
/// <param name="Layer">Layer at which it was tested.</param>
/// <param name="Refits">Probes of the concept.</param>
/// <param name="Controls">Probes of shuffled labels.</param>
/// <param name="Classes">In the order of the analysis's classes.</param>
public sealed record ClassInfluenceView(string Layer, int Refits, int Controls, IReadOnlyList<ClassInfluenceRow> Classes);

/// <summary>Influence on a class.</summary>
/// <param name="Class">Index of the class.</param>
/// <param name="Name">Display name.</param>
/// <param name="Images">Images that were looked at.</param>
/// <param name="Score">TCAV score.</param>
/// <param name="Control">The same of the controls.</param>
/// <param name="Derivative">Mean rise of the logit for one standard deviation along the direction.</param>
/// <param name="PCorrected">p of the derivative, corrected over the classes.</param>
/// <param name="Significant">Whether that is below 0.05.</param>
public sealed record ClassInfluenceRow(int Class, string Name, int Images, SpreadView Score, SpreadView Control, SpreadView Derivative, double PCorrected, bool Significant);

/// <summary>Held-out samples at the concept's location.</summary>
/// <param name="Positive">Show it, and the probe is surest.</param>
/// <param name="Missed">Show it, and the probe denies it most.</param>
/// <param name="FalseAlarms">Do not show it, and the probe claims it most.</param>
public sealed record ProbeExamplesView(IReadOnlyList<ProbeExampleView> Positive, IReadOnlyList<ProbeExampleView> Missed, IReadOnlyList<ProbeExampleView> FalseAlarms);

/// <summary>A sample with the probe's answer.</summary>
/// <param name="Sample">Row.</param>
/// <param name="Answer">Probability, or the number.</param>
/// <param name="Target">What the label says.</param>
public sealed record ProbeExampleView(int Sample, double Answer, double Target);
