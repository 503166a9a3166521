using System.Text.Json;
using Analysis;
using Analysis.Atlas;
using Analysis.Runs;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using Parquet.Serialization;

namespace Dashboard.Server.Jobs;

/// <summary>
/// Takes what the engine wrote into the catalogue. Every step replaces what it finds, so that a repeated report after a
/// retry changes nothing. Annotations are kept apart and survive.
/// </summary>
internal sealed class AtlasIngestion(IDbContextFactory<DashboardDbContext> databases)
{
    private static readonly string[] SampleColumns =
        ["AnalysisKey", "Index", "Path", "Class", "Label", "Predicted", "Confidence", "Logit", "Strategy", "OutlierScore", "OutlierRank", "OutlierKind", "OutlierReason"];

    private static readonly string[] ConceptColumns =
        ["AnalysisKey", "Id", "Class", "Rank", "Shared", "Importance", "Prevalence", "Reliability", "Relevance", "Stability"];

    private static readonly string[] ExemplarColumns =
        ["AnalysisKey", "Concept", "Index", "Sample", "Score", "Left", "Top", "Width", "Height", "Band"];

    private static readonly string[] SkippedColumns = ["AnalysisKey", "Index", "Path", "Reason"];

    /// <summary>Path of the table of samples in a run folder.</summary>
    public static string SamplesFile(string runFolder) => Path.Combine(runFolder, "atlas", "samples.parquet");

    /// <summary>Takes over what is known before the network has seen an image: classes, network, layer. Finished classes are kept.</summary>
    public async Task DescriptionAsync(int key, string runFolder, CancellationToken cancellation)
    {
        var description = await ReadDescriptionAsync(runFolder, cancellation);
        await using var writer = await BulkWriter.BeginAsync(databases, cancellation);
        // A data set without classes gets them from the predictions, later and perhaps fewer.
        writer.Execute("DELETE FROM Classes WHERE AnalysisKey = $key AND \"Index\" >= $count", ("$key", key), ("$count", description.Classes.Count));
        foreach (var entry in description.Classes)
        {
            writer.Execute(
                """
                INSERT INTO Classes (AnalysisKey, "Index", Name, DisplayName, Label, Images, Concepts, Strategies, Outliers, Confounded, Ready)
                VALUES ($key, $index, $name, $display, $label, $images, 0, 0, 0, 0, 0)
                ON CONFLICT (AnalysisKey, "Index") DO UPDATE SET Name = excluded.Name, DisplayName = excluded.DisplayName, Label = excluded.Label, Images = excluded.Images
                """,
                ("$key", key), ("$index", entry.Index), ("$name", entry.Name), ("$display", entry.DisplayName), ("$label", entry.Label), ("$images", entry.Images));
        }

        writer.Execute(
            """
            UPDATE Analyses SET NetworkName = $network, Layer = $layer, DatasetName = $dataset, OutputNames = $outputs, Images = $images, Classes = $classes,
              Version = Version + 1
            WHERE "Key" = $key
            """,
            ("$key", key), ("$network", description.Network.Name), ("$layer", description.Layer.Name), ("$dataset", description.DatasetName),
            ("$outputs", JsonSerializer.Serialize(description.Network.Outputs, Json.Options)), ("$images", description.Images), ("$classes", description.Classes.Count));
        await writer.CommitAsync(cancellation);
    }

    /// <summary>Lists all samples. What is known of classes already is kept.</summary>
    public Task SamplesAsync(int key, string runFolder, CancellationToken cancellation) =>
        SamplesFromAsync(key, runFolder, SamplesFile(runFolder), cancellation);

