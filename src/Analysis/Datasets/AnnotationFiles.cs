namespace Analysis.Datasets;

/// <summary>Files in a data set's folder that describe its samples instead of being one; they are never listed as left out.</summary>
public static class AnnotationFiles
{
    /// <summary>Table of attributes: a column <c>path</c> and any number of others.</summary>
    public const string Attributes = "attributes.csv";

    /// <summary>Tree of classes: nested objects with name, id and children.</summary>
    public const string Hierarchy = "hierarchy.json";

    /// <summary>True for a file at the root of a data set that describes its samples.</summary>
    /// <param name="path">Path relative to the root, with forward slashes.</param>
    public static bool Contains(string path) => path is Attributes or Hierarchy;
}
