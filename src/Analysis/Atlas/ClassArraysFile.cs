using System.Globalization;
using Analysis.Networks.Files;

namespace Analysis.Atlas;

/// <summary>Reads and writes <see cref="ClassArrays"/> as <c>atlas/classes/NNNN.safetensors</c>. Needs no tensor library.</summary>
public static class ClassArraysFile
{
    /// <summary>Path of a class's arrays below the result folder.</summary>
    public static string PathOf(string resultFolder, int classIndex) =>
        Path.Combine(resultFolder, "atlas", "classes", classIndex.ToString("0000", CultureInfo.InvariantCulture) + ".safetensors");

    /// <summary>Path of a class's <see cref="ClassAtlas"/> below the result folder.</summary>
    public static string AtlasPathOf(string resultFolder, int classIndex) => Path.ChangeExtension(PathOf(resultFolder, classIndex), ".json");

    /// <summary>Reads the arrays and checks that they fit together.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maps">False leaves <see cref="ClassArrays.Maps"/>, by far the largest, empty; <see cref="ReadMap"/> reads single ones.</param>
    /// <exception cref="AnalysisException">The file is missing or damaged.</exception>
    public static ClassArrays Read(string path, bool maps = true)
    {
        using var file = SafetensorsFile.Open(path);
        var shape = file.Entry("maps").Shape;
        var arrays = new ClassArrays
        {
            Sample = file.Span<int>("sample").ToArray(),
            Layout = file.Span<float>("layout").ToArray(),
            Strategy = file.Span<int>("strategy").ToArray(),
            Strongest = file.Span<int>("strongest").ToArray(),
            Predicted = file.Span<int>("predicted").ToArray(),
            Target = file.Span<int>("target").ToArray(),
            RunnerUp = file.Span<int>("runner_up").ToArray(),
            Concepts = shape.Count == 4 ? (int)shape[1] : -1,
            Contributions = file.Span<float>("contributions").ToArray(),
            Against = file.Span<float>("against").ToArray(),
            MapHeight = shape.Count == 4 ? (int)shape[2] : 0,
            MapWidth = shape.Count == 4 ? (int)shape[3] : 0,
            MapScale = file.Span<float>("map_scale").ToArray(),
            Maps = maps ? file.Bytes("maps").ToArray() : default,
            Vectors = file.Entries.ContainsKey("concept_vectors") ? file.Span<float>("concept_vectors").ToArray() : [],
        };
        var n = arrays.Sample.Length;
        if (shape.Count != 4 || shape[0] != n || arrays.Layout.Length != 2 * n || arrays.Strategy.Length != n || arrays.Strongest.Length != n
            || arrays.Predicted.Length != n || arrays.Target.Length != n || arrays.RunnerUp.Length != n
            || arrays.Contributions.Length != n * (arrays.Concepts + 1) || arrays.Against.Length != n * (arrays.Concepts + 1)
            || arrays.MapScale.Length != arrays.Concepts)
        {
            throw new AnalysisException($"The arrays in {Path.GetFileName(path)} do not fit together.", "Resume the analysis to write them again.");
        }

        return arrays;
    }

    /// <summary>Concept vectors V alone, k×C row by row; empty where the file has none. A small part of the file.</summary>
    /// <exception cref="AnalysisException">The file is missing or damaged.</exception>
    public static float[] ReadVectors(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return file.Entries.ContainsKey("concept_vectors") ? file.Span<float>("concept_vectors").ToArray() : [];
    }

    /// <summary>One concept vector, length C; empty where the file has none of this rank.</summary>
    /// <param name="path">The file.</param>
    /// <param name="rank">Rank of the concept in its class.</param>
    /// <exception cref="AnalysisException">The file is missing or damaged.</exception>
    public static float[] ReadVector(string path, int rank)
    {
        using var file = SafetensorsFile.Open(path);
        return file.TryGet("concept_vectors", out var entry) && entry.Shape.Count == 2 && rank >= 0 && rank < entry.Shape[0]
            ? file.Rows<float>("concept_vectors", rank, 1).ToArray()
            : [];
    }

    /// <summary>Rows of the class's images alone; empty where there is no file.</summary>
    /// <exception cref="AnalysisException">The file is damaged.</exception>
    public static int[] ReadSamples(string path)
    {
        if (!File.Exists(path))
        {
            return [];
        }

        using var file = SafetensorsFile.Open(path);
        return file.Span<int>("sample").ToArray();
    }

