using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dashboard.Client.Contracts;

/// <summary>Labels of the neurons and concepts of an analysis, as the task <c>label</c> writes them (docs/file-formats.md).</summary>
public sealed record LabelView
{
    /// <summary>Kind of the task.</summary>
    public const string TaskKind = "label";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    /// <summary>Layer whose units are labelled.</summary>
    public string Layer { get; init; } = "";

    /// <summary>Samples that were used; one half is searched, the other tests.</summary>
    public int Samples { get; init; }

    /// <summary>The concepts that formulas could use.</summary>
    public IReadOnlyList<LabelSource> Concepts { get; init; } = [];

    /// <summary>Neurons, then concept vectors.</summary>
    public IReadOnlyList<UnitView> Units { get; init; } = [];

    /// <summary>What raises the logit of each class; empty where the head is not linear.</summary>
    public IReadOnlyList<CircuitView> Circuits { get; init; } = [];

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The labels with the names that people gave to concepts.</summary>
    /// <param name="names">Names by identifier.</param>
    public LabelView Named(IReadOnlyDictionary<int, string> names) => names.Count == 0 ? this : this with
    {
        Units = [.. Units.Select(unit => unit.Concept is { } id && names.TryGetValue(id, out var name) ? unit with { Name = name } : unit)],
    };

    /// <summary>Reads a result; null where it is none.</summary>
    public static LabelView? Parse(string? json)
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize<LabelView>(json, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Reads a result from a file; null where it is none.</summary>
    public static async Task<LabelView?> ParseAsync(Stream json, CancellationToken cancellation = default)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync<LabelView>(json, Options, cancellation);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>A concept that formulas could use.</summary>
/// <param name="Name">Name.</param>
/// <param name="Source">class, hierarchy, attribute, user or metadata.</param>
/// <param name="Samples">Samples that show it.</param>
/// <param name="Artefact">Whether a network should have no use for it.</param>
public sealed record LabelSource(string Name, string Source, int Samples, bool Artefact);

/// <summary>A neuron or concept with its label.</summary>
public sealed record UnitView
{
    /// <summary>neuron or concept.</summary>
    public string Kind { get; init; } = "";

    /// <summary>Channel of a neuron; rank of a concept in its class.</summary>
    public int Index { get; init; }

    /// <summary>Identifier of a concept.</summary>
    public int? Concept { get; init; }

    /// <summary>Class of a concept.</summary>
    public int? Class { get; init; }

    /// <summary>Display name of that class.</summary>
    public string? ClassName { get; init; }

    /// <summary>The formula in words; null where there is none.</summary>
    public string? Label { get; init; }

    /// <summary>The formula's concepts from the left.</summary>
    public IReadOnlyList<LiteralView> Literals { get; init; } = [];

    /// <summary>AUC on the half that was searched.</summary>
    public double? Auc { get; init; }

    /// <summary>AUC on the other half.</summary>
    public double? HeldOutAuc { get; init; }

    /// <summary>Samples that fulfil the formula.</summary>
    public int Support { get; init; }

    /// <summary>log10 of the p-value after correction over all units.</summary>
    public double Log10Corrected { get; init; }

    /// <summary>Whether that is below 0.05.</summary>
    public bool Significant { get; init; }

    /// <summary>p among permuted activations; null where none were asked for.</summary>
    public double? PermutationP { get; init; }

    /// <summary>AUC by length.</summary>
    public IReadOnlyList<LengthView> Steps { get; init; } = [];

    /// <summary>Formulas that came next.</summary>
    public IReadOnlyList<RivalView> Beam { get; init; } = [];

    /// <summary>Artefacts that the unit follows.</summary>
    public IReadOnlyList<ArtefactView> Spurious { get; init; } = [];

    /// <summary>Histogram of the activation inside the formula.</summary>
    public IReadOnlyList<int> Inside { get; init; } = [];

    /// <summary>Histogram outside, the same bins.</summary>
    public IReadOnlyList<int> Outside { get; init; } = [];

    /// <summary>Lower end of the histograms.</summary>
    public double From { get; init; }

    /// <summary>Upper end of the histograms.</summary>
    public double To { get; init; }

    /// <summary>Samples that fulfil the formula, highest activation first.</summary>
    public IReadOnlyList<int> Fitting { get; init; } = [];

    /// <summary>Samples that do not, highest activation first.</summary>
    public IReadOnlyList<int> Surplus { get; init; } = [];

    /// <summary>Samples that fulfil it, lowest activation first.</summary>
    public IReadOnlyList<int> Missing { get; init; } = [];

    /// <summary>Key in addresses: <c>n12</c> for a neuron, <c>c30</c> for a concept.</summary>
    public string Key => FormattableString.Invariant($"{(Kind == "neuron" ? 'n' : 'c')}{Concept ?? Index}");

    /// <summary>Name of a concept by a person; null where nobody gave one. No part of a result.</summary>
    [JsonIgnore]
    public string? Name { get; init; }

    /// <summary>Name for people: a person's, else the code.</summary>
    public string Title => Name ?? Code;

    /// <summary>What nobody had to name: "neuron 12", "c3 of zucchini".</summary>
    public string Code => Kind == "neuron" ? FormattableString.Invariant($"neuron {Index}") : FormattableString.Invariant($"c{Index} of {ClassName}");
}

/// <summary>A concept in a formula.</summary>
/// <param name="Concept">Place in <see cref="LabelView.Concepts"/>.</param>
/// <param name="Negated">Whether it must be absent.</param>
/// <param name="Or">Whether it is joined by OR to what stands before it.</param>
public sealed record LiteralView(int Concept, bool Negated, bool Or);

/// <summary>The best formula of one length.</summary>
/// <param name="Length">Concepts allowed.</param>
/// <param name="Auc">On the searched half.</param>
/// <param name="HeldOutAuc">On the other half.</param>
public sealed record LengthView(int Length, double Auc, double HeldOutAuc);

/// <summary>A formula that came next.</summary>
/// <param name="Label">In words.</param>
/// <param name="Auc">On the searched half.</param>
public sealed record RivalView(string Label, double Auc);

/// <summary>An artefact that a unit follows.</summary>
/// <param name="Name">Name.</param>
/// <param name="Auc">Held-out AUC.</param>
/// <param name="WithinClass">Held-out AUC inside classes; null where it varies in none.</param>
public sealed record ArtefactView(string Name, double Auc, double? WithinClass);

/// <summary>What raises a class's logit.</summary>
/// <param name="Output">Output.</param>
/// <param name="Name">Its name.</param>
/// <param name="Neurons">Strongest first.</param>
public sealed record CircuitView(int Output, string Name, IReadOnlyList<CircuitNeuronView> Neurons);

/// <summary>A neuron in a circuit.</summary>
/// <param name="Channel">Channel.</param>
/// <param name="Weight">Weight to the logit.</param>
/// <param name="Contribution">What it adds in the class over elsewhere.</param>
/// <param name="Label">Its label; null where it has no significant one.</param>
public sealed record CircuitNeuronView(int Channel, double Weight, double Contribution, string? Label);
