using Dashboard.Client.Contracts;

namespace Dashboard.Client.Tests.Pages;

/// <summary>One image that may be explained.</summary>
internal sealed class FakeOwnImages : IOwnImageService
{
    public OwnImageView View { get; set; } = new() { Analysis = Samples.Analysis() };

    public string? Deleted { get; private set; }

    public Task<OwnImage> BringAsync(string analysisId, byte[] file, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<OwnImageView?> GetAsync(string analysisId, string? hash, int? classIndex = null, CancellationToken cancellation = default) =>
        Task.FromResult<OwnImageView?>(View with { Hash = hash });

    public Task<bool> DeleteAsync(string analysisId, string hash, CancellationToken cancellation = default)
    {
        Deleted = hash;
        return Task.FromResult(true);
    }
}
