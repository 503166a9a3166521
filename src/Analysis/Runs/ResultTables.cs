using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json.Serialization;
using Parquet;
using Parquet.Serialization;

namespace Analysis.Runs;

/// <summary>One row of <c>samples.parquet</c> (docs/file-formats.md, result folder).</summary>
public sealed class SampleRow
{
    /// <summary>Row number, 0-based, by path (ordinal).</summary>
    [JsonPropertyName("index"), JsonPropertyOrder(0)]
    public int Index { get; set; }

    /// <summary>Path relative to the data set's root.</summary>
    [JsonPropertyName("path"), JsonPropertyOrder(1)]
    public string Path { get; set; } = "";

    /// <summary>Class: the folder's name, or the predicted output's name for a data set without classes.</summary>
    [JsonPropertyName("class"), JsonPropertyOrder(2)]
    public string Class { get; set; } = "";

    /// <summary>Output index that the class maps to; empty where there is none.</summary>
    [JsonPropertyName("label"), JsonPropertyOrder(3)]
    public int? Label { get; set; }

    /// <summary>Output index with the largest logit.</summary>
    [JsonPropertyName("predicted"), JsonPropertyOrder(4)]
    public int Predicted { get; set; }

    /// <summary>Softmax probability of <see cref="Predicted"/>.</summary>
    [JsonPropertyName("confidence"), JsonPropertyOrder(5)]
    public double Confidence { get; set; }

    /// <summary>Logit of <see cref="Predicted"/>.</summary>
    [JsonPropertyName("logit"), JsonPropertyOrder(6)]
    public double Logit { get; set; }

    /// <summary>Strategy within its class; empty while unknown.</summary>
    [JsonPropertyName("strategy"), JsonPropertyOrder(7)]
    public int? Strategy { get; set; }

    /// <summary>Layout of the strategic cluster graph; empty while unknown.</summary>
    [JsonPropertyName("x"), JsonPropertyOrder(8)]
    public double? X { get; set; }

    /// <summary>Layout of the strategic cluster graph; empty while unknown.</summary>
    [JsonPropertyName("y"), JsonPropertyOrder(9)]
    public double? Y { get; set; }

    /// <summary>Outlier score in [0, 1]; empty while unknown.</summary>
    [JsonPropertyName("outlierScore"), JsonPropertyOrder(10)]
    public double? OutlierScore { get; set; }

    /// <summary>1 for the most odd; empty while unknown.</summary>
    [JsonPropertyName("outlierRank"), JsonPropertyOrder(11)]
    public int? OutlierRank { get; set; }

    /// <summary>mislabelled, confounded, corrupted, foreign, duplicate, rare, or empty.</summary>
    [JsonPropertyName("outlierKind"), JsonPropertyOrder(12)]
    public string OutlierKind { get; set; } = "";

    /// <summary>Why, in words.</summary>
    [JsonPropertyName("outlierReason"), JsonPropertyOrder(13)]
    public string OutlierReason { get; set; } = "";
}

/// <summary>One row of <c>concepts.parquet</c>: a concept of a class.</summary>
public sealed class ConceptRow
{
    /// <summary>Identifier, unique in the analysis.</summary>
    [JsonPropertyName("id"), JsonPropertyOrder(0)]
    public int Id { get; set; }

    /// <summary>Class name.</summary>
    [JsonPropertyName("class"), JsonPropertyOrder(1)]
    public string Class { get; set; } = "";

    /// <summary>0-based rank by importance in its class.</summary>
    [JsonPropertyName("rank"), JsonPropertyOrder(2)]
    public int Rank { get; set; }

    /// <summary>Number of the group of similar concepts; empty where none.</summary>
    [JsonPropertyName("shared"), JsonPropertyOrder(3)]
    public int? Shared { get; set; }

    /// <summary>Singular direction it was refined from.</summary>
    [JsonPropertyName("direction"), JsonPropertyOrder(4)]
    public int? Direction { get; set; }

    /// <summary>Cluster on that direction.</summary>
    [JsonPropertyName("cluster"), JsonPropertyOrder(5)]
    public int? Cluster { get; set; }

    /// <summary>Share of the mean logit (without bias), signed.</summary>
    [JsonPropertyName("importance"), JsonPropertyOrder(6)]
    public double Importance { get; set; }

    /// <summary>Mean coefficient.</summary>
    [JsonPropertyName("prevalence"), JsonPropertyOrder(7)]
    public double Prevalence { get; set; }

