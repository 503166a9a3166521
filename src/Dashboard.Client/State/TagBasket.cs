using System.Collections.ObjectModel;
using System.Text.Json;

namespace Dashboard.Client.State;

/// <summary>What a person says of one image while tagging.</summary>
/// <param name="Shows">True where it shows the concept.</param>
/// <param name="Place">Where it shows it; null for no place.</param>
public sealed record SampleTag(bool Shows, TagPlace? Place = null);

/// <summary>A rectangle in shares of the image.</summary>
/// <param name="Left">Left edge in [0, 1].</param>
/// <param name="Top">Top edge in [0, 1].</param>
/// <param name="Width">Width in (0, 1].</param>
/// <param name="Height">Height in (0, 1].</param>
public sealed record TagPlace(double Left, double Top, double Width, double Height);

/// <summary>
/// Images that a person tags for a concept, kept from page to page: one basket for each analysis, for as long as the browser's
/// tab is open. For the one circuit it belongs to.
/// </summary>
public sealed class TagBasket
{
    /// <summary>Most images that can be tagged.</summary>
    public const int Most = 2000;

    private readonly Dictionary<string, OrderedDictionary<int, SampleTag>> _tags = [];
    private readonly HashSet<string> _on = [];

    /// <summary>Something changed.</summary>
    public event Action? Changed;

    /// <summary>True while images of the analysis can be tagged.</summary>
    public bool IsOn(string analysisId) => _on.Contains(analysisId);

    /// <summary>Tags of an analysis by row.</summary>
    public IReadOnlyDictionary<int, SampleTag> Tags(string analysisId) => _tags.TryGetValue(analysisId, out var tags) ? tags : ReadOnlyDictionary<int, SampleTag>.Empty;

    /// <summary>What is said of an image; null for nothing.</summary>
    public SampleTag? Of(string analysisId, int sample) => Tags(analysisId).GetValueOrDefault(sample);

    /// <summary>Rows that show the concept, or that do not, in the order in which they were tagged.</summary>
    public IReadOnlyList<int> Rows(string analysisId, bool shows) => [.. Tags(analysisId).Where(t => t.Value.Shows == shows).Select(t => t.Key)];

    /// <summary>Begins or ends tagging; tags are kept.</summary>
    public void Turn(string analysisId, bool on)
    {
        if (on ? _on.Add(analysisId) : _on.Remove(analysisId))
        {
            Changed?.Invoke();
        }
    }

    /// <summary>Says that an image shows the concept, or that it does not; the same again takes it back.</summary>
    /// <returns>False where no more images can be tagged.</returns>
    public bool Toggle(string analysisId, int sample, bool shows) =>
        Set(analysisId, sample, Of(analysisId, sample)?.Shows == shows ? null : new SampleTag(shows));

    /// <summary>Says something of an image; null takes it back.</summary>
    /// <returns>False where no more images can be tagged.</returns>
    public bool Set(string analysisId, int sample, SampleTag? tag)
    {
        var tags = _tags.TryGetValue(analysisId, out var known) ? known : _tags[analysisId] = [];
        if (tag is not null && tags.Count >= Most && !tags.ContainsKey(sample))
        {
            return false;
        }

        if (tag is null)
        {
            tags.Remove(sample);
        }
        else
        {
            tags[sample] = tag;
        }

        Changed?.Invoke();
        return true;
    }

    /// <summary>Forgets all tags of an analysis.</summary>
    public void Clear(string analysisId)
    {
        if (_tags.Remove(analysisId))
        {
            Changed?.Invoke();
        }
    }

    /// <summary>Everything as text, for the browser to keep.</summary>
    public string Save() => JsonSerializer.Serialize(
        _tags.Keys.Union(_on).Select(id => new Kept(id, IsOn(id), [.. Tags(id).Select(t => new KeptTag(t.Key, t.Value.Shows, t.Value.Place))])), JsonSerializerOptions.Web);

    /// <summary>Takes back what <see cref="Save"/> wrote, beside what was tagged since; text that is none is left alone.</summary>
    public void Restore(string? saved)
    {
        if (string.IsNullOrEmpty(saved))
        {
            return;
        }

        try
        {
            foreach (var kept in JsonSerializer.Deserialize<Kept[]>(saved, JsonSerializerOptions.Web) ?? [])
            {
                if (kept is not { Id.Length: > 0, Tags: not null })
                {
                    continue;
                }

                if (kept.On)
                {
                    _on.Add(kept.Id);
                }

                var tags = _tags.TryGetValue(kept.Id, out var known) ? known : _tags[kept.Id] = [];
                foreach (var tag in kept.Tags.Take(Most - tags.Count))
                {
                    tags.TryAdd(tag.Row, new SampleTag(tag.Shows, tag.Place));
                }
            }

            Changed?.Invoke();
        }
        catch (JsonException)
        {
            // Written by another version, or by hand: nothing is lost but tags.
        }
    }

    private sealed record Kept(string Id, bool On, KeptTag[] Tags);

    private sealed record KeptTag(int Row, bool Shows, TagPlace? Place);
}
