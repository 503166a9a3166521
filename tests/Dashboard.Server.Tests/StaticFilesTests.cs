using System.Net;
using System.Text.RegularExpressions;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>What browsers may keep of the site's own files, on a site that is built but not published.</summary>
public sealed partial class StaticFilesTests
{
    [Fact]
    public async Task Files_whose_address_names_their_content_are_kept_for_good_and_others_are_asked_for()
    {
        await using var site = await TestSite.StartAsync();
        var stop = TestContext.Current.CancellationToken;
        var page = await site.Http.GetStringAsync("/", stop);
        var addresses = Fingerprinted().Matches(page).Select(match => match.Groups["address"].Value).Distinct().ToList();
        Assert.Contains(addresses, address => address.Contains("/css/atlas.", StringComparison.Ordinal) || address.StartsWith("css/atlas.", StringComparison.Ordinal));
        Assert.True(addresses.Count > 5, string.Join(", ", addresses));
        foreach (var address in addresses)
        {
            using var answer = await site.Http.GetAsync("/" + address.TrimStart('/'), stop);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal("max-age=31536000, immutable", string.Join(", ", answer.Headers.GetValues("Cache-Control")));
        }

        using var plain = await site.Http.GetAsync("/css/atlas.css", stop);
        Assert.Equal(HttpStatusCode.OK, plain.StatusCode);
        Assert.True(plain.Headers.CacheControl!.NoCache);
        Assert.NotNull(plain.Headers.ETag);
    }

    [GeneratedRegex("(?:src|href)=\"(?<address>[^\"]+\\.[a-z0-9]{10}\\.(?:[a-z.]+\\.)?(?:js|css))\"")]
    private static partial Regex Fingerprinted();
}