    private async Task SamplesFromAsync(int key, string runFolder, string file, CancellationToken cancellation)
    {
        await using var stream = Open(file);
        var description = await ReadDescriptionAsync(runFolder, cancellation);
        var index = description.Classes.ToDictionary(entry => entry.Name, entry => entry.Index, StringComparer.Ordinal);
        var counts = new int[description.Classes.Count];
        await using var writer = await BulkWriter.BeginAsync(databases, cancellation);
        writer.Execute("DELETE FROM Samples WHERE AnalysisKey = $key", ("$key", key));
        await using var reader = await Parquet.ParquetReader.CreateAsync(stream, leaveStreamOpen: true, cancellationToken: cancellation);
        var total = 0;
        for (var group = 0; group < reader.RowGroupCount; group++)
        {
            stream.Position = 0;
            var rows = (await ParquetSerializer.DeserializeAsync<SampleRow>(stream, rowGroupIndex: group, cancellationToken: cancellation)).Data;
            total += rows.Count;
            writer.Insert("Samples", SampleColumns, rows.Select(row => Values(row)), cancellation);
        }

        foreach (var position in index.Values)
        {
            writer.Execute(
                "UPDATE Classes SET Images = $images WHERE AnalysisKey = $key AND \"Index\" = $index",
                ("$key", key), ("$index", position), ("$images", counts[position]));
        }

        writer.Execute(
            """
            UPDATE Classes SET
              Outliers = (SELECT COUNT(*) FROM Samples s WHERE s.AnalysisKey = $key AND s.Class = Classes."Index" AND s.OutlierKind <> ''),
              Confounded = (SELECT COUNT(*) FROM Samples s WHERE s.AnalysisKey = $key AND s.Class = Classes."Index" AND s.OutlierKind = 'confounded')
            WHERE AnalysisKey = $key
            """,
            ("$key", key));
        writer.Execute(
            """
            UPDATE Analyses SET Images = $images, Version = Version + 1,
              Accuracy = (SELECT AVG(CASE WHEN s.Label = s.Predicted THEN 1.0 ELSE 0.0 END) FROM Samples s WHERE s.AnalysisKey = $key AND s.Label IS NOT NULL)
            WHERE "Key" = $key
            """,
            ("$key", key), ("$images", total));
        await writer.CommitAsync(cancellation);

        object?[] Values(SampleRow row)
        {
            var position = index.GetValueOrDefault(row.Class, -1);
            if (position >= 0)
            {
                counts[position]++;
            }

            return
            [
                key, row.Index, row.Path, position, row.Label, row.Predicted, Finite(row.Confidence) ?? 0, Finite(row.Logit) ?? 0, row.Strategy,
                Finite(row.OutlierScore), row.OutlierRank, row.OutlierKind, row.OutlierReason,
            ];
        }
    }

    /// <summary>Takes over one class with its concepts and exemplars.</summary>
    public async Task ClassAsync(int key, string runFolder, int classIndex, CancellationToken cancellation)
    {
        var text = await ReadTextAsync(ClassArraysFile.AtlasPathOf(runFolder, classIndex), cancellation);
        ClassAtlas atlas;
        try
        {
            atlas = JsonSerializer.Deserialize<ClassAtlas>(text, Json.Options) ?? throw new JsonException("it is empty");
        }
        catch (JsonException fault)
        {
            throw new AnalysisException($"Class {classIndex} of the run cannot be read: {fault.Message}", "Resume the analysis; if it happens again, delete it and start a new one.", fault);
        }

        await using var writer = await BulkWriter.BeginAsync(databases, cancellation);
        writer.Execute(
            "DELETE FROM Exemplars WHERE AnalysisKey = $key AND Concept IN (SELECT Id FROM Concepts WHERE AnalysisKey = $key AND Class = $class)",
            ("$key", key), ("$class", classIndex));
        writer.Execute("DELETE FROM Concepts WHERE AnalysisKey = $key AND Class = $class", ("$key", key), ("$class", classIndex));
        writer.Insert(
            "Concepts",
            ConceptColumns,
            atlas.Concepts.Select(concept => new object?[]
            {
                key, concept.Id, classIndex, concept.Rank, concept.Shared, Finite(concept.Importance) ?? 0, Finite(concept.Prevalence) ?? 0,
                Finite(concept.Reliability) ?? 0, Finite(concept.Relevance), Finite(concept.Stability),
            }),
            cancellation);
        writer.Insert(
            "Exemplars",
            ExemplarColumns,
            atlas.Concepts.SelectMany(concept => concept.Exemplars.Select((exemplar, position) => new object?[]
            {
                key, concept.Id, position, exemplar.Sample, Finite(exemplar.Score) ?? 0, exemplar.Left, exemplar.Top, exemplar.Width, exemplar.Height, exemplar.Band,
            })),
            cancellation);
        writer.Execute(
            """
            INSERT INTO Classes (AnalysisKey, "Index", Name, DisplayName, Label, Accuracy, Images, Concepts, Strategies, Outliers, Confounded, Ready, Atlas)
            VALUES ($key, $index, $name, $display, $label, $accuracy, $images, $concepts, $strategies, 0, 0, 1, $atlas)
            ON CONFLICT (AnalysisKey, "Index") DO UPDATE SET Name = excluded.Name, DisplayName = excluded.DisplayName, Label = excluded.Label,
              Accuracy = excluded.Accuracy, Concepts = excluded.Concepts, Strategies = excluded.Strategies, Ready = 1, Atlas = excluded.Atlas
            """,
            ("$key", key), ("$index", classIndex), ("$name", atlas.Name), ("$display", atlas.DisplayName), ("$label", atlas.Label),
            ("$accuracy", Finite(atlas.Accuracy)), ("$images", atlas.Strategies.Sum(strategy => strategy.Size)), ("$concepts", atlas.Concepts.Count),
            ("$strategies", atlas.Strategies.Count), ("$atlas", text));
        writer.Execute(
            """
            UPDATE Analyses SET Version = Version + 1, Concepts = (SELECT COUNT(*) FROM Concepts WHERE AnalysisKey = $key) WHERE "Key" = $key
            """,
            ("$key", key));
        await writer.CommitAsync(cancellation);
    }

