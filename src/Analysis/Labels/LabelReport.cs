using System.Text.Json.Serialization;
using Analysis.Probes;

namespace Analysis.Labels;

/// <summary>What labels are asked for: the parameters of the task <c>label</c>, with every default filled in.</summary>
public sealed record LabelRequest
{
    /// <summary>Where concepts come from: any of <c>classes</c>, <c>hierarchy</c>, <c>attributes</c>, <c>metadata</c>, <c>concepts</c>.</summary>
    public IReadOnlyList<string> Sources { get; init; } = ["classes", "hierarchy", "attributes", "metadata"];

    /// <summary>What is labelled: <c>all</c>, <c>neurons</c> (channels of the layer) or <c>concepts</c> (concept vectors of the analysis).</summary>
    public string Units { get; init; } = "all";

    /// <summary>Most concepts in a formula, 1 to 5.</summary>
    public int Length { get; init; } = 3;

    /// <summary>Formulas kept after each length, 1 to 10.</summary>
    public int Beam { get; init; } = 3;

    /// <summary>Smallest share of samples that may fulfil a formula.</summary>
    public double MinimumFraction { get; init; } = 0.002;

    /// <summary>Largest share of samples that may fulfil a formula.</summary>
    public double MaximumFraction { get; init; } = 0.5;

    /// <summary>True to label what units are low on.</summary>
    public bool Negative { get; init; }

    /// <summary>Permutations for a null distribution of the winner; 0 for none.</summary>
    public int Permutations { get; init; }

    /// <summary>Seed of the halves and permutations.</summary>
    public int Seed { get; init; }

    /// <summary>Text of a table of attributes; null for <c>attributes.csv</c> in the data set's folder, where there is one.</summary>
    public string? AttributesText { get; init; }

    /// <summary>Text of a tree of classes; null for <c>hierarchy.json</c> in the data set's folder, where there is one.</summary>
    public string? HierarchyText { get; init; }

    /// <summary>Source <c>concepts</c>: what people defined; left out where the source is not chosen.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ConceptDefinition>? Concepts { get; init; }
}

/// <summary>Labels of the units of an analysis: <c>result.json</c> of the task <c>label</c>.</summary>
public sealed record LabelReport
{
    /// <summary>Version of this text.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>What was asked for; the texts of tables are left out.</summary>
    public required LabelRequest Request { get; init; }

    /// <summary>Layer whose units are labelled.</summary>
    public required string Layer { get; init; }

    /// <summary>Samples that were used; one half is searched, the other tests.</summary>
    public required int Samples { get; init; }

    /// <summary>The concepts that formulas could use.</summary>
    public required IReadOnlyList<LabelConceptEntry> Concepts { get; init; }

    /// <summary>Neurons in order of their channels, then concept vectors in order of class and rank.</summary>
    public required IReadOnlyList<LabelEntry> Units { get; init; }

    /// <summary>The neurons that raise each class's logit most; empty where the head is not linear.</summary>
    public IReadOnlyList<ClassCircuit> Circuits { get; init; } = [];

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>A concept that formulas could use.</summary>
/// <param name="Name">Name.</param>
/// <param name="Source">Source.</param>
/// <param name="Samples">Samples that show it.</param>
/// <param name="Artefact">Whether a network should have no use for it.</param>
public sealed record LabelConceptEntry(string Name, string Source, int Samples, bool Artefact);

/// <summary>A unit with its label.</summary>
public sealed record LabelEntry
{
    /// <summary><c>neuron</c> or <c>concept</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>Channel of a neuron; rank of a concept in its class.</summary>
    public required int Index { get; init; }

    /// <summary>Identifier of a concept in the analysis; null for a neuron.</summary>
    public int? Concept { get; init; }

    /// <summary>Class index of a concept; null for a neuron.</summary>
    public int? Class { get; init; }

    /// <summary>Display name of that class; null for a neuron.</summary>
    public string? ClassName { get; init; }

