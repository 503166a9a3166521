namespace Dashboard.Client.Tests;

/// <summary>Marks the assembly.</summary>
internal static class AssemblyMarker;
