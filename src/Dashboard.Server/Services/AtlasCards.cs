using Analysis.Atlas;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Server.Data;

namespace Dashboard.Server.Services;

/// <summary>Concepts as pages show them, from what the engine found and what people wrote.</summary>
internal static class AtlasCards
{
    /// <summary>The class of an output; null where none maps to it.</summary>
    public static int? Find(Dictionary<int, int> classes, int output) => classes.TryGetValue(output, out var index) ? index : null;

    /// <summary>The strongest concepts of a class are often clearest in the same image: beside each other they show different ones.</summary>
    public static List<ConceptTile> Distinct(List<ConceptTile> tiles, ILookup<int, (int Index, int Sample)> exemplars)
    {
        var shown = new HashSet<int>();
        return tiles.ConvertAll(tile =>
        {
            var free = exemplars[tile.Id].Where(exemplar => !shown.Contains(exemplar.Sample)).ToList();
            var chosen = free.Count > 0 ? free[0] : exemplars[tile.Id].FirstOrDefault();
            shown.Add(chosen.Sample);
            return tile with { Exemplar = chosen.Index };
        });
    }

    /// <summary>A concept of the catalogue as a tile.</summary>
    public static ConceptTile Tile(ConceptEntity row, ConceptNames names) => Tile(row.Id, row.Rank, row.Importance, names);

    /// <summary>A concept of a class's result as a tile.</summary>
    public static ConceptTile Tile(ConceptEntry row, ConceptNames names) => Tile(row.Id, row.Rank, row.Importance, names);

    /// <summary>A concept with all that a class page shows of it.</summary>
    public static ConceptCard Card(
        ConceptEntry entry, ConceptNames names, Dictionary<int, int> classes, Dictionary<int, bool?> correct, Dictionary<int, AnnotationEntity> put) => new()
    {
        Id = entry.Id,
        Rank = entry.Rank,
        Name = names.Of(entry.Id),
        Label = names.Labels.OfConcept(entry.Id),
        Hidden = put.GetValueOrDefault(entry.Id)?.Verdict == AnnotationEntity.Hidden,
        Into = put.GetValueOrDefault(entry.Id)?.ListedUnder(),
        Importance = entry.Importance,
        ImportanceSpread = entry.ImportanceSpread,
        Prevalence = entry.Prevalence,
        ActiveShare = entry.ActiveShare,
        Reliability = entry.Reliability,
        Relevance = entry.Relevance,
        Stability = entry.Stability,
        Shared = entry.Shared,
        Direction = entry.Direction,
        Cluster = entry.Cluster,
        Spread = entry.Spread,
        Channel = entry.Channel,
        ChannelCosine = entry.ChannelCosine,
        StrongestFor = entry.StrongestFor,
        X = entry.X,
        Y = entry.Y,
        Alignment = [.. entry.Alignment.Select(alignment => new AlignmentView(alignment.Output, alignment.Name, alignment.Cosine, Find(classes, alignment.Output)))],
        Exemplars = [.. entry.Exemplars.Select((exemplar, index) => new ExemplarView(index, exemplar.Sample, exemplar.Score, exemplar.Band, correct.GetValueOrDefault(exemplar.Sample)))],
        Histogram = entry.Histogram,
        HistogramFrom = entry.HistogramFrom,
        HistogramTo = entry.HistogramTo,
        Notes = entry.Notes,
    };

    /// <summary>Name of an output; "output 3" where it has none.</summary>
    public static string Name(IReadOnlyList<string> outputs, int output) =>
        output >= 0 && output < outputs.Count && outputs[output].Length > 0 ? outputs[output] : FormattableString.Invariant($"output {output}");

    private static ConceptTile Tile(int id, int rank, double share, ConceptNames names) =>
        new(id, names.Of(id) ?? Names.Code(rank), rank, share, Label: names.Labels.OfConcept(id));
}