    /// <summary>What two analyses of a class are compared by: a small part of the file, which stays open until the outline is disposed.</summary>
    /// <param name="path">The file.</param>
    /// <param name="coefficients">True for the coefficients, false for the concept vectors.</param>
    /// <exception cref="AnalysisException">The file is missing or damaged.</exception>
    public static ClassOutline ReadOutline(string path, bool coefficients)
    {
        var file = SafetensorsFile.Open(path);
        try
        {
            return new ClassOutline(file, coefficients);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The concept map of one image, h×w values row by row; null where the class has no maps or no such concept.</summary>
    /// <param name="path">The file.</param>
    /// <param name="arrays">What <see cref="Read"/> gave for it, with or without maps.</param>
    /// <param name="position">Position of the image in the class.</param>
    /// <param name="concept">Rank of the concept.</param>
    /// <exception cref="AnalysisException">The file is missing or damaged.</exception>
    public static float[]? ReadMap(string path, ClassArrays arrays, int position, int concept)
    {
        var cells = arrays.MapHeight * arrays.MapWidth;
        if (cells == 0 || concept < 0 || concept >= arrays.Concepts || position < 0 || position >= arrays.Sample.Length)
        {
            return null;
        }

        using var file = SafetensorsFile.Open(path);
        var bytes = file.Bytes("maps");
        var start = checked(((position * arrays.Concepts) + concept) * cells);
        if (start + cells > bytes.Length)
        {
            return null;
        }

        var map = new float[cells];
        for (var cell = 0; cell < cells; cell++)
        {
            map[cell] = (bytes[start + cell] - 128) / 127f * arrays.MapScale[concept];
        }

        return map;
    }

    /// <summary>Writes the arrays with three more that only the engine reads.</summary>
    /// <param name="path">Target.</param>
    /// <param name="arrays">The arrays.</param>
    /// <param name="coefficients">Coefficients U, n×k.</param>
    /// <param name="vectors">Concept vectors V, k×C.</param>
    /// <param name="residual">||a − uV|| / ||a|| per image, NaN where a is zero; length n.</param>
    public static void Write(string path, ClassArrays arrays, float[] coefficients, float[] vectors, float[] residual)
    {
        long n = arrays.Sample.Length, k = arrays.Concepts;
        using var writer = SafetensorsWriter.Create(path,
        [
            ("sample", new TensorHeader(ElementType.Int32, [n])),
            ("layout", new TensorHeader(ElementType.Float32, [n, 2])),
            ("strategy", new TensorHeader(ElementType.Int32, [n])),
            ("strongest", new TensorHeader(ElementType.Int32, [n])),
            ("predicted", new TensorHeader(ElementType.Int32, [n])),
            ("target", new TensorHeader(ElementType.Int32, [n])),
            ("runner_up", new TensorHeader(ElementType.Int32, [n])),
            ("contributions", new TensorHeader(ElementType.Float32, [n, k + 1])),
            ("against", new TensorHeader(ElementType.Float32, [n, k + 1])),
            ("map_scale", new TensorHeader(ElementType.Float32, [k])),
            ("coefficients", new TensorHeader(ElementType.Float32, [n, k])),
            ("concept_vectors", new TensorHeader(ElementType.Float32, [k, k == 0 ? 0 : vectors.Length / k])),
            ("residual", new TensorHeader(ElementType.Float32, [n])),
            ("maps", new TensorHeader(ElementType.UInt8, [n, k, arrays.MapHeight, arrays.MapWidth])),
        ]);
        writer.Write<int>("sample", arrays.Sample);
        writer.Write<float>("layout", arrays.Layout);
        writer.Write<int>("strategy", arrays.Strategy);
        writer.Write<int>("strongest", arrays.Strongest);
        writer.Write<int>("predicted", arrays.Predicted);
        writer.Write<int>("target", arrays.Target);
        writer.Write<int>("runner_up", arrays.RunnerUp);
        writer.Write<float>("contributions", arrays.Contributions);
        writer.Write<float>("against", arrays.Against);
        writer.Write<float>("map_scale", arrays.MapScale);
        writer.Write<float>("coefficients", coefficients);
        writer.Write<float>("concept_vectors", vectors);
        writer.Write<float>("residual", residual);
        writer.Write("maps", arrays.Maps.Span);
        writer.Complete();
    }
}
