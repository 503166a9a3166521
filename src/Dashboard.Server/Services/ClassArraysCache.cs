using Analysis;
using Analysis.Networks.Files;
using Dashboard.Server.Jobs;

namespace Dashboard.Server.Services;

/// <summary>The arrays of one class that pages need; see <see cref="Analysis.Atlas.ClassArrays"/> for their meaning.</summary>
internal sealed class ClassData
{
    public required int[] Sample { get; init; }

    public required float[] Layout { get; init; }

    public required int[] Strategy { get; init; }

    public required int[] Strongest { get; init; }

    public required int[] Target { get; init; }

    public required int[] RunnerUp { get; init; }

    public required int Concepts { get; init; }

    public required float[] Contributions { get; init; }

    public required float[] Against { get; init; }

    public required int MapHeight { get; init; }

    public required int MapWidth { get; init; }

    public required float[] MapScale { get; init; }

    /// <summary>Concept vectors, k×C row by row; empty where the file has none.</summary>
    public required float[] Vectors { get; init; }

    /// <summary>Position of a sample among the class's images; negative where it is none of them.</summary>
    public int PositionOf(int sample) => Array.BinarySearch(Sample, sample);
}

/// <summary>Keeps the arrays of the classes looked at last, until their files change.</summary>
internal sealed class ClassArraysCache
{
    private const int Most = 32;
    private readonly Lock _gate = new();
    private readonly LinkedList<(string Path, DateTime Written, ClassData Data)> _recent = new();

    /// <summary>The arrays; null where the class has none (yet).</summary>
    /// <exception cref="AnalysisException">The file is damaged.</exception>
    public ClassData? Find(string runFolder, int classIndex)
    {
        var path = AtlasIngestion.ArraysFile(runFolder, classIndex);
        if (!File.Exists(path))
        {
            return null;
        }

        var written = File.GetLastWriteTimeUtc(path);
        lock (_gate)
        {
            for (var node = _recent.First; node is not null; node = node.Next)
            {
                if (node.Value.Path == path)
                {
                    _recent.Remove(node);
                    if (node.Value.Written == written)
                    {
                        _recent.AddFirst(node);
                        return node.Value.Data;
                    }

                    break;
                }
            }
        }

        var data = Read(path);
        lock (_gate)
        {
            _recent.AddFirst((path, written, data));
            while (_recent.Count > Most)
            {
                _recent.RemoveLast();
            }
        }

        return data;
    }

    /// <summary>The concept map of one image: h×w values; null where there is none.</summary>
    public float[]? Map(string runFolder, int classIndex, int sample, int rank)
    {
        if (Find(runFolder, classIndex) is not { } data || data.PositionOf(sample) is not (>= 0 and var position)
            || rank < 0 || rank >= data.Concepts || data.MapHeight * data.MapWidth == 0)
        {
            return null;
        }

        using var file = SafetensorsFile.Open(AtlasIngestion.ArraysFile(runFolder, classIndex));
        var cells = data.MapHeight * data.MapWidth;
        var bytes = file.Bytes("maps");
        var start = checked(((position * data.Concepts) + rank) * cells);
        if (start + cells > bytes.Length)
        {
            return null;
        }

        var map = new float[cells];
        for (var cell = 0; cell < cells; cell++)
        {
            map[cell] = (bytes[start + cell] - 128) / 127f * data.MapScale[rank];
        }

        return map;
    }

    private static ClassData Read(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var maps = file.Entry("maps").Shape;
        var data = new ClassData
        {
            Sample = file.Span<int>("sample").ToArray(),
            Layout = file.Span<float>("layout").ToArray(),
            Strategy = file.Span<int>("strategy").ToArray(),
            Strongest = file.Span<int>("strongest").ToArray(),
            Target = file.Span<int>("target").ToArray(),
            RunnerUp = file.Span<int>("runner_up").ToArray(),
            Concepts = (int)maps[1],
            Contributions = file.Span<float>("contributions").ToArray(),
            Against = file.Span<float>("against").ToArray(),
            MapHeight = (int)maps[2],
            MapWidth = (int)maps[3],
            MapScale = file.Span<float>("map_scale").ToArray(),
            Vectors = file.Entries.ContainsKey("concept_vectors") ? file.Span<float>("concept_vectors").ToArray() : [],
        };
        var n = data.Sample.Length;
        if (data.Layout.Length != 2 * n || data.Strategy.Length != n || data.Strongest.Length != n || data.Target.Length != n || data.RunnerUp.Length != n
            || data.Contributions.Length != n * (data.Concepts + 1) || data.Against.Length != n * (data.Concepts + 1) || data.MapScale.Length != data.Concepts)
        {
            throw new AnalysisException($"The arrays in {Path.GetFileName(path)} do not fit together.", "Resume the analysis to write them again.");
        }

        return data;
    }
}
