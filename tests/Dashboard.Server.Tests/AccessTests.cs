using System.Net;
using System.Net.Http.Json;
using Dashboard.Server.Jobs;
using Microsoft.AspNetCore.SignalR.Client;
using Xunit;

namespace Dashboard.Server.Tests;

public sealed class AccessTests
{
    private const string Token = "a-token-for-the-tests";
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task On_loopback_other_host_names_are_refused()
    {
        await using var site = await TestSite.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/analyses") { Headers = { Host = "evil.example" } };
        using var response = await site.Http.SendAsync(request, Stop);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }

    [Theory]
    [InlineData("Origin", "http://evil.example")]
    [InlineData("Origin", "null")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    [InlineData("Sec-Fetch-Site", "same-site")]
    public async Task A_change_asked_for_by_another_site_is_refused(string header, string value)
    {
        await using var site = await TestSite.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/analyses") { Content = JsonContent.Create(new { dataset = "/x", network = "/y" }) };
        request.Headers.TryAddWithoutValidation(header, value);
        using var response = await site.Http.SendAsync(request, Stop);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        using var negotiate = new HttpRequestMessage(HttpMethod.Post, "/hubs/analyses/negotiate?negotiateVersion=1");
        negotiate.Headers.TryAddWithoutValidation(header, value);
        using var hub = await site.Http.SendAsync(negotiate, Stop);
        Assert.Equal(HttpStatusCode.Forbidden, hub.StatusCode);
    }

    [Theory]
    [InlineData("cross-site")]
    [InlineData("same-site")]
    public async Task Another_site_cannot_start_work_on_local_files_by_a_picture_whose_address_is_an_inspection(string value)
    {
        await using var site = await TestSite.StartAsync();
        foreach (var path in new[] { "/api/networks/preview?path=/x&dataset=/y", "/api/datasets/preview?path=/x", "/api/analyses" })
        {
            using var foreign = new HttpRequestMessage(HttpMethod.Get, path);
            foreign.Headers.TryAddWithoutValidation("Sec-Fetch-Site", value);
            foreign.Headers.TryAddWithoutValidation("Sec-Fetch-Mode", "no-cors");
            Assert.Equal(HttpStatusCode.Forbidden, (await site.Http.SendAsync(foreign, Stop)).StatusCode);
            foreach (var own in new[] { "same-origin", "none" })
            {
                using var here = new HttpRequestMessage(HttpMethod.Get, path);
                here.Headers.TryAddWithoutValidation("Sec-Fetch-Site", own);
                Assert.NotEqual(HttpStatusCode.Forbidden, (await site.Http.SendAsync(here, Stop)).StatusCode);
            }
        }

        // A link from elsewhere to a page is followed.
        using var link = new HttpRequestMessage(HttpMethod.Get, "/");
        link.Headers.TryAddWithoutValidation("Sec-Fetch-Site", value);
        Assert.Equal(HttpStatusCode.OK, (await site.Http.SendAsync(link, Stop)).StatusCode);
    }

    [Theory]
    [InlineData("/shared")]
    [InlineData("/shared/")]
    [InlineData("/shared/one/two")]
    [InlineData("/login/more")]
    [InlineData("/healthz/more")]
    public async Task Below_the_open_addresses_no_page_of_the_site_is_shown_without_a_login(string path)
    {
        await using var site = await TestSite.StartAsync(urls: "http://0.0.0.0:0", settings: new Dictionary<string, string> { ["Dashboard:Token"] = Token });
        Assert.Equal(HttpStatusCode.Unauthorized, (await site.Http.GetAsync(path, Stop)).StatusCode);

        // What a reader of a link that has ended sees is not made by the site's pages either.
        var ended = await site.Http.GetAsync("/shared/aaaaaaaaaaaaaaaaaaaaaa", Stop);
        Assert.Equal(HttpStatusCode.NotFound, ended.StatusCode);
        Assert.DoesNotContain("Blazor:", await ended.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task The_same_request_from_this_site_reaches_the_service()
    {
        await using var site = await TestSite.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/analyses") { Content = JsonContent.Create(new { dataset = "/x", network = "/y" }) };
        request.Headers.TryAddWithoutValidation("Origin", site.Address);
        request.Headers.TryAddWithoutValidation("Sec-Fetch-Site", "same-origin");
        using var response = await site.Http.SendAsync(request, Stop);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("outside the folders", await response.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task The_worker_hub_takes_nobody_without_the_secret()
    {
        await using var site = await TestSite.StartAsync();
        await using var stranger = new HubConnectionBuilder()
            .WithUrl(site.Address + WorkerIdentity.HubPath, options => options.Headers[WorkerIdentity.SecretHeader] = "guess")
            .Build();
        var fault = await Assert.ThrowsAsync<HttpRequestException>(() => stranger.StartAsync(Stop));
        Assert.Equal(HttpStatusCode.Forbidden, fault.StatusCode);
    }

    [Fact]
    public async Task Beyond_loopback_everything_but_health_and_login_needs_the_token()
    {
        await using var site = await TestSite.StartAsync(urls: "http://0.0.0.0:0", settings: new Dictionary<string, string> { ["Dashboard:Token"] = Token });
        Assert.Equal(HttpStatusCode.OK, (await site.Http.GetAsync("/healthz", Stop)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await site.Http.GetAsync("/api/analyses", Stop)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await site.Http.PostAsync("/hubs/analyses/negotiate", null, Stop)).StatusCode);
        using var page = new HttpRequestMessage(HttpMethod.Get, "/analyses/1") { Headers = { { "Accept", "text/html" } } };
        var redirect = await site.Http.SendAsync(page, Stop);
        Assert.Equal(HttpStatusCode.Redirect, redirect.StatusCode);
        Assert.StartsWith("/login?returnUrl=%2Fanalyses%2F1", redirect.Headers.Location?.OriginalString);

        Assert.Equal(HttpStatusCode.Unauthorized, (await site.Http.GetAsync("/login?t=wrong", Stop)).StatusCode);
        var login = await site.Http.GetAsync($"/login?t={Token}&returnUrl=%2F%2Fevil.example", Stop);
        Assert.Equal("/", login.Headers.Location?.OriginalString);
        var cookie = login.Headers.GetValues("Set-Cookie").Single();
        Assert.Contains("httponly", cookie);
        using var inside = new HttpRequestMessage(HttpMethod.Get, "/api/analyses") { Headers = { { "Cookie", cookie.Split(';')[0] } } };
        Assert.Equal(HttpStatusCode.OK, (await site.Http.SendAsync(inside, Stop)).StatusCode);
        using var bearer = new HttpRequestMessage(HttpMethod.Get, "/api/analyses") { Headers = { { "Authorization", "Bearer " + Token } } };
        Assert.Equal(HttpStatusCode.OK, (await site.Http.SendAsync(bearer, Stop)).StatusCode);
    }

    [Fact]
    public async Task A_cookie_ends_with_the_token_it_was_given_for()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-cookie-").FullName;
        try
        {
            string cookie;
            await using (var site = await TestSite.StartAsync(folder, "http://0.0.0.0:0", settings: new Dictionary<string, string> { ["Dashboard:Token"] = Token }))
            {
                cookie = (await site.Http.GetAsync($"/login?t={Token}", Stop)).Headers.GetValues("Set-Cookie").Single().Split(';')[0];
            }

            await using var later = await TestSite.StartAsync(folder, "http://0.0.0.0:0");
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/analyses") { Headers = { { "Cookie", cookie } } };
            Assert.Equal(HttpStatusCode.Unauthorized, (await later.Http.SendAsync(request, Stop)).StatusCode);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Pages_carry_a_policy_that_keeps_scripts_to_this_site()
    {
        await using var site = await TestSite.StartAsync();
        using var response = await site.Http.GetAsync("/", Stop);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var policy = response.Headers.GetValues("Content-Security-Policy").Single();
        Assert.DoesNotContain("unsafe-eval", policy);
        Assert.Contains("script-src 'self' 'nonce-", policy);
        var nonce = policy.Split("'nonce-")[1].Split('\'')[0];
        var html = await response.Content.ReadAsStringAsync(Stop);
        Assert.Contains($"nonce=\"{WebUtility.HtmlEncode(nonce)}\"", html.Replace("&#x2B;", "+", StringComparison.Ordinal));
        Assert.DoesNotContain("http://", html.Replace("http://www.w3.org", "", StringComparison.Ordinal));
        Assert.DoesNotContain("https://", html);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
    }
}