    /// <summary>The formula in words; null where there is none.</summary>
    public string? Label { get; init; }

    /// <summary>The formula's concepts from the left.</summary>
    public IReadOnlyList<LabelLiteral> Literals { get; init; } = [];

    /// <summary>AUC on the half that was searched; null where undefined.</summary>
    public double? Auc { get; init; }

    /// <summary>AUC on the other half; null where undefined.</summary>
    public double? HeldOutAuc { get; init; }

    /// <summary>Samples that fulfil the formula.</summary>
    public int Support { get; init; }

    /// <summary>log10 of the one-sided p on the other half.</summary>
    public double Log10P { get; init; }

    /// <summary>The same after Holm's correction over all units of the report.</summary>
    public double Log10Corrected { get; init; }

    /// <summary>Whether the corrected p is below 0.05.</summary>
    public bool Significant { get; init; }

    /// <summary>p among permuted activations; null where none were asked for.</summary>
    public double? PermutationP { get; init; }

    /// <summary>AUC by length.</summary>
    public IReadOnlyList<LengthStep> Steps { get; init; } = [];

    /// <summary>The formulas that came next, best first, with their AUC on the searched half.</summary>
    public IReadOnlyList<LabelRival> Beam { get; init; } = [];

    /// <summary>Artefacts that the unit follows.</summary>
    public IReadOnlyList<LabelArtefact> Spurious { get; init; } = [];

    /// <summary>Histogram of the activation over samples that fulfil the formula, 24 equal bins.</summary>
    public IReadOnlyList<int> Inside { get; init; } = [];

    /// <summary>Histogram over the other samples, the same bins.</summary>
    public IReadOnlyList<int> Outside { get; init; } = [];

    /// <summary>Lower end of the histograms.</summary>
    public double From { get; init; }

    /// <summary>Upper end of the histograms.</summary>
    public double To { get; init; }

    /// <summary>Samples that fulfil the formula with the highest activation.</summary>
    public IReadOnlyList<int> Fitting { get; init; } = [];

    /// <summary>Samples with the highest activation that do not fulfil it.</summary>
    public IReadOnlyList<int> Surplus { get; init; } = [];

    /// <summary>Samples that fulfil it with the lowest activation.</summary>
    public IReadOnlyList<int> Missing { get; init; } = [];
}

/// <summary>A concept of a formula.</summary>
/// <param name="Concept">Place in <see cref="LabelReport.Concepts"/>.</param>
/// <param name="Negated">Whether it must be absent.</param>
/// <param name="Or">Whether it is joined by OR to what stands before it.</param>
public sealed record LabelLiteral(int Concept, bool Negated, bool Or);

/// <summary>A formula that came next.</summary>
/// <param name="Label">In words.</param>
/// <param name="Auc">On the searched half.</param>
public sealed record LabelRival(string Label, double Auc);

/// <summary>An artefact that a unit follows.</summary>
/// <param name="Name">Name.</param>
/// <param name="Auc">Held-out AUC over all samples.</param>
/// <param name="WithinClass">Held-out AUC inside classes; null where it varies in none.</param>
public sealed record LabelArtefact(string Name, double Auc, double? WithinClass);

/// <summary>What raises the logit of a class.</summary>
/// <param name="Output">Output of the network.</param>
/// <param name="Name">Its name.</param>
/// <param name="Neurons">Strongest first.</param>
public sealed record ClassCircuit(int Output, string Name, IReadOnlyList<CircuitNeuron> Neurons);

/// <summary>A neuron in a class's circuit.</summary>
/// <param name="Channel">Channel.</param>
/// <param name="Weight">Weight to the logit.</param>
/// <param name="Contribution">Weight × (mean activation in the class − mean elsewhere).</param>
/// <param name="Label">Its label; null where it has no significant one.</param>
public sealed record CircuitNeuron(int Channel, double Weight, double Contribution, string? Label);