    /// <summary>Effect on the logit of one unit.</summary>
    [JsonPropertyName("reliability"), JsonPropertyOrder(8)]
    public double Reliability { get; set; }

    /// <summary>z score of its direction for the class.</summary>
    [JsonPropertyName("relevance"), JsonPropertyOrder(9)]
    public double? Relevance { get; set; }

    /// <summary>Split-half cosine in [0, 1].</summary>
    [JsonPropertyName("stability"), JsonPropertyOrder(10)]
    public double? Stability { get; set; }

    /// <summary>Label: the formula found last for it (METHODS 5); empty where none was found, or only one that may be chance.</summary>
    [JsonPropertyName("label"), JsonPropertyOrder(11)]
    public string Label { get; set; } = "";

    /// <summary>AUC of the label on images that its search did not see.</summary>
    [JsonPropertyName("labelAuc"), JsonPropertyOrder(12)]
    public double? LabelAuc { get; set; }
}

/// <summary>One row of <c>exemplars.parquet</c>: a sample that shows a concept strongly, and where.</summary>
public sealed class ExemplarRow
{
    /// <summary>Concept identifier.</summary>
    [JsonPropertyName("concept"), JsonPropertyOrder(0)]
    public int Concept { get; set; }

    /// <summary>Row of the sample.</summary>
    [JsonPropertyName("sample"), JsonPropertyOrder(1)]
    public int Sample { get; set; }

    /// <summary>Coefficient of the concept on the sample.</summary>
    [JsonPropertyName("score"), JsonPropertyOrder(2)]
    public double Score { get; set; }

    /// <summary>Crop as a share of the width.</summary>
    [JsonPropertyName("left"), JsonPropertyOrder(3)]
    public double Left { get; set; }

    /// <summary>Crop as a share of the height.</summary>
    [JsonPropertyName("top"), JsonPropertyOrder(4)]
    public double Top { get; set; }

    /// <summary>Crop as a share of the width.</summary>
    [JsonPropertyName("width"), JsonPropertyOrder(5)]
    public double Width { get; set; }

    /// <summary>Crop as a share of the height.</summary>
    [JsonPropertyName("height"), JsonPropertyOrder(6)]
    public double Height { get; set; }
}

/// <summary>
/// Reads and writes the tables of a result folder. Columns are the properties of the row type in the order and under the
/// names of their JSON attributes, in Parquet and in CSV (RFC 4180, header line, invariant numbers, empty for null).
/// </summary>
public static class ResultTables
{
    /// <summary>Name of the table of concepts.</summary>
    public const string Concepts = "concepts";

    private const int RowsInGroup = 65536;

    /// <summary>Writes a table as <c>name.parquet</c> or <c>name.csv</c>: under a temporary name, then renamed.</summary>
    /// <typeparam name="T">Row type.</typeparam>
    /// <param name="folder">Folder that exists.</param>
    /// <param name="name">Table name without extension.</param>
    /// <param name="format"><c>parquet</c> or <c>csv</c>.</param>
    /// <param name="rows">Rows in order.</param>
    public static void Write<T>(string folder, string name, string format, IEnumerable<T> rows)
        where T : class, new()
    {
        AtomicFile.Write(Path.Combine(folder, $"{name}.{format}"), stream =>
        {
            if (format == "csv")
            {
                WriteCsv(stream, rows);
                return;
            }

            ParquetSerializer.SerializeAsync(rows, stream, new ParquetOptions { CompressionMethod = CompressionMethod.Snappy, RowGroupSize = RowsInGroup })
                .ConfigureAwait(false).GetAwaiter().GetResult();
        });
        var other = Path.Combine(folder, $"{name}.{(format == "csv" ? "parquet" : "csv")}");
        File.Delete(other);
    }

    /// <summary>The format in which a table lies in a folder.</summary>
    /// <returns><c>csv</c> where only that is there, else <c>parquet</c>.</returns>
    public static string Format(string folder, string name) =>
        !File.Exists(Path.Combine(folder, name + ".parquet")) && File.Exists(Path.Combine(folder, name + ".csv")) ? "csv" : "parquet";

