using System.Globalization;
using System.Text;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Server.Configuration;
using Dashboard.Server.Images;
using Dashboard.Server.Services;
using static Dashboard.Server.Reports.ReportHtml;

namespace Dashboard.Server.Reports;

/// <summary>Writes a class page or an outlier list as one HTML file that needs nothing else.</summary>
internal sealed class ReportWriter(IAtlasService atlas, PictureService pictures, ClassArraysCache arrays, DataFolders folders)
{
    private const int PicturesPerConcept = 12;
    private const int PicturesPerStrategy = 8;
    private const int MostOutliers = 300;
    private const int MostPoints = 3000;

    /// <summary>Colour-blind-safe colours (Okabe and Ito, 2008) for the eight strongest concepts; others are grey.</summary>
    private static readonly string[] Palette = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b3a100", "#7b61c4"];

    /// <summary>A class; null where it is not ready.</summary>
    public async Task<string?> ClassAsync(string analysisId, int classIndex, CancellationToken cancellation)
    {
        if (await atlas.ClassAsync(analysisId, classIndex, cancellation) is not { } view)
        {
            return null;
        }

        var listed = ListedConcepts.Of(view);
        var body = new StringBuilder();
        body.Append(CultureInfo.InvariantCulture, $"<h1>{E(view.DisplayName)}</h1><p class=\"dim\">{Facts(view, listed)}</p><p class=\"lead\">{Sentence(view, listed)}</p>");
        foreach (var note in view.Notes)
        {
            body.Append(CultureInfo.InvariantCulture, $"<p class=\"dim\">{E(note)}</p>");
        }

        body.Append("<div class=\"pair\"><section><h2>How the images are recognised</h2><div class=\"card\">");
        body.Append(Scatter(view));
        body.Append(CultureInfo.InvariantCulture, $"<p class=\"dim\">{E(view.Embedding)}{(view.Trustworthiness is { } trust ? string.Create(CultureInfo.InvariantCulture, $", trustworthiness {trust:0.00} of 1") : "")}. A dot is an image, coloured by its strongest concept.</p>");
        body.Append("</div></section><section><h2>Share of what the concepts explain</h2><div class=\"card\"><table>");
        foreach (var concept in listed)
        {
            body.Append(CultureInfo.InvariantCulture, $"<tr><td><span class=\"dot\" style=\"background:{Colour(concept.Rank)}\"></span>{E(Names.Labelled(concept))}</td><td style=\"width:45%\">{Bar(ListedConcepts.Share(concept))}</td><td class=\"n\">{Percent(ListedConcepts.Share(concept))}</td></tr>");
        }

        // What carries the score is not made smaller by putting it away: the shares still add up.
        if (view.Concepts.Count - listed.Count - listed.Sum(concept => concept.Merged?.Concepts.Count ?? 0) is > 0 and var away)
        {
            var rest = view.Concepts.Sum(concept => concept.Importance) - listed.Sum(ListedConcepts.Share);
            body.Append(CultureInfo.InvariantCulture, $"<tr><td class=\"dim\">{Count(away, "concept", "concepts")} left out by people</td><td>{Bar(rest)}</td><td class=\"n\">{Percent(rest)}</td></tr>");
        }

        body.Append(CultureInfo.InvariantCulture, $"<tr><td class=\"dim\">of the whole score, not explained</td><td>{Bar(view.UnexplainedShare)}</td><td class=\"n\">{Percent(view.UnexplainedShare)}</td></tr></table></div></section></div>");
        body.Append("<h2>Concepts, strongest first</h2>");
        foreach (var concept in listed)
        {
            ConceptCard[] together = [concept, .. view.Concepts.Where(other => other.Into == concept.Id)];
            body.Append(CultureInfo.InvariantCulture, $"<section class=\"card concept\"><div><strong><span class=\"dot\" style=\"background:{Colour(concept.Rank)}\"></span>{Called(concept)}</strong>");
            body.Append(CultureInfo.InvariantCulture, $"<p>{Percent(ListedConcepts.Share(concept))} of the score</p><p class=\"dim\">{(ListedConcepts.Spread(concept) is { } spread ? $"± {Percent(spread)} between images<br>" : "")}strongest for {Count(together.Sum(member => member.StrongestFor), "image", "images")}{(together.Length > 1 ? $"<br>{together.Length} concepts taken as one" : concept.Stability is { } stability ? string.Create(CultureInfo.InvariantCulture, $"<br>stability {stability:0.00} of 1") : "")}</p></div><div class=\"strip\">");
            var exemplars = together
                .SelectMany(member => member.Exemplars.Where(entry => entry.Band == "top").Select((entry, place) => (Place: place, Concept: member.Id, Exemplar: entry)))
                .OrderBy(entry => entry.Place).Take(PicturesPerConcept);
            foreach (var (_, member, exemplar) in exemplars)
            {
                body.Append(Picture(await pictures.TryCropAsync(analysisId, member, exemplar.Index, 96, cancellation), $"{Names.Whole(concept)}, image {exemplar.Sample}", 72));
            }

            body.Append("</div></section>");
        }

        body.Append("<h2>Strategies</h2><p class=\"dim\">Groups of images that the network recognises in the same way.</p>");
        foreach (var strategy in view.Strategies)
        {
            body.Append(CultureInfo.InvariantCulture, $"<section class=\"card concept\"><div><strong>{E(Names.StrategyTitle(strategy))}</strong> · {Count(strategy.Size, "image", "images")}<p class=\"dim\">{E(strategy.Summary)}{(strategy.Accuracy is { } accuracy ? $"<br>{Percent(accuracy)} right" : "")}</p></div><div class=\"strip\">");
            var members = await atlas.ClassSamplesAsync(analysisId, classIndex, strategy.Index, 0, PicturesPerStrategy, cancellation);
            var shown = new[] { strategy.Prototype }.Concat(members.Items.Select(sample => sample.Index)).Distinct().Take(PicturesPerStrategy);
            foreach (var sample in shown)
            {
                var wrong = members.Items.FirstOrDefault(entry => entry.Index == sample)?.Correct == false;
                body.Append(Picture(await pictures.TryThumbnailAsync(analysisId, sample, 96, cancellation), wrong ? "predicted as another class" : "image", 72, wrong ? "bad" : null));
            }

            body.Append("</div></section>");
        }

        if (view.Confusions.Count > 0)
        {
            body.Append("<h2>Mistaken for</h2><div class=\"card\"><table>");
            foreach (var confusion in view.Confusions.Take(10))
            {
                body.Append(CultureInfo.InvariantCulture, $"<tr><td>{E(confusion.Name)}{Behind(view, confusion)}</td><td style=\"width:45%\">{Bar((double)confusion.Count / Math.Max(1, view.Images))}</td><td class=\"n\">{confusion.Count:N0}</td></tr>");
            }

            body.Append("</table></div>");
        }

        body.Append(Provenance(view.Analysis));
        return Page($"{view.DisplayName} · {view.Analysis.Name}", body.ToString());
    }

