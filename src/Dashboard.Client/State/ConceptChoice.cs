using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.Urls;

namespace Dashboard.Client.State;

/// <summary>
/// A concept that a page can ask about. In addresses it is a code: <c>c12</c> a discovered concept, <c>n3</c> a channel,
/// <c>k:name</c> a class, <c>a:column</c> or <c>a:column=value</c> an attribute, <c>u:id</c> one that a person defined.
/// </summary>
/// <param name="Code">As in the address.</param>
/// <param name="Name">Name.</param>
/// <param name="Group">Where it stands in a list.</param>
/// <param name="Definition">What tasks take.</param>
/// <param name="Label">Significant label of a concept that nobody named or of a channel; null where there is none.</param>
public sealed record ConceptChoice(string Code, string Name, string Group, object Definition, ShortLabel? Label = null)
{
    private const int MostValues = 20;
    private const int MostDefined = 200;

    /// <summary>Name with the label, for lists to choose from.</summary>
    public string Text => Names.WithLabel(Name, Label);

    /// <summary>How a result's "concept 12" or "neuron 3" is called among the choices; the name itself where it is none of them.</summary>
    public static string Called(string name, IReadOnlyList<ConceptChoice> choices)
    {
        var code = name.StartsWith("concept ", StringComparison.Ordinal) ? "c" + name["concept ".Length..] : name.StartsWith("neuron ", StringComparison.Ordinal) ? "n" + name["neuron ".Length..] : "";
        return choices.FirstOrDefault(c => c.Code == code)?.Text ?? name;
    }

    /// <summary>The definition of a code that says everything itself; null for a concept that a person defined, and for what is no code.</summary>
    public static object? DefinitionOf(string code)
    {
        if (code.Length < 2)
        {
            return null;
        }

        var rest = code[1..];
        switch (code[0])
        {
            case 'c' or 'n' when int.TryParse(rest, NumberStyles.None, CultureInfo.InvariantCulture, out var unit):
                return new { name = code[0] == 'c' ? $"concept {rest}" : $"neuron {rest}", source = code[0] == 'c' ? "concept" : "neuron", unit };
            case 'k' when rest.Length > 1 && rest[0] == ':':
                return new { name = rest[1..], source = "classes", classes = new[] { rest[1..] } };
            case 'a' when rest.Length > 1 && rest[0] == ':':
                var equals = rest.IndexOf('=', StringComparison.Ordinal);
                return equals > 1
                    ? new { name = $"{rest[1..equals]} = {rest[(equals + 1)..]}", source = "attribute", attribute = rest[1..equals], value = (string?)rest[(equals + 1)..] }
                    : new { name = rest[1..], source = "attribute", attribute = rest[1..], value = (string?)null };
            default:
                return null;
        }
    }

    /// <summary>What can be chosen: the codes of the address and the concepts of an image, then those that people defined, attributes and classes.</summary>
    /// <param name="atlas">Reads concepts.</param>
    /// <param name="defined">Reads what people defined, and attributes.</param>
    /// <param name="view">The analysis.</param>
    /// <param name="codes">Codes of the address; what is no code, and what is gone, is left out.</param>
    /// <param name="sample">Image whose concepts are offered; null for none.</param>
    /// <param name="numbers">Offer attributes whose values are numbers.</param>
    /// <param name="cancellation">Cancels reading.</param>
    public static async Task<IReadOnlyList<ConceptChoice>> ListAsync(
        IAtlasService atlas, IUserConceptService defined, AtlasView view, IEnumerable<string?> codes, int? sample, bool numbers, CancellationToken cancellation)
    {
        var choices = new List<ConceptChoice>();
        void Add(string code, string name, string group, ShortLabel? label = null)
        {
            if (choices.All(c => c.Code != code) && DefinitionOf(code) is { } definition)
            {
                choices.Add(new ConceptChoice(code, name, group, definition, label));
            }
        }

        foreach (var code in codes.OfType<string>())
        {
            if (code is ['c', .. var text] && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
            {
                if (await atlas.ConceptAsync(view.Analysis.Id, id, cancellation) is { } concept)
                {
                    Add(code, $"{Names.Concept(concept.Concept)} of {concept.ClassName}", "Discovered concepts", Names.IsNamed(concept.Concept) ? null : concept.Concept.Label);
                }
            }
            else if (code is ['n', .. var number] && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var channel))
            {
                Add(code, Names.Channel(channel), "Neurons", (await atlas.NeuronLabelsAsync(view.Analysis.Id, [channel], cancellation)).GetValueOrDefault(channel));
            }
            else if (code is ['a', ..])
            {
                Add(code, Attribute(code[2..]), "Attributes");
            }
        }

        if (sample is { } row && await atlas.SampleAsync(view.Analysis.Id, row, cancellation) is { } shown)
        {
            foreach (var card in shown.Concepts)
            {
                Add(FormattableString.Invariant($"c{card.Id}"), $"{Names.Concept(card)} of {shown.Sample.ClassName}", "Discovered concepts", Names.IsNamed(card) ? null : card.Label);
            }
        }

        foreach (var mine in (await defined.ListAsync(view.Analysis.Id, 0, MostDefined, cancellation)).Items.Where(c => c.Definition.Source.Length > 0))
        {
            choices.Add(new ConceptChoice("u:" + mine.Id, mine.Name, "Defined by people", mine.Definition));
        }

        foreach (var column in (await defined.AttributesAsync(view.Analysis.Id, cancellation)).Columns)
        {
            if (column.Kind == "yesno" || (numbers && column.Kind == "numbers"))
            {
                Add($"a:{column.Name}", column.Name, "Attributes");
            }

            foreach (var value in column.Kind == "yesno" ? [] : column.Values.Take(MostValues))
            {
                Add($"a:{column.Name}={value.Value}", Attribute($"{column.Name}={value.Value}"), "Attributes");
            }
        }

        foreach (var item in view.Classes)
        {
            Add("k:" + item.Name, item.DisplayName, "Classes");
        }

        return choices;
    }

    private static string Attribute(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? text : $"{text[..equals]}: {text[(equals + 1)..]}";
    }
}
