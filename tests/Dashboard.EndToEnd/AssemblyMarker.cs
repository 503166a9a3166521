namespace Dashboard.EndToEnd;

/// <summary>Marks the assembly.</summary>
internal static class AssemblyMarker;
