using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>What scores of training images say, in words.</summary>
public static class TrainingSentences
{
    /// <summary>The whole in one or two sentences.</summary>
    public static string All(TrainingImagesView view)
    {
        if (view.Classes.Count == 0)
        {
            return "No training image has a score.";
        }

        var first = view.Classes[0];
        var share = view.TopCount > 0 ? first.Top / (double)view.TopCount : 0;
        var usual = view.Training.Images > 0 ? first.Images / (double)view.Training.Images : 0;
        return $"Of the {Format.Count(view.TopCount)} training images with the highest scores, {Format.Percent(share)} are of {first.DisplayName}, which has {Format.Percent(usual)} of all. {Spread(view.Diffuseness)}";
    }

    /// <summary>How spread scores are.</summary>
    public static string Spread(DiffusenessView spread) =>
        $"{SpreadWord(spread)}: the scores are spread as if {Format.Count((long)Math.Round(spread.EffectiveNumber), "image")} carried them alike ({Format.Percent(spread.EffectiveShare)} of all); the top hundredth holds {Format.Percent(spread.TopShare)}.";

    /// <summary>One word for the spread.</summary>
    public static string SpreadWord(DiffusenessView spread) => spread.EffectiveShare switch
    {
        < 0.05 => "Concentrated",
        < 0.2 => "Carried by a minority",
        < 0.45 => "Diffuse",
        _ => "Very diffuse",
    };

    /// <summary>Whether networks agree.</summary>
    public static string Agreement(TrainingImagesView view) => view.Agreement is not { } agreement
        ? "Not known: there is only one network. Another training of the same recipe may have learnt from other images."
        : $"{(agreement.MeanSpearman >= 0.6 ? "Much" : agreement.MeanSpearman >= 0.3 ? "Some" : "Little")}: rank correlation {Format.Number(agreement.MeanSpearman)}; of the top images two networks have {Format.Percent(agreement.TopOverlap)} in common.";

    /// <summary>Whether the projection can be trusted.</summary>
    public static string Check(ProjectionCheckView check) =>
        $"{(check.Good ? "Sound" : "Doubtful")}: on {Format.Count(check.Images, "image")} the cosines between projected gradients are off by {Format.Number(check.Error)} (an ideal projection of this size: {Format.Number(check.Expected)}), correlation {Format.Number(check.Correlation)}. {Halves(check)}";

    private static string Halves(ProjectionCheckView check) => check.Halves switch
    {
        >= 0.8 => $"Either half of the features gives nearly the same order (rank correlation {Format.Number(check.Halves)}).",
        >= 0.4 => $"Either half of the features gives a similar order only (rank correlation {Format.Number(check.Halves)}): single places in the list are partly chance.",
        _ => $"The two halves of the features hardly agree (rank correlation {Format.Number(check.Halves)}): read groups of images, not single places.",
    };
}
