namespace Analysis.Atlas;

/// <summary>A class to analyse.</summary>
/// <param name="Description">Name, output and index.</param>
/// <param name="Rows">Rows of its images, ascending.</param>
public sealed record ClassRows(ClassDescription Description, int[] Rows);

/// <summary>Mean activation of a class.</summary>
/// <param name="Class">Index of the class.</param>
/// <param name="Name">Name for display.</param>
/// <param name="Mean">Mean pooled activation. Length C.</param>
public sealed record ClassMean(int Class, string Name, double[] Mean);

/// <summary>Everything that is written for one class.</summary>
/// <param name="Atlas">What pages show.</param>
/// <param name="Arrays">Per-image arrays.</param>
/// <param name="Coefficients">U, n×k row by row.</param>
/// <param name="Vectors">V, k×C row by row.</param>
/// <param name="Residual">What the concepts leave of the pooled activation, relative to its length; NaN where that is zero. Length n.</param>
public sealed record ClassResult(ClassAtlas Atlas, ClassArrays Arrays, float[] Coefficients, float[] Vectors, float[] Residual);