    private static string Behind(ClassView view, ConfusionView confusion) => ListedConcepts.Pulls(view, confusion) is { Count: > 0 } pulls
        ? $"<br><span class=\"dim\">drawn there by {string.Join(", ", pulls.Select(pull => $"{E(pull.Concept is { } concept ? Names.Whole(concept) : "what no concept explains")} {Format.Signed(pull.Pull)}"))}</span>"
        : "";

    /// <summary>The flagged samples; null where there is no such analysis.</summary>
    public async Task<string?> OutliersAsync(string analysisId, OutlierFilter filter, CancellationToken cancellation)
    {
        if (await atlas.OutliersAsync(analysisId, filter, 0, MostOutliers, cancellation) is not { } view)
        {
            return null;
        }

        var body = new StringBuilder();
        body.Append(CultureInfo.InvariantCulture, $"<h1>Outliers</h1><p class=\"dim\">{E(view.Analysis.Name)} · {view.Analysis.Images:N0} images · {view.Analysis.Classes:N0} classes</p>");
        var kinds = view.Kinds.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal).ToList();
        body.Append(CultureInfo.InvariantCulture, $"<p class=\"lead\">{(view.Pending ? "The search for outliers has not finished yet." : kinds.Count == 0 ? "Nothing in this data set stands out." : $"{Count(kinds.Sum(pair => pair.Value), "image does not fit", "images do not fit")}: {string.Join(", ", kinds.Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Value:N0} {E(pair.Key)}")))}.")}</p>");
        if (view.Samples.Total > view.Samples.Items.Count)
        {
            body.Append(CultureInfo.InvariantCulture, $"<p class=\"dim\">The {view.Samples.Items.Count:N0} most odd of {view.Samples.Total:N0} are shown.</p>");
        }

