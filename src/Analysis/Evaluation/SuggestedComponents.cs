using System.Globalization;

namespace Analysis.Evaluation;

/// <summary>What a method reaches with a number of components.</summary>
/// <param name="Components">k.</param>
/// <param name="RSquared">As <see cref="ExtractionScores.RSquared"/>; NaN where undefined.</param>
/// <param name="RelativeError">As <see cref="ExtractionScores.RelativeError"/>; looked at where R² is undefined.</param>
/// <param name="Stability">As <see cref="ExtractionScores.Stability"/>; NaN where it was not measured.</param>
public sealed record ComponentPoint(int Components, double RSquared, double RelativeError, double Stability = double.NaN);

/// <summary>A number of components, and why.</summary>
/// <param name="Components">k; null where no point of the curve is defined.</param>
/// <param name="Verdict">One or two plain sentences.</param>
/// <param name="IsElbow">True where the curve bends at k: more components add little.</param>
/// <param name="IsStable">True where k was measured to be stable, false where not, null where it was not measured.</param>
public sealed record ComponentSuggestion(int? Components, string Verdict, bool IsElbow, bool? IsStable);

/// <summary>
/// Suggests a number of components from curves over it: the elbow of the explained variance (the point farthest above the chord
/// between both ends, as in Satopää et al. 2011), moved to the nearest number that is stable.
/// </summary>
public static class SuggestedComponents
{
    /// <summary>Stability from which concepts count as found again.</summary>
    public const double StableFrom = 0.9;

    /// <summary>What all further components together may add and still be called little: share of the variance (or of the error).</summary>
    public const double Little = 0.05;

    // A curve that stays nearer than this to its chord, both axes scaled to 1, has no bend worth naming.
    private const double LeastBend = 0.1;

    /// <summary>Chooses k.</summary>
    /// <param name="curve">Points in any order; repeated numbers of components are averaged by the caller.</param>
    public static ComponentSuggestion Choose(IReadOnlyList<ComponentPoint> curve)
    {
        var byVariance = curve.Any(p => double.IsFinite(p.RSquared));
        double Value(ComponentPoint p) => byVariance ? p.RSquared : 1 - p.RelativeError;
        var points = curve.Where(p => double.IsFinite(Value(p))).OrderBy(p => p.Components).ToArray();
        if (points.Length == 0)
        {
            return new ComponentSuggestion(null, "Nothing can be suggested: the rows do not vary, or no fit succeeded.", false, null);
        }

        var chosen = Elbow(points, Value);
        var isElbow = chosen >= 0;
        chosen = isElbow ? chosen : points.Length - 1;
        var elbow = points[chosen];
        var measured = points.Any(p => double.IsFinite(p.Stability));
        if (measured && !(elbow.Stability >= StableFrom))
        {
            // Fewer concepts that are found again are worth more than many that are not; more than the elbow only if fewer fail too.
            var stable = points.Where(p => p.Stability >= StableFrom).ToArray();
            var other = stable.LastOrDefault(p => p.Components < elbow.Components) ?? stable.FirstOrDefault();
            chosen = other is null ? chosen : Array.IndexOf(points, other);
        }

        var point = points[chosen];
        var isStable = double.IsFinite(point.Stability) ? point.Stability >= StableFrom : (bool?)null;
        return new ComponentSuggestion(
            point.Components, Sentence(points, chosen, elbow, byVariance, Value) + About(point, elbow, isStable), isElbow && point == elbow, isStable);
    }

    private static int Elbow(ComponentPoint[] points, Func<ComponentPoint, double> value)
    {
        var (first, last) = (points[0], points[^1]);
        var rise = value(last) - value(first);
        if (points.Length < 3 || rise <= 0)
        {
            // A curve that does not rise: its first point is as good as any.
            return points.Length > 1 && rise <= 0 ? 0 : -1;
        }

        var best = -1;
        var farthest = LeastBend;
        for (var i = 1; i < points.Length - 1; i++)
        {
            var across = (double)(points[i].Components - first.Components) / (last.Components - first.Components);
            var distance = (((value(points[i]) - value(first)) / rise) - across) / Math.Sqrt(2);
            if (distance > farthest)
            {
                (best, farthest) = (i, distance);
            }
        }

        return best;
    }

    private static string Sentence(
        ComponentPoint[] points, int chosen, ComponentPoint elbow, bool byVariance, Func<ComponentPoint, double> value)
    {
        var point = points[chosen];
        var last = points[^1];
        var more = points.Skip(chosen).Max(value) - value(point);
        var what = byVariance
            ? point.RSquared <= 0 ? $"k = {point.Components} explains no more than the mean does" : $"k = {point.Components} explains {Percent(point.RSquared)} of the variance"
            : $"k = {point.Components} leaves {Percent(point.RelativeError)} of an activation unexplained";
        if (points.Length == 1)
        {
            return $"{what}; it is the only number that was tried.";
        }

        if (chosen == points.Length - 1)
        {
            return point == elbow ? $"{what}; the curve still rises at the largest number that was tried." : $"{what}.";
        }

        return more < Little
            ? $"{what}; more adds little."
            : byVariance
                ? $"{what}; k = {last.Components} would explain {Percent(last.RSquared)}, but each further concept adds less."
                : $"{what}; k = {last.Components} would leave {Percent(last.RelativeError)}, but each further concept adds less.";
    }

    private static string About(ComponentPoint point, ComponentPoint elbow, bool? isStable) => isStable switch
    {
        null => string.Empty,
        true when point == elbow => $" The concepts are found again in repeated fits (matched cosine {Cosine(point.Stability)}).",
        true => $" k = {elbow.Components} {(elbow.Components > point.Components ? "explains more" : "would do with fewer")}, but its concepts change from fit to fit.",
        false => $" No number that was tried is stable (matched cosine {Cosine(point.Stability)} here; 0.9 counts as stable): read single concepts with care.",
    };

    private static string Percent(double share) => (Math.Floor((share * 100) + 0.5) is var rounded && rounded >= 100 && share < 1 ? 99 : rounded).ToString("0", CultureInfo.InvariantCulture) + "%";

    private static string Cosine(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);
}
