using Dashboard.Client.Contracts;

namespace Dashboard.Client.Tests.Pages;

/// <summary>Defined concepts in memory; a draft means what a test says.</summary>
internal sealed class FakeConcepts : IUserConceptService
{
    public List<UserConcept> Kept { get; } = [];

    public ConceptPreview Preview { get; set; } = new() { Positives = 12, Negatives = 28, Known = 40, HeldOutPositives = 4, HeldOutNegatives = 8, PositiveExamples = [1], NegativeExamples = [2] };

    public AttributesView Attributes { get; set; } = new([], "There is no attributes.csv.");

    /// <summary>The draft that was asked about last.</summary>
    public ConceptDraft? Asked { get; private set; }

    public UserConcept Keep(string id, ConceptDraft draft)
    {
        var concept = new UserConcept { Id = id, Name = draft.Name, Definition = draft, Created = DateTimeOffset.UnixEpoch };
        Kept.Insert(0, concept);
        return concept;
    }

    public Task<Paged<UserConcept>> ListAsync(string analysisId, int skip = 0, int take = 500, CancellationToken cancellation = default) =>
        Task.FromResult(new Paged<UserConcept>([.. Kept.Skip(skip).Take(take)], Kept.Count));

    public Task<UserConcept?> GetAsync(string analysisId, string conceptId, CancellationToken cancellation = default) => Task.FromResult(Kept.Find(c => c.Id == conceptId));

    public Task<ConceptPreview> PreviewAsync(string analysisId, ConceptDraft draft, CancellationToken cancellation = default)
    {
        Asked = draft;
        return Task.FromResult(Preview);
    }

    public Task<UserConcept> CreateAsync(string analysisId, ConceptDraft draft, CancellationToken cancellation = default) =>
        draft.Name.Length == 0 ? throw new ServiceException("The concept has no name. Give it a short one.") : Task.FromResult(Keep($"{Kept.Count + 1:x12}", draft));

    public Task<UserConcept> RenameAsync(string analysisId, string conceptId, string name, CancellationToken cancellation = default)
    {
        var at = Kept.FindIndex(c => c.Id == conceptId);
        return Task.FromResult(Kept[at] = Kept[at] with { Name = name });
    }

    public Task DeleteAsync(string analysisId, string conceptId, CancellationToken cancellation = default)
    {
        Kept.RemoveAll(c => c.Id == conceptId);
        return Task.CompletedTask;
    }

    /// <summary>Pictures show the middle half of the width and all of the height.</summary>
    public Task<PictureFrame?> FrameAsync(string analysisId, int sample, CancellationToken cancellation = default) => Task.FromResult<PictureFrame?>(new PictureFrame(0.25, 0, 0.5, 1));

    public Task<AttributesView> AttributesAsync(string analysisId, CancellationToken cancellation = default) => Task.FromResult(Attributes);
}
