using Analysis.Importance.Estimators;

namespace Analysis.Importance;

/// <summary>All estimators of importance by name.</summary>
public static class ImportanceCatalogue
{
    /// <summary>The estimators in the order in which people choose them.</summary>
    public static IReadOnlyList<IImportanceEstimator> All { get; } =
    [
        new ClosedFormEstimator(),
        new GradientInputEstimator(),
        new IntegratedGradientsEstimator(),
        new OcclusionEstimator(),
        new ShapleyEstimator(),
        new SobolTotalEstimator(),
        new HsicEstimator(),
        new RiseEstimator(),
        new GradientEstimator(),
        new SmoothGradEstimator(),
        new TcavEstimator(),
    ];

    /// <summary>An estimator by its name.</summary>
    /// <exception cref="AnalysisException">There is none of this name; lists those there are.</exception>
    public static IImportanceEstimator Get(string name) =>
        All.FirstOrDefault(e => e.Info.Name == name)
        ?? throw new AnalysisException($"The importance estimator '{name}' is not known.", $"Choose one of: {string.Join(", ", All.Select(e => e.Info.Name))}.");
}
