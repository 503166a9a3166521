using Analysis;
using Analysis.Atlas;

namespace Dashboard.Server.Services;

/// <summary>Keeps the arrays of the classes looked at last, until their files change.</summary>
internal sealed class ClassArraysCache
{
    private const int Most = 32;
    private readonly Lock _gate = new();
    private readonly LinkedList<(string Path, DateTime Written, ClassArrays Data)> _recent = new();

    /// <summary>The arrays without the maps; null where the class has none (yet).</summary>
    /// <exception cref="AnalysisException">The file is damaged.</exception>
    public ClassArrays? Find(string runFolder, int classIndex)
    {
        var path = ClassArraysFile.PathOf(runFolder, classIndex);
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

        var data = ClassArraysFile.Read(path, maps: false);
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
    /// <exception cref="AnalysisException">The file is damaged.</exception>
    public float[]? Map(string runFolder, int classIndex, int sample, int rank) =>
        Find(runFolder, classIndex) is { } data && data.PositionOf(sample) is >= 0 and var position
            ? ClassArraysFile.ReadMap(ClassArraysFile.PathOf(runFolder, classIndex), data, position, rank)
            : null;
}
