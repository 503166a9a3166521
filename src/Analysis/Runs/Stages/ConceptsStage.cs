using System.Globalization;
using System.Text.Json;
using Analysis.Atlas;
using Analysis.Numerics;

namespace Analysis.Runs.Stages;

/// <summary>Builds the atlas of each class; a finished class is a checkpoint and can be browsed.</summary>
internal static class ConceptsStage
{
    /// <summary>Runs the stage.</summary>
    /// <param name="classes">All classes in order.</param>
    /// <param name="builder">Builds a class.</param>
    /// <param name="scores">Relevance of directions, K×J.</param>
    /// <param name="predicted">Predicted output of every row.</param>
    /// <param name="folder">The artefact's folder.</param>
    /// <param name="resultFolder">Result folder, into which finished classes are copied.</param>
    /// <param name="ready">Called for each class, with the number of finished ones.</param>
    /// <param name="cancellation">Honoured between classes and inside.</param>
    /// <returns>True where every class was there already.</returns>
    public static bool Run(
        IReadOnlyList<ClassRows> classes,
        ClassAtlasBuilder builder,
        DenseMatrix scores,
        int[] predicted,
        string folder,
        string resultFolder,
        Action<int, int> ready,
        CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        Directory.CreateDirectory(Path.GetDirectoryName(ClassArraysFile.PathOf(resultFolder, 0))!);
        var reused = true;
        for (var i = 0; i < classes.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var members = classes[i];
            var name = members.Description.Index.ToString("0000", CultureInfo.InvariantCulture);
            var (arrays, atlas) = (Path.Combine(folder, name + ".safetensors"), Path.Combine(folder, name + ".json"));
            // The text is written last: where it stands, the arrays do too.
            if (!File.Exists(atlas) || !File.Exists(arrays))
            {
                reused = false;
                var output = members.Description.Label ?? MostFrequent(members.Rows, predicted);
                var result = members.Rows.Length == 0
                    ? EmptyClass.Create(members.Description)
                    : builder.Build(members, scores.Row(Math.Max(0, output)), cancellation);
                Guard(arrays, () => ClassArraysFile.Write(arrays, result.Arrays, result.Coefficients, result.Vectors, result.Residual));
                AtomicFile.WriteText(atlas, JsonSerializer.Serialize(result.Atlas, AnalysisJson.Line));
            }

            Guard(arrays, () =>
            {
                Copy(arrays, ClassArraysFile.PathOf(resultFolder, members.Description.Index));
                Copy(atlas, ClassArraysFile.AtlasPathOf(resultFolder, members.Description.Index));
            });
            ready(members.Description.Index, i + 1);
        }

        return reused;
    }

    private static void Copy(string source, string target)
    {
        var temporary = target + ".partial";
        File.Copy(source, temporary, overwrite: true);
        File.Move(temporary, target, overwrite: true);
    }

    private static void Guard(string path, Action write)
    {
        try
        {
            write();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(path, failure);
        }
    }

    private static int MostFrequent(int[] rows, int[] predicted) =>
        rows.Length == 0 ? -1 : rows.GroupBy(r => predicted[r]).OrderByDescending(g => g.Count()).ThenBy(g => g.Key).First().Key;
}