    /// <summary>Reads a table, Parquet or CSV, whichever is there.</summary>
    /// <typeparam name="T">Row type.</typeparam>
    /// <exception cref="AnalysisException">The table is missing or unreadable.</exception>
    public static IReadOnlyList<T> Read<T>(string folder, string name)
        where T : class, new()
    {
        var parquet = Path.Combine(folder, name + ".parquet");
        var csv = Path.Combine(folder, name + ".csv");
        try
        {
            if (File.Exists(parquet))
            {
                using var stream = File.OpenRead(parquet);
                return [.. ParquetSerializer.DeserializeAsync<T>(stream).ConfigureAwait(false).GetAwaiter().GetResult().Data];
            }

            if (File.Exists(csv))
            {
                using var reader = new StreamReader(csv, Encoding.UTF8);
                return ReadCsv<T>(reader);
            }
        }
        catch (Exception failure) when (failure is not (AnalysisException or OutOfMemoryException))
        {
            throw new AnalysisException($"The table {name} of the result folder {folder} cannot be read: {failure.Message}", "Run the analysis again.", failure);
        }

        throw new AnalysisException($"The result folder {folder} has no table {name}.parquet or {name}.csv.", "Give the folder that analyze wrote with --out.");
    }

    private static (string Name, PropertyInfo Property)[] Columns<T>() =>
        [.. typeof(T).GetProperties()
            .Select(p => (Name: p.GetCustomAttribute<JsonPropertyNameAttribute>()!.Name, Property: p, p.GetCustomAttribute<JsonPropertyOrderAttribute>()!.Order))
            .OrderBy(c => c.Order)
            .Select(c => (c.Name, c.Property))];

    private static void WriteCsv<T>(Stream stream, IEnumerable<T> rows)
    {
        using var writer = new StreamWriter(stream, new UTF8Encoding(false), 1 << 16, leaveOpen: true) { NewLine = "\n" };
        var columns = Columns<T>();
        writer.WriteLine(string.Join(',', columns.Select(c => c.Name)));
        foreach (var row in rows)
        {
            for (var i = 0; i < columns.Length; i++)
            {
                if (i > 0)
                {
                    writer.Write(',');
                }

                writer.Write(Field(columns[i].Property.GetValue(row)));
            }

            writer.WriteLine();
        }
    }

    private static string Field(object? value) => value switch
    {
        null => "",
        string text => text.AsSpan().ContainsAny("\",\r\n") || text.StartsWith(' ') || text.EndsWith(' ')
            ? '"' + text.Replace("\"", "\"\"", StringComparison.Ordinal) + '"'
            : text,
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        IFormattable other => other.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    private static List<T> ReadCsv<T>(TextReader reader)
        where T : class, new()
    {
        var columns = Columns<T>().ToDictionary(c => c.Name, c => c.Property);
        var header = Record(reader) ?? throw new FormatException("the file is empty");
        var properties = header.Select(name => columns.GetValueOrDefault(name)).ToArray();
        var rows = new List<T>();
        while (Record(reader) is { } fields)
        {
            var row = new T();
            for (var i = 0; i < Math.Min(fields.Count, properties.Length); i++)
            {
                if (properties[i] is { } property)
                {
                    property.SetValue(row, Parse(fields[i], property.PropertyType));
                }
            }

            rows.Add(row);
        }

        return rows;
    }

    private static object? Parse(string field, Type type)
    {
        if (type == typeof(string))
        {
            return field;
        }

        var bare = Nullable.GetUnderlyingType(type);
        return bare is not null && field.Length == 0 ? null : Convert.ChangeType(field, bare ?? type, CultureInfo.InvariantCulture);
    }

    private static List<string>? Record(TextReader reader)
    {
        if (reader.Peek() < 0)
        {
            return null;
        }

        var fields = new List<string>();
        var field = new StringBuilder();
        var quoted = false;
        while (true)
        {
            var c = reader.Read();
            if (quoted)
            {
                if (c < 0)
                {
                    throw new FormatException("a quoted field does not end");
                }

                if (c != '"')
                {
                    field.Append((char)c);
                }
                else if (reader.Peek() == '"')
                {
                    reader.Read();
                    field.Append('"');
                }
                else
                {
                    quoted = false;
                }
            }
            else if (c is '"')
            {
                quoted = true;
            }
            else if (c is ',' or '\n' or < 0)
            {
                fields.Add(field.ToString());
                field.Clear();
                if (c is not ',')
                {
                    return fields;
                }
            }
            else if (c != '\r')
            {
                field.Append((char)c);
            }
        }
    }
}
