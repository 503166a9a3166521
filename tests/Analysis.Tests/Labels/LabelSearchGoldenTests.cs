using System.Text.Json;
using Analysis.Labels;
using Analysis.Numerics;
using Xunit;

namespace Analysis.Tests.Labels;

public sealed class LabelSearchGoldenTests
{
    public static TheoryData<string> Beams => GoldenFiles.Rows("invert_beam*.json");

    [Theory]
    [MemberData(nameof(Beams))]
    public void Golden_InvertBeam(string file)
    {
        if (file == GoldenFiles.None || !GoldenFiles.TryOpen(Path.GetFileNameWithoutExtension(file) + "_data.npz", out var data))
        {
            return;
        }

        using var reference = JsonDocument.Parse(File.ReadAllText(Path.Combine(GoldenFiles.Folder, file)));
        var root = reference.RootElement;
        var parameters = root.GetProperty("params");
        var activation = data.Doubles("activations");
        var labels = Labels(data.Matrix("labels"));
        var options = new LabelSearchOptions
        {
            MaximumLength = parameters.GetProperty("L").GetInt32(),
            Beam = parameters.GetProperty("B").GetInt32(),
            MinimumFraction = parameters.GetProperty("min_fraction").GetDouble(),
            MaximumFraction = parameters.GetProperty("max_fraction").GetDouble(),
        };
        var found = new LabelSearch(labels, options).Search(activation);

        foreach (var length in root.GetProperty("deduplicated").EnumerateObject())
        {
            var beam = found[int.Parse(length.Name, System.Globalization.CultureInfo.InvariantCulture) - 1];
            var expected = length.Value.EnumerateArray().ToArray();
            Assert.Equal(expected.Length, beam.Count);
            for (var i = 0; i < expected.Length; i++)
            {
                Assert.Equal(expected[i][2].GetDouble(), beam[i].Auc, 1e-12);
                Assert.Equal(expected[i][3].GetDouble(), beam[i].Support / (double)labels.Samples, 1e-6);
                Assert.Equal(expected[i][1].GetInt32(), beam[i].Formula.Length);
                Assert.Equal(FormulaText.Evaluate(expected[i][0].GetString()!, labels), beam[i].Formula.Evaluate(labels));
            }
        }

        // The official beams hold the same truth table more than once: their values are checked, and that ours is as good.
        foreach (var mode in new[] { "official", "negative" })
        {
            var ours = mode == "official" ? found : new LabelSearch(labels, options with { Negative = true }).Search(activation);
            foreach (var length in root.GetProperty(mode).EnumerateObject())
            {
                var entries = length.Value.EnumerateArray().ToArray();
                foreach (var entry in entries)
                {
                    var mask = Unpack(FormulaText.Evaluate(entry.GetProperty("formula").GetString()!, labels), labels.Samples);
                    var test = MannWhitney.Test(activation, mask);
                    Assert.Equal(entry.GetProperty("auc").GetDouble(), test.Auc, 1e-12);
                    Assert.Equal(entry.GetProperty("fraction").GetDouble(), mask.Count(b => b) / (double)mask.Length, 1e-6);
                    var p = entry.GetProperty("p_two_sided").GetDouble();
                    Assert.True(Math.Abs(p - test.TwoSided) <= 1e-6 * p, $"p {test.TwoSided:R} instead of {p:R}");
                }

                var best = ours[int.Parse(length.Name, System.Globalization.CultureInfo.InvariantCulture) - 1][0].Auc;
                var theirs = entries[0].GetProperty("auc").GetDouble();
                Assert.True(mode == "official" ? best >= theirs - 1e-12 : best <= theirs + 1e-12, $"{mode} {length.Name}: {best:R} against {theirs:R}");
            }
        }

        var planted = MannWhitney.Test(activation, data.Bools("planted_mask"));
        Assert.Equal(root.GetProperty("planted_auc").GetDouble(), planted.Auc, 1e-12);
    }

    internal static LabelMatrix Labels(DenseMatrix columns) => LabelMatrix.Create(
        columns.Rows,
        Enumerable.Range(0, columns.Columns).Select(j => (new LabelConcept($"c{j:00}", "attribute"), Array.ConvertAll(columns.Column(j), v => v != 0))));

    internal static bool[] Unpack(ulong[] set, int samples) => [.. Enumerable.Range(0, samples).Select(i => LabelMatrix.Contains(set, i))];
}

/// <summary>Evaluates formulas written with names, ~, &amp;, | and brackets.</summary>
internal static class FormulaText
{
    public static ulong[] Evaluate(string text, LabelMatrix labels)
    {
        var position = 0;
        var names = labels.Concepts.Select((c, i) => (c.Name, i)).ToDictionary(c => c.Name, c => c.i);
        var shown = Or();
        Assert.Equal(text.Length, position);
        return LabelMatrix.Pack(shown);

        bool[] Or()
        {
            var value = And();
            while (Take('|'))
            {
                value = [.. value.Zip(And(), (a, b) => a | b)];
            }

            return value;
        }

        bool[] And()
        {
            var value = Not();
            while (Take('&'))
            {
                value = [.. value.Zip(Not(), (a, b) => a & b)];
            }

            return value;
        }

        bool[] Not()
        {
            if (Take('~'))
            {
                return [.. Not().Select(v => !v)];
            }

            if (Take('('))
            {
                var inner = Or();
                Assert.True(Take(')'));
                return inner;
            }

            var start = position;
            while (position < text.Length && char.IsLetterOrDigit(text[position]))
            {
                position++;
            }

            var concept = names[text[start..position]];
            return [.. Enumerable.Range(0, labels.Samples).Select(i => LabelMatrix.Contains(labels.Column(concept), i))];
        }

        bool Take(char c)
        {
            while (position < text.Length && text[position] == ' ')
            {
                position++;
            }

            if (position < text.Length && text[position] == c)
            {
                position++;
                return true;
            }

            return false;
        }
    }
}
