using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>Remove and retrain in words.</summary>
public static class RetrainSentences
{
    /// <summary>What it would cost.</summary>
    public static string Cost(RetrainQuery query, RetrainCostView cost) =>
        $"{Format.Count(query.AllNetworks, "network")} × {Format.Count(query.Epochs, "epoch")} × {Format.Duration(cost.SecondsPerImage * cost.Training)} an epoch = {Format.Duration(query.Seconds(cost))}, "
        + $"measured on this machine just as busy as it was. {Format.Count(cost.Training)} images are trained on, {Format.Count(cost.TrainingPositives)} of them show the concept; "
        + $"{Format.Count(cost.HeldOut)} are kept for testing, {Format.Count(cost.HeldOutPositives)} of them show it. A network learns {Format.Count(cost.Parameters)} values.";

    /// <summary>How networks are trained.</summary>
    public static string Recipe(RetrainView view) =>
        $"{view.Architecture}, {Format.Count(view.Recipe.Epochs, "epoch")} in batches of {view.Recipe.BatchSize}: stochastic gradient descent with momentum {Plain(view.Recipe.Momentum)}, "
        + $"rate {Plain(view.Recipe.Rate)} falling along a cosine, weight decay {Plain(view.Recipe.Decay)}"
        + (view.Recipe.Flip ? $"; images mirrored at random and shifted by up to {view.Recipe.Shift} pixels." : "; images as they are.");

    /// <summary>Name of a condition.</summary>
    public static string Condition(ConditionView condition) => condition.Set switch
    {
        "full" => "Nothing",
        "top" => $"Top {Share(condition.Share)}",
        "bottom" => $"Bottom {Share(condition.Share)}",
        "random" => $"Random {Share(condition.Share)}",
        _ => $"Labelled {Share(condition.Share)}",
    };

    private static string Plain(double value) => value.ToString("0.######", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A share without needless digits.</summary>
    public static string Share(double share) => (100 * share).ToString("0.##", System.Globalization.CultureInfo.InvariantCulture) + "%";

    /// <summary>A difference in percentage points.</summary>
    public static string Points(double difference) => (Math.Abs(difference) < 0.0005 ? "" : difference > 0 ? "+" : "−") + (100 * Math.Abs(difference)).ToString("0.0", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>An interval in percentage points.</summary>
    public static string Interval(IntervalView interval) => $"{Points(interval.Low)} to {Points(interval.High)}";
}
