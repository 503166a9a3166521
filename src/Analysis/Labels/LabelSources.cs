using System.Globalization;
using System.Text;
using System.Text.Json;
using Analysis.Datasets;
using Analysis.Numerics;

namespace Analysis.Labels;

/// <summary>Makes concepts for labels from what is known about the samples.</summary>
public static class LabelSources
{
    /// <summary>Largest file of attributes or of a hierarchy that is read, in bytes.</summary>
    public const long LargestFile = 256L << 20;

    private const int MostValues = 100;
    private const int MostDepth = 64;

    /// <summary>One concept for each class.</summary>
    /// <param name="classOf">Class of each sample; −1 for none.</param>
    /// <param name="names">Names of the classes.</param>
    public static IEnumerable<(LabelConcept Concept, bool[] Shown)> Classes(int[] classOf, IReadOnlyList<string> names)
    {
        for (var c = 0; c < names.Count; c++)
        {
            yield return (new LabelConcept(names[c], "class"), Array.ConvertAll(classOf, k => k == c));
        }
    }

    /// <summary>
    /// One concept for each inner node of a tree of classes: the union of the classes below it. Nodes above a single class say
    /// nothing that the class does not and are left out. The tree is JSON, a node being
    /// <c>{"name": "dog", "id": "n02084071", "children": [ … ]}</c>; leaves are found among the classes by name or id.
    /// </summary>
    /// <param name="json">Text of the tree.</param>
    /// <param name="classOf">Class of each sample; −1 for none.</param>
    /// <param name="names">Names of the classes.</param>
    /// <param name="identifiers">Other identifiers of the classes (folder names, WordNet ids), in the same order.</param>
    /// <exception cref="AnalysisException">The text is no such tree, or none of its leaves is a class.</exception>
    public static IReadOnlyList<(LabelConcept Concept, bool[] Shown)> Hierarchy(string json, int[] classOf, IReadOnlyList<string> names, IReadOnlyList<string> identifiers)
    {
        var places = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
        for (var c = names.Count - 1; c >= 0; c--)
        {
            places[identifiers[c]] = c;
            places[names[c]] = c;
        }

        var result = new List<(LabelConcept, bool[])>();
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MostDepth });
            var below = Visit(document.RootElement);
            if (below.Count == 0)
            {
                throw new AnalysisException("No leaf of the hierarchy is a class of the data set.", "Name the leaves as the classes' folders or outputs are named.");
            }
        }
        catch (JsonException fault)
        {
            throw new AnalysisException($"The hierarchy is not readable JSON: {fault.Message}", "Write it as nested objects with name, id and children.");
        }

        return result;

        HashSet<int> Visit(JsonElement node)
        {
            if (node.ValueKind != JsonValueKind.Object)
            {
                throw new AnalysisException($"A node of the hierarchy is {node.ValueKind}, not an object.", "Write it as nested objects with name, id and children.");
            }

            var name = Text(node, "name") ?? Text(node, "id") ?? throw new AnalysisException("A node of the hierarchy has neither name nor id.", "Give each node a name.");
            var below = new HashSet<int>();
            if (node.TryGetProperty("children", out var children) && children.ValueKind == JsonValueKind.Array && children.GetArrayLength() > 0)
            {
                foreach (var child in children.EnumerateArray())
                {
                    below.UnionWith(Visit(child));
                }
            }
            else if ((Text(node, "id") is { } id && places.TryGetValue(id, out var place)) || places.TryGetValue(name, out place))
            {
                below.Add(place);
            }

            if (below.Count > 1 && below.Count < names.Count)
            {
                result.Add((new LabelConcept(name, "hierarchy"), Array.ConvertAll(classOf, below.Contains)));
            }

            return below;
        }

        static string? Text(JsonElement node, string property) =>
            node.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    /// <summary>
    /// Concepts from a table of attributes: CSV with a header, a column <c>path</c> (or <c>file</c>, <c>image</c>) and any number
    /// of others. A column of yes and no is one concept; one of words, or of few different numbers, is a concept a
    /// value; one of many numbers gives its lowest and its highest quarter. Columns whose names start with <c>artefact</c> are artefacts.
    /// </summary>
    /// <param name="csv">Text of the table.</param>
    /// <param name="paths">Path of each sample, relative to the data set's root.</param>
    /// <exception cref="AnalysisException">No path column, or no row matches a sample.</exception>
    public static IReadOnlyList<(LabelConcept Concept, bool[] Shown)> Attributes(string csv, IReadOnlyList<string> paths)
    {
        var result = new List<(LabelConcept, bool[])>();
        foreach (var (name, values) in Columns(csv, paths))
        {
            result.AddRange(Column(name, values, "attribute", name.StartsWith("artefact", StringComparison.OrdinalIgnoreCase)));
        }

        return result;
    }

    /// <summary>The columns of a table of attributes beside the path, in order, with the value of each sample; null where no row names the sample.</summary>
    /// <param name="csv">Text of the table; see <see cref="Attributes"/>.</param>
    /// <param name="paths">Path of each sample, relative to the data set's root.</param>
    /// <exception cref="AnalysisException">No path column, or no row matches a sample.</exception>
    public static IReadOnlyList<(string Name, string?[] Values)> Columns(string csv, IReadOnlyList<string> paths)
    {
        var lines = Rows(csv).ToList();
        var header = lines.Count > 0 ? lines[0] : [];
        var key = KeyOf(header);
        if (key < 0 || header.Count < 2)
        {
            throw new AnalysisException("The table of attributes has no column 'path' beside others.", "Write a header line, with a column 'path' relative to the data set's folder.");
        }

        var place = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < paths.Count; i++)
        {
            place[paths[i]] = i;
        }

        var cells = new string?[header.Count][];
        for (var c = 0; c < header.Count; c++)
        {
            cells[c] = new string?[paths.Count];
        }

        var matched = 0;
        foreach (var line in lines.Skip(1))
        {
            if (line.Count > key && place.TryGetValue(line[key].Trim().Replace('\\', '/'), out var row))
            {
                matched++;
                for (var c = 0; c < Math.Min(header.Count, line.Count); c++)
                {
                    cells[c][row] = line[c].Trim();
                }
            }
        }

        if (matched == 0)
        {
            throw new AnalysisException($"None of the {lines.Count - 1} rows of the table of attributes names a sample.", $"Write paths as the data set does, for example {(paths.Count > 0 ? paths[0] : "class/image.png")}.");
        }

        return [.. header.Select((name, c) => (name.Trim(), cells[c])).Where((_, c) => c != key)];
    }

    /// <summary>
    /// Tagged images: CSV with a column <c>path</c> (or <c>file</c>, <c>image</c>) and, optionally, a column <c>shows</c> of yes and no;
    /// without it every image shows the concept.
    /// </summary>
    /// <param name="csv">Text of the table.</param>
    /// <returns>Paths of the images that show it, and of those that do not.</returns>
    /// <exception cref="AnalysisException">No path column, or a tag is neither yes nor no.</exception>
    public static (IReadOnlyList<string> Positives, IReadOnlyList<string> Negatives) Tagged(string csv)
    {
        var lines = Rows(csv).ToList();
        var key = lines.Count > 0 ? KeyOf(lines[0]) : -1;
        if (key < 0)
        {
            throw new AnalysisException("The table of tagged images has no column 'path'.", "Write a header line, with a column 'path' relative to the data set's folder, and 'shows' where some do not show it.");
        }

        var shows = lines[0].FindIndex(h => string.Equals(h.Trim(), "shows", StringComparison.OrdinalIgnoreCase));
        var (positives, negatives) = (new List<string>(), new List<string>());
        foreach (var line in lines.Skip(1).Where(l => l.Count > key && l[key].Trim().Length > 0))
        {
            var tag = shows < 0 ? "yes" : line.Count > shows ? line[shows].Trim() : "";
            var list = AttributeValues.YesOrNo(tag) switch
            {
                true => positives,
                false => negatives,
                null => throw new AnalysisException($"'{(tag.Length > 40 ? tag[..40] : tag)}' in the table of tagged images is neither yes nor no.", "Write yes or no into the column 'shows'."),
            };
            list.Add(line[key].Trim().Replace('\\', '/'));
        }

        return (positives, negatives);
    }

    private static int KeyOf(List<string> header) => header.FindIndex(h => h.Trim().ToUpperInvariant() is "PATH" or "FILE" or "IMAGE" or "FILENAME");

    /// <summary>Concepts from one column of values; see <see cref="Attributes"/>.</summary>
    /// <param name="name">Name of the column.</param>
    /// <param name="values">Value of each sample; null where unknown.</param>
    /// <param name="source">Source of the concepts.</param>
    /// <param name="artefact">Whether they are artefacts.</param>
    public static IEnumerable<(LabelConcept Concept, bool[] Shown)> Column(string name, string?[] values, string source, bool artefact)
    {
        var kind = AttributeValues.KindOf(values);
        if (kind == AttributeKind.YesNo)
        {
            yield return (new LabelConcept(name, source, artefact), Array.ConvertAll(values, v => v is not null && AttributeValues.YesOrNo(v) == true));
            yield break;
        }

        if (kind == AttributeKind.Numbers && !AttributeValues.HasLevels(values))
        {
            foreach (var quarter in Quarters(name, Array.ConvertAll(values, AttributeValues.Number), source, artefact))
            {
                yield return quarter;
            }

            yield break;
        }

        foreach (var (value, _) in AttributeValues.Levels(values).Take(MostValues))
        {
            if (AttributeValues.YesOrNo(value) != false)
            {
                yield return (new LabelConcept($"{name} {value}", source, artefact), Array.ConvertAll(values, v => string.Equals(v, value, StringComparison.OrdinalIgnoreCase)));
            }
        }
    }

    /// <summary>The lowest and the highest quarter of a quantity.</summary>
    /// <param name="name">Name of the quantity.</param>
    /// <param name="values">Value of each sample; NaN where unknown.</param>
    /// <param name="source">Source of the concepts.</param>
    /// <param name="artefact">Whether they are artefacts.</param>
    public static IEnumerable<(LabelConcept Concept, bool[] Shown)> Quarters(string name, double[] values, string source, bool artefact)
    {
        var known = values.Where(double.IsFinite).ToArray();
        if (known.Length < 8)
        {
            yield break;
        }

        var (low, high) = (RobustStatistics.Percentile(known, 25), RobustStatistics.Percentile(known, 75));
        if (low < high)
        {
            yield return (new LabelConcept($"low {name}", source, artefact), Array.ConvertAll(values, v => v <= low));
            yield return (new LabelConcept($"high {name}", source, artefact), Array.ConvertAll(values, v => v >= high));
        }
    }

    /// <summary>Text of a file in the data set's folder; null where there is none, or where a link leads out of the folder.</summary>
    /// <param name="root">Root of the data set.</param>
    /// <param name="name">A name of <see cref="AnnotationFiles"/>.</param>
    /// <exception cref="AnalysisException">It is too large.</exception>
    public static string? Beside(string root, string name)
    {
        var path = Path.Combine(root, name);
        return Directory.Exists(root) && File.Exists(path) && RealPath.Of(path) is { } real && RealPath.Of(root) is { } inside && real == Path.Combine(inside, name)
            ? ReadText(path)
            : null;
    }

    /// <summary>Reads a file that a person chose.</summary>
    /// <exception cref="AnalysisException">It is missing or too large.</exception>
    public static string ReadText(string path)
    {
        var file = new FileInfo(path);
        if (!file.Exists)
        {
            throw new AnalysisException($"There is no file {path}.", "Check the path.");
        }

        return file.Length > LargestFile
            ? throw new AnalysisException($"{path} has {file.Length >> 20} MiB.", $"Give a file of at most {LargestFile >> 20} MiB.")
            : File.ReadAllText(path, Encoding.UTF8);
    }

    /// <summary>Rows of a CSV text (RFC 4180), comma or semicolon by the header.</summary>
    private static IEnumerable<List<string>> Rows(string csv)
    {
        var first = csv.AsSpan(0, Math.Max(0, csv.AsSpan().IndexOfAny('\r', '\n') is var end and >= 0 ? end : csv.Length));
        var separator = first.Count(';') > first.Count(',') ? ';' : ',';
        var (row, cell, quoted) = (new List<string>(), new StringBuilder(), false);
        for (var i = 0; i < csv.Length; i++)
        {
            var c = csv[i];
            if (quoted)
            {
                if (c != '"')
                {
                    cell.Append(c);
                }
                else if (i + 1 < csv.Length && csv[i + 1] == '"')
                {
                    cell.Append('"');
                    i++;
                }
                else
                {
                    quoted = false;
                }
            }
            else if (c == '"' && cell.Length == 0)
            {
                quoted = true;
            }
            else if (c == separator)
            {
                row.Add(cell.ToString());
                cell.Clear();
            }
            else if (c is '\n' or '\r')
            {
                if (cell.Length > 0 || row.Count > 0)
                {
                    row.Add(cell.ToString());
                    cell.Clear();
                    yield return row;
                    row = [];
                }
            }
            else if (!(c == '\uFEFF' && i == 0))
            {
                cell.Append(c);
            }
        }

        if (cell.Length > 0 || row.Count > 0)
        {
            row.Add(cell.ToString());
            yield return row;
        }
    }
}
