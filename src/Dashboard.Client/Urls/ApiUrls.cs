namespace Dashboard.Client.Urls;

/// <summary>Addresses of pictures and binary data, in one place.</summary>
public static class ApiUrls
{
    /// <summary>A sample's picture as a square WebP thumbnail of the given size (48, 96, 192 or 384 pixels).</summary>
    public static string Thumbnail(string analysisId, int sample, int size) =>
        FormattableString.Invariant($"/api/analyses/{analysisId}/samples/{sample}/thumbnail?size={size}");

    /// <summary>Where an image of one's own is sent to.</summary>
    public static string OwnImages(string analysisId) => $"/api/analyses/{analysisId}/images";

    /// <summary>An image of one's own as a square WebP thumbnail of the given size (48, 96, 192 or 384 pixels).</summary>
    public static string OwnThumbnail(string analysisId, string hash, int size) => FormattableString.Invariant($"/api/analyses/{analysisId}/images/{hash}/thumbnail?size={size}");

    /// <summary>The crop of a concept's exemplar as a square WebP.</summary>
    public static string Crop(string analysisId, int concept, int exemplar, int size) =>
        FormattableString.Invariant($"/api/analyses/{analysisId}/concepts/{concept}/exemplars/{exemplar}/crop?size={size}");

    /// <summary>The concept's map over a sample: a square picture with an alpha channel, to lay over the thumbnail.</summary>
    public static string Map(string analysisId, int concept, int sample) =>
        FormattableString.Invariant($"/api/analyses/{analysisId}/concepts/{concept}/maps/{sample}");

    /// <summary>Points of a class's strategic cluster graph, binary (docs/file-formats.md, point clouds).</summary>
    public static string ClassPoints(string analysisId, int classIndex) =>
        FormattableString.Invariant($"/api/analyses/{analysisId}/classes/{classIndex}/points");

    /// <summary>Points of the map of all concepts, binary (docs/file-formats.md, point clouds).</summary>
    public static string ConceptPoints(string analysisId) => $"/api/analyses/{analysisId}/concepts/points";

    /// <summary>How many concepts each two classes share, binary (docs/file-formats.md).</summary>
    public static string ShareMatrix(string analysisId) => $"/api/analyses/{analysisId}/concepts/shared";

    /// <summary>A concept in short, as JSON.</summary>
    public static string ConceptTile(string analysisId, int concept) => FormattableString.Invariant($"/api/analyses/{analysisId}/concepts/{concept}/tile");

    /// <summary>The class page as one self-contained HTML file.</summary>
    public static string ClassReport(string analysisId, int classIndex) =>
        FormattableString.Invariant($"/api/analyses/{analysisId}/classes/{classIndex}/report");

    /// <summary>The outlier list as one self-contained HTML file.</summary>
    public static string OutlierReport(string analysisId) => $"/api/analyses/{analysisId}/outliers/report";

    /// <summary>A file that a task beside the analysis made.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="taskId">The task.</param>
    /// <param name="name">Name of the file, without a folder.</param>
    /// <param name="version">Sequence number of the state that named it, so that a browser fetches a changed preview again; null for a finished file.</param>
    public static string TaskFile(string analysisId, string taskId, string name, long? version = null) =>
        $"/api/analyses/{analysisId}/tasks/{taskId}/files/{Uri.EscapeDataString(name)}" + (version is { } v ? FormattableString.Invariant($"?v={v}") : "");

    /// <summary>A picture of a data set preview, prepared as the network sees it when <paramref name="network"/> is given.</summary>
    public static string Preview(string token, int sample, string? network = null) =>
        FormattableString.Invariant($"/api/previews/{token}/{sample}") + (network is null ? "" : "?network=" + Uri.EscapeDataString(network));
}
