using System.Net;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Configuration;

/// <summary>Collects every fault of the settings, each with the name of its key and what to do.</summary>
internal sealed class DashboardOptionsValidator : IValidateOptions<DashboardOptions>
{
    public ValidateOptionsResult Validate(string? name, DashboardOptions options)
    {
        var faults = new List<string>();
        if (options.DataDirectory.Contains('\0'))
        {
            faults.Add("Dashboard:DataDirectory contains a zero byte. Give the path of a folder.");
        }

        foreach (var address in options.Addresses)
        {
            if (!BindingAddressIsUsable(address))
            {
                faults.Add($"Dashboard:Urls has '{address}', which is not an address. Write for example {DashboardOptions.DefaultUrls}.");
            }
        }

        foreach (var root in options.DataRoots)
        {
            if (string.IsNullOrWhiteSpace(root) || !Directory.Exists(root))
            {
                faults.Add($"Dashboard:DataRoots has '{root}', which is not a folder. Give an existing folder, or leave the key out to use the home folder.");
            }
        }

        if (options.Token.Length is > 0 and < 16)
        {
            faults.Add($"Dashboard:Token has {options.Token.Length} characters. Use at least 16, or leave the key out to get a new token at each start.");
        }

        AtLeast(options.StoreLimitGiB, 0.1, nameof(options.StoreLimitGiB), "GiB");
        AtLeast(options.ThumbnailLimitGiB, 0.01, nameof(options.ThumbnailLimitGiB), "GiB");
        AtLeast(options.WorkerStartSeconds, 1, nameof(options.WorkerStartSeconds), "seconds");
        AtLeast(options.InspectSeconds, 1, nameof(options.InspectSeconds), "seconds");
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);

        void AtLeast(double value, double least, string key, string unit)
        {
            if (!(value >= least))
            {
                faults.Add(FormattableString.Invariant($"Dashboard:{key} is {value}. Use at least {least} {unit}."));
            }
        }
    }

    private static bool BindingAddressIsUsable(string address)
    {
        try
        {
            var parsed = Microsoft.AspNetCore.Http.BindingAddress.Parse(address);
            return parsed.Scheme is "http" or "https" && parsed.Port is >= 0 and <= IPEndPoint.MaxPort && parsed.Host.Length > 0;
        }
        catch (FormatException)
        {
            return false;
        }
    }
}