    /// <summary>Takes over the final tables: outliers, shared concepts, files left out.</summary>
    public async Task FinishAsync(int key, string runFolder, CancellationToken cancellation)
    {
        var text = await ReadTextAsync(Path.Combine(runFolder, "manifest.json"), cancellation);
        using var manifest = JsonDocument.Parse(text);
        var final = Path.Combine(runFolder, "samples.parquet");
        await SamplesFromAsync(key, runFolder, File.Exists(final) ? final : SamplesFile(runFolder), cancellation);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(runFolder, "atlas", "classes"), "*.json").Order(StringComparer.Ordinal))
        {
            if (int.TryParse(Path.GetFileNameWithoutExtension(file), out var classIndex))
            {
                await ClassAsync(key, runFolder, classIndex, cancellation);
            }
        }

        var root = manifest.RootElement;
        await using var writer = await BulkWriter.BeginAsync(databases, cancellation);
        writer.Execute("DELETE FROM Skipped WHERE AnalysisKey = $key", ("$key", key));
        if (root.TryGetProperty("skipped", out var skipped))
        {
            writer.Insert(
                "Skipped",
                SkippedColumns,
                skipped.EnumerateArray().Select((entry, position) => new object?[] { key, position, Text(entry, "path"), Text(entry, "reason") }),
                cancellation);
        }

        writer.Execute("UPDATE Analyses SET Version = Version + 1 WHERE \"Key\" = $key", ("$key", key));
        await writer.CommitAsync(cancellation);
    }

    private static string Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    private static double? Finite(double? value) => value is { } number && double.IsFinite(number) ? number : null;

    private static async Task<RunDescription> ReadDescriptionAsync(string runFolder, CancellationToken cancellation) =>
        JsonSerializer.Deserialize<RunDescription>(await ReadTextAsync(RunDescription.PathOf(runFolder), cancellation), Json.Options)
        ?? throw new AnalysisException("The engine's description of the run is empty.", "Resume the analysis to write it again.");

    private static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1 << 16, FileOptions.Asynchronous);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Missing(path, fault);
        }
    }

    private static async Task<string> ReadTextAsync(string path, CancellationToken cancellation)
    {
        try
        {
            return await File.ReadAllTextAsync(path, cancellation);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Missing(path, fault);
        }
    }

    private static AnalysisException Missing(string path, Exception fault) =>
        new($"The engine's file {Path.GetFileName(path)} cannot be read: {fault.Message}", "Resume the analysis to write it again.", fault);
}
