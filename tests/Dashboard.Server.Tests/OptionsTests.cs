using Analysis;
using Dashboard.Server.Configuration;
using Xunit;

namespace Dashboard.Server.Tests;

public sealed class OptionsTests
{
    [Fact]
    public void Every_fault_is_collected_with_its_key()
    {
        var outcome = new DashboardOptionsValidator().Validate(null, new DashboardOptions
        {
            Urls = "http://127.0.0.1:5080;ftp://x;nonsense",
            DataRoots = ["/no/such/folder"],
            Token = "short",
            StoreLimitGiB = double.NaN,
            InspectSeconds = 0,
        });
        Assert.True(outcome.Failed);
        var faults = string.Join('\n', outcome.Failures!);
        Assert.All(
            new[] { "Urls has 'ftp://x'", "Urls has 'nonsense'", "DataRoots has '/no/such/folder'", "Token has 5", "StoreLimitGiB is NaN", "InspectSeconds is 0" },
            expected => Assert.Contains(expected, faults));
        Assert.DoesNotContain("127.0.0.1:5080'", faults);
    }

    [Fact]
    public async Task A_data_directory_that_is_a_file_gives_a_message_with_a_remedy()
    {
        var file = Path.GetTempFileName();
        try
        {
            var fault = await Assert.ThrowsAsync<AnalysisException>(() => TestSite.StartAsync(settings: new Dictionary<string, string> { ["Dashboard:DataDirectory"] = file }));
            Assert.Contains(file, fault.Message);
            Assert.Contains("--data-directory", fault.Message);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