        foreach (var group in view.Samples.Items.GroupBy(sample => sample.OutlierKind.Length == 0 ? "not flagged" : sample.OutlierKind))
        {
            body.Append(CultureInfo.InvariantCulture, $"<h2>{E(group.Key)} <span class=\"dim\">{group.Count():N0}</span></h2><div class=\"wall\">");
            foreach (var sample in group)
            {
                var picture = Picture(await pictures.TryThumbnailAsync(analysisId, sample.Index, 192, cancellation), sample.Path, 150);
                body.Append(CultureInfo.InvariantCulture, $"<figure>{picture}<figcaption><strong>{E(sample.ClassName)}</strong>{(sample.Predicted.Length > 0 && sample.Correct == false ? $", predicted {E(sample.Predicted)} ({Percent(sample.Confidence)})" : "")}<br>{E(sample.OutlierReason)}<br><span class=\"dim\">{E(sample.Path)} · score {sample.OutlierScore ?? 0:0.00}{(sample.Verdict is null ? "" : $" · judged {E(sample.Verdict)}")}</span></figcaption></figure>");
            }

            body.Append("</div>");
        }

        body.Append(Provenance(view.Analysis));
        return Page($"Outliers · {view.Analysis.Name}", body.ToString());
    }

    private static string Facts(ClassView view, IReadOnlyList<ConceptCard> listed) => string.Join(" · ", new[]
    {
        view.Accuracy is { } accuracy ? $"accuracy {Percent(accuracy)}" : "",
        Count(view.Images, "image", "images"),
        Count(listed.Count, "concept", "concepts"),
        Count(view.Strategies.Count, "strategy", "strategies"),
        view.Outliers > 0 ? Count(view.Outliers, "outlier", "outliers") : "",
    }.Where(part => part.Length > 0));

    private static string Sentence(ClassView view, IReadOnlyList<ConceptCard> listed)
    {
        if (listed.Count == 0)
        {
            return $"{(view.Concepts.Count == 0 ? "No concept was found" : "No concept is listed")} for <em>{E(view.DisplayName)}</em>.";
        }

        var first = listed[0];
        var others = listed.Skip(1).Where(concept => ListedConcepts.Share(concept) > 0.05).Take(2).ToList();
        var more = others.Count == 0 ? "" : $", followed by {string.Join(" and ", others.Select(concept => $"{E(Names.Labelled(concept))} ({Percent(ListedConcepts.Share(concept))})"))}";
        return $"To recognise <em>{E(view.DisplayName)}</em> this network relies most on <strong>{E(Names.Labelled(first))}</strong>, which carries {Percent(ListedConcepts.Share(first))} of the score{more}.";
    }

    private string Scatter(ClassView view)
    {
        var data = arrays.Find(folders.Run(view.Analysis.Id), view.Index);
        if (data is null || data.Sample.Length == 0)
        {
            return "<p class=\"dim\">The layout is not there.</p>";
        }

        // Those put away are drawn as the unimportant ones are; those merged, as the one that stands for them.
        var ranks = view.Concepts.ToDictionary(concept => concept.Id, concept => concept.Rank);
        var colours = view.Concepts.ToDictionary(
            concept => concept.Rank,
            concept => Colour(concept.Hidden ? -1 : concept.Into is { } into ? ranks.GetValueOrDefault(into, -1) : concept.Rank));
        const int width = 480, height = 360, margin = 12;
        var step = Math.Max(1, (int)Math.Ceiling(data.Sample.Length / (double)MostPoints));
        float left = float.MaxValue, right = float.MinValue, bottom = float.MaxValue, top = float.MinValue;
        for (var i = 0; i < data.Sample.Length; i++)
        {
            left = Math.Min(left, data.Layout[2 * i]);
            right = Math.Max(right, data.Layout[2 * i]);
            bottom = Math.Min(bottom, data.Layout[(2 * i) + 1]);
            top = Math.Max(top, data.Layout[(2 * i) + 1]);
        }

        var scale = Math.Min((width - (2 * margin)) / Math.Max(1e-6, right - left), (height - (2 * margin)) / Math.Max(1e-6, top - bottom));
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"Layout of {data.Sample.Length:N0} images\">");
        for (var i = 0; i < data.Sample.Length; i += step)
        {
            var x = (width / 2.0) + ((data.Layout[2 * i] - ((left + right) / 2)) * scale);
            var y = (height / 2.0) - ((data.Layout[(2 * i) + 1] - ((bottom + top) / 2)) * scale);
            svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{x:0.#}\" cy=\"{y:0.#}\" r=\"2.6\" fill=\"{colours.GetValueOrDefault(data.Strongest[i], Colour(-1))}\" fill-opacity=\".8\"/>");
        }

        svg.Append("</svg>");
        if (step > 1)
        {
            svg.Append(CultureInfo.InvariantCulture, $"<p class=\"dim\">Every {step}th of {data.Sample.Length:N0} images is drawn.</p>");
        }

        return svg.ToString();
    }

    private static string Provenance(AnalysisSummary analysis) => string.Create(
        CultureInfo.InvariantCulture,
        $"<footer>{E(analysis.Name)} · network {E(analysis.NetworkName)}{(analysis.Layer.Length > 0 ? $", layer <code>{E(analysis.Layer)}</code>" : "")} · data set {E(analysis.DatasetName)} ({analysis.Images:N0} images) · method: {E(analysis.MethodText)} · analysis <code>{E(analysis.Id)}</code> of {analysis.Created:yyyy-MM-dd} · written {DateTimeOffset.UtcNow:yyyy-MM-dd HH:mm} UTC by Concept Atlas</footer>");

    private static string Bar(double share)
    {
        var width = Math.Clamp(Math.Abs(share), 0, 1) * 100;
        return string.Create(CultureInfo.InvariantCulture, $"<div class=\"bar\"><i{(share < 0 ? " class=\"neg\"" : "")} style=\"width:{width:0.#}%\"></i></div>");
    }

    private static string Colour(int rank) => rank >= 0 && rank < Palette.Length ? Palette[rank] : "#8a9099";

    // Its name, or its number with the label, which breaks into lines here: a file has no tooltips to rely on.
    private static string Called(ConceptCard concept) =>
        E(Names.Concept(concept)) + (Names.Label(concept) is { } label ? $" <span class=\"dim label\">{E(label)}</span>" : "");

    // Adding nothing makes the zero that a small negative share rounds to a plain one.
    private static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{Math.Round(share * 100, 1) + 0.0:0.#}%");

    private static string Count(int count, string one, string many) => string.Create(CultureInfo.InvariantCulture, $"{count:N0} {(count == 1 ? one : many)}");
}
