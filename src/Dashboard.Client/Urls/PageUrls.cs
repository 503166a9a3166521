namespace Dashboard.Client.Urls;

/// <summary>Addresses of pages, in one place. State such as a selection or a filter goes into the query.</summary>
public static class PageUrls
{
    /// <summary>Home.</summary>
    public const string Home = "/";

    /// <summary>New analysis.</summary>
    public const string New = "/new";

    /// <summary>The live page of an analysis.</summary>
    public static string Analysis(string id) => $"/analyses/{id}";

    /// <summary>The atlas; tab is classes, shared or outliers.</summary>
    public static string Atlas(string id, string? tab = null) => $"/analyses/{id}/atlas" + (tab is null ? "" : $"?tab={tab}");

    /// <summary>Comparison of methods and runs; of an analysis where one is given.</summary>
    public static string Compare(string? id = null) => "/compare" + (id is null ? "" : $"?analysis={id}");

    /// <summary>Runs side by side.</summary>
    public static string CompareRuns(params IEnumerable<string> ids) => "/compare?runs=" + string.Join(',', ids);

    /// <summary>A class.</summary>
    public static string Class(string id, int classIndex) => FormattableString.Invariant($"/analyses/{id}/classes/{classIndex}");

    /// <summary>A strategy of a class.</summary>
    public static string Strategy(string id, int classIndex, int strategy) => FormattableString.Invariant($"/analyses/{id}/classes/{classIndex}/strategies/{strategy}");

    /// <summary>A concept.</summary>
    public static string Concept(string id, int concept) => FormattableString.Invariant($"/analyses/{id}/concepts/{concept}");

    /// <summary>Labels of neurons and concepts; unit is <c>n12</c> or <c>c30</c>.</summary>
    public static string Labels(string id, string? unit = null) => $"/analyses/{id}/labels" + (unit is null ? "" : $"?unit={unit}");

    /// <summary>Smallest changes of images for a concept.</summary>
    public static string Backpropagation(string id) => $"/analyses/{id}/backpropagation";

    /// <summary>Concepts that people defined, with their probes.</summary>
    public static string Probes(string id) => $"/analyses/{id}/probes";

    /// <summary>One concept that a person defined, with its probe.</summary>
    public static string Probe(string id, string userConcept) => $"/analyses/{id}/probes/{userConcept}";

    /// <summary>Defines a concept; <paramref name="from"/> is classes, samples, attribute, region, concept or neuron.</summary>
    public static string DefineConcept(string id, string? from = null, int? unit = null) =>
        $"/analyses/{id}/probes/new" + (from is null ? "" : $"?from={from}" + (unit is null ? "" : FormattableString.Invariant($"&unit={unit}")));

    /// <summary>Remove and retrain: what a concept loses without the images that teach it; concept is a code as in the page of smallest changes.</summary>
    public static string Retraining(string id, string? concept = null) => $"/analyses/{id}/retraining" + (concept is null ? "" : "?concept=" + Uri.EscapeDataString(concept));

    /// <summary>Which training images taught it.</summary>
    public static string TrainingImages(string id) => $"/analyses/{id}/training-images";

    /// <summary>An image of one's own by the hash of its file; without one the place to bring it.</summary>
    public static string OwnImage(string id, string? hash = null) => $"/analyses/{id}/images" + (hash is null ? "" : "/" + hash);

    /// <summary>Search over all images by concepts and by likeness; like is a sample's row.</summary>
    public static string Search(string id, int? like = null, int? with = null) =>
        $"/analyses/{id}/search" + (like is not null ? FormattableString.Invariant($"?like={like}") : with is not null ? FormattableString.Invariant($"?with={with}") : "");

    /// <summary>A sample.</summary>
    public static string Sample(string id, int sample) => FormattableString.Invariant($"/analyses/{id}/samples/{sample}");

    /// <summary>Outliers, filtered by kind and class.</summary>
    public static string Outliers(string id, string? kind = null, int? classIndex = null)
    {
        var query = new List<string>(2);
        if (kind is not null)
        {
            query.Add("kind=" + Uri.EscapeDataString(kind));
        }

        if (classIndex is not null)
        {
            query.Add(FormattableString.Invariant($"class={classIndex}"));
        }

        return $"/analyses/{id}/outliers" + (query.Count == 0 ? "" : "?" + string.Join('&', query));
    }
}
