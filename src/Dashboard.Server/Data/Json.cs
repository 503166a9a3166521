using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dashboard.Server.Data;

/// <summary>How this program writes JSON: web defaults, enumerations by name, numbers that are not finite as strings.</summary>
internal static class Json
{
    /// <summary>Options for files of the engine, the catalogue and the connection to the engine.</summary>
    public static readonly JsonSerializerOptions Options = Create();

    public static void Configure(JsonSerializerOptions options)
    {
        options.NumberHandling |= JsonNumberHandling.AllowNamedFloatingPointLiterals;
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase));
        // Pairs such as (name, images) in the contracts are tuples.
        options.IncludeFields = true;
    }

    private static JsonSerializerOptions Create()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web);
        Configure(options);
        return options;
    }
}
