using System.Text;

namespace Analysis.Labels;

/// <summary>A concept or its negation.</summary>
/// <param name="Concept">Column of the <see cref="LabelMatrix"/>.</param>
/// <param name="Negated">True for "not".</param>
public readonly record struct Literal(int Concept, bool Negated);

/// <summary>How a literal is joined to what stands before it.</summary>
public enum Connective
{
    /// <summary>Both hold.</summary>
    And,

    /// <summary>At least one holds.</summary>
    Or,
}

/// <summary>
/// A boolean formula of concepts, read from the left: ((l₁ ∘ l₂) ∘ l₃) … (Bykov et al. 2023, arXiv 2311.13594, section 3). Its
/// length is the number of its literals.
/// </summary>
public sealed class Formula
{
    private readonly Literal[] _literals;
    private readonly Connective[] _connectives;

    /// <summary>A formula of one literal.</summary>
    public Formula(Literal literal)
        : this([literal], [])
    {
    }

    /// <summary>A formula from its parts.</summary>
    /// <param name="literals">At least one.</param>
    /// <param name="connectives">One fewer.</param>
    public Formula(Literal[] literals, Connective[] connectives)
    {
        ArgumentOutOfRangeException.ThrowIfZero(literals.Length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(connectives.Length, literals.Length - 1);
        _literals = literals;
        _connectives = connectives;
    }

    /// <summary>The literals from the left.</summary>
    public IReadOnlyList<Literal> Literals => _literals;

    /// <summary>What joins each literal from the second on to those before.</summary>
    public IReadOnlyList<Connective> Connectives => _connectives;

    /// <summary>Number of literals.</summary>
    public int Length => _literals.Length;

    /// <summary>This formula with one more literal.</summary>
    public Formula With(Connective connective, Literal literal) => new([.. _literals, literal], [.. _connectives, connective]);

    /// <summary>The samples that fulfil it.</summary>
    /// <param name="labels">Labels of the samples.</param>
    /// <returns>Bit set over the samples.</returns>
    public ulong[] Evaluate(LabelMatrix labels)
    {
        var set = new ulong[labels.Words];
        Join(labels, set, _literals[0], null);
        for (var i = 1; i < _literals.Length; i++)
        {
            Join(labels, set, _literals[i], _connectives[i - 1]);
        }

        return set;
    }

    /// <summary>Joins a literal to a bit set in place; the bits beyond the last sample stay 0.</summary>
    internal static void Join(LabelMatrix labels, Span<ulong> set, Literal literal, Connective? connective)
    {
        var column = labels.Column(literal.Concept);
        var flip = literal.Negated ? ulong.MaxValue : 0;
        for (var w = 0; w < set.Length; w++)
        {
            var word = column[w] ^ flip;
            set[w] = connective switch { Connective.And => set[w] & word, Connective.Or => set[w] | word, _ => word };
        }

        if (labels.Samples % 64 is var rest and > 0)
        {
            set[^1] &= (1UL << rest) - 1;
        }
    }

    /// <summary>In words: <c>(dog OR cat) AND NOT indoors</c>.</summary>
    /// <param name="concepts">Names by number.</param>
    public string InWords(IReadOnlyList<LabelConcept> concepts) => Write(concepts, " AND ", " OR ", "NOT ");

    /// <summary>In symbols: <c>(dog | cat) &amp; ~indoors</c>.</summary>
    /// <param name="concepts">Names by number.</param>
    public string InSymbols(IReadOnlyList<LabelConcept> concepts) => Write(concepts, " & ", " | ", "~");

    private string Write(IReadOnlyList<LabelConcept> concepts, string and, string or, string not)
    {
        var text = new StringBuilder(Name(_literals[0]));
        for (var i = 1; i < _literals.Length; i++)
        {
            // A run of one connective needs no brackets.
            if (i > 1 && _connectives[i - 1] != _connectives[i - 2])
            {
                text.Insert(0, '(').Append(')');
            }

            text.Append(_connectives[i - 1] == Connective.And ? and : or).Append(Name(_literals[i]));
        }

        return text.ToString();

        string Name(Literal literal) => (literal.Negated ? not : "") + concepts[literal.Concept].Name;
    }
}
