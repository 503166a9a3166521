namespace Dashboard.Server.Tests;

/// <summary>Marks the assembly.</summary>
internal static class AssemblyMarker;
