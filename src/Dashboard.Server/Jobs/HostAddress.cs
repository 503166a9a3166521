using System.Net;
using System.Security.Cryptography;
using Dashboard.Server.Configuration;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Jobs;

/// <summary>Where the site can be reached, and whether others than this machine can reach it.</summary>
internal sealed class HostAddress
{
    private readonly TaskCompletionSource _known = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly IServer _server;

    public HostAddress(IOptions<DashboardOptions> options, IServer server, IHostApplicationLifetime lifetime)
    {
        _server = server;
        LoopbackOnly = options.Value.Addresses.All(IsLoopback);
        Token = options.Value.Token.Length > 0 ? options.Value.Token : Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        lifetime.ApplicationStarted.Register(() => _known.TrySetResult());
    }

    /// <summary>True where every address is a loopback address: no login then.</summary>
    public bool LoopbackOnly { get; }

    /// <summary>The token of the login; new at each start unless configured.</summary>
    public string Token { get; }

    /// <summary>Completes when the site listens.</summary>
    public Task Known => _known.Task;

    /// <summary>Addresses that the site listens on, with the real ports.</summary>
    public IReadOnlyList<string> Addresses => [.. _server.Features.Get<IServerAddressesFeature>()?.Addresses ?? []];

    /// <summary>The address that a process on this machine uses. Wildcards become the loopback address.</summary>
    public string ForWorker
    {
        get
        {
            var binding = BindingAddress.Parse(Addresses.FirstOrDefault(address => address.StartsWith("http:", StringComparison.Ordinal)) ?? Addresses[0]);
            var host = binding.Host is "*" or "+" or "0.0.0.0" or "[::]" ? "127.0.0.1" : binding.Host;
            return $"{binding.Scheme}://{host}:{binding.Port}";
        }
    }

    /// <summary>True for a name or address that only this machine reaches.</summary>
    public static bool IsLoopbackHost(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    private static bool IsLoopback(string address) => IsLoopbackHost(BindingAddress.Parse(address).Host);
}
