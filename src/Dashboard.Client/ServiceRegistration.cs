using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MudBlazor.Services;

namespace Dashboard.Client;

/// <summary>What the pages need from the host's container besides the services of Contracts.</summary>
public static class ServiceRegistration
{
    /// <summary>Adds the component kit and the pages' own services.</summary>
    public static IServiceCollection AddDashboardClient(this IServiceCollection services)
    {
        services.AddMudServices();
        services.TryAddSingleton(TimeProvider.System);
        services.AddScoped<State.TagBasket>();
        return services;
    }
}
