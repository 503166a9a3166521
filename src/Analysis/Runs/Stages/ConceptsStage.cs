using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using Analysis.Atlas;

namespace Analysis.Runs.Stages;

/// <summary>Builds the atlas of each class; a finished class is a checkpoint and can be browsed.</summary>
internal static class ConceptsStage
{
    /// <summary>Runs the stage.</summary>
    /// <param name="classes">All classes in order.</param>
    /// <param name="builder">Builds a class.</param>
    /// <param name="folder">The artefact's folder.</param>
    /// <param name="resultFolder">Result folder, into which finished classes are copied.</param>
    /// <param name="parallel">Classes built at the same time; 1 where they need the network, which serves one thread.</param>
    /// <param name="ready">Called for each class, with the number of finished ones, by one thread at a time.</param>
    /// <param name="cancellation">Honoured between classes and inside.</param>
    /// <returns>True where every class was there already.</returns>
    public static bool Run(
        IReadOnlyList<ClassRows> classes,
        ClassAtlasBuilder builder,
        string folder,
        string resultFolder,
        int parallel,
        Action<int, int> ready,
        CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        Directory.CreateDirectory(Path.GetDirectoryName(ClassArraysFile.PathOf(resultFolder, 0))!);
        var reused = true;
        var done = 0;
        Lock gate = new();
        try
        {
            Parallel.ForEach(classes, new ParallelOptions { MaxDegreeOfParallelism = parallel, CancellationToken = cancellation }, members =>
            {
                var there = One(members, builder, folder, resultFolder, cancellation);
                lock (gate)
                {
                    reused &= there;
                    ready(members.Description.Index, ++done);
                }
            });
        }
        catch (AggregateException failures)
        {
            cancellation.ThrowIfCancellationRequested();
            // The first failure is the one to report; the others are most often the same.
            ExceptionDispatchInfo.Capture(failures.InnerExceptions[0]).Throw();
        }

        return reused;
    }

    /// <summary>Builds one class where it is not there yet and copies it into the result folder.</summary>
    private static bool One(
        ClassRows members, ClassAtlasBuilder builder, string folder, string resultFolder, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var name = members.Description.Index.ToString("0000", CultureInfo.InvariantCulture);
        var (arrays, atlas) = (Path.Combine(folder, name + ".safetensors"), Path.Combine(folder, name + ".json"));
        // The text is written last: where it stands, the arrays do too.
        var there = File.Exists(atlas) && File.Exists(arrays);
        if (!there)
        {
            var result = members.Rows.Length == 0
                ? EmptyClass.Create(members.Description)
                : builder.Build(members, cancellation);
            Guard(arrays, () => ClassArraysFile.Write(arrays, result.Arrays, result.Coefficients, result.Vectors, result.Residual));
            AtomicFile.WriteText(atlas, JsonSerializer.Serialize(result.Atlas, AnalysisJson.Line));
        }

        Guard(arrays, () =>
        {
            Copy(arrays, ClassArraysFile.PathOf(resultFolder, members.Description.Index));
            Copy(atlas, ClassArraysFile.AtlasPathOf(resultFolder, members.Description.Index));
        });
        return there;
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
}
