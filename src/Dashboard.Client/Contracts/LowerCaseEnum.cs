using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dashboard.Client.Contracts;

/// <summary>Writes and reads an enumeration by its names in lower camel case, the same in the API, on the hub and in the catalogue.</summary>
/// <typeparam name="T">Enumeration.</typeparam>
public sealed class LowerCaseEnum<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.CamelCase)
    where T : struct, Enum;
