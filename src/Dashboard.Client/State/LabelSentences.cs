using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>Sentences about labels, made from their numbers.</summary>
public static class LabelSentences
{
    private const string ArtefactPrefix = "artefact:";

    /// <summary>What the page of labels says first.</summary>
    public static string All(LabelView labels)
    {
        var (significant, flagged) = (labels.Units.Count(u => u.Significant), labels.Units.Count(u => u.Spurious.Count > 0));
        var text = $"{Format.Count(significant)} of {Format.Count(labels.Units.Count, "unit")} follow a formula of known concepts that also holds on images that the search did not see.";
        if (LabelQuery.Filter(labels.Units, null, "significant").FirstOrDefault() is { } clearest)
        {
            text += $" The clearest: {clearest.Title} for \u201C{clearest.Label}\u201D (AUC {Format.Auc(clearest.HeldOutAuc ?? double.NaN)}).";
        }

        return flagged == 0 ? text : text + $" {Format.Count(flagged)} {(flagged == 1 ? "follows" : "follow")} something that a network should have no use for.";
    }

    /// <summary>What a label says, and how far it can be trusted.</summary>
    public static string One(UnitView unit)
    {
        var auc = unit.HeldOutAuc ?? double.NaN;
        var text = double.IsFinite(auc)
            ? $"On images that the search did not see, one that fulfils the formula activates it {(auc >= 0.5 ? "more" : "less")} than one that does not in {Format.Percent(Math.Max(auc, 1 - auc))} of the pairs."
            : "None of the images that were held out fulfils the formula, so that it could not be tested.";
        text += unit.Significant
            ? $" By chance this would happen with p = {Format.PowerOfTen(unit.Log10Corrected)}, corrected for the number of units."
            : " That may be chance: after correction for the number of units it is not significant.";
        if (unit.PermutationP is { } permuted)
        {
            text += $" Searches on shuffled activations did as well with p = {Format.PowerOfTen(Math.Log10(permuted))}.";
        }

        return text + $" {Format.Count(unit.Support, "image")} fulfil{(unit.Support == 1 ? "s" : "")} it.";
    }

    /// <summary>Name of an artefact where it is said that it is one: without the column's prefix.</summary>
    public static string Artefact(ArtefactView artefact) =>
        artefact.Name.StartsWith(ArtefactPrefix, StringComparison.OrdinalIgnoreCase) && artefact.Name.Length > ArtefactPrefix.Length ? artefact.Name[ArtefactPrefix.Length..].TrimStart() : artefact.Name;
}
