using Analysis.Networks;

namespace Analysis.Atlas;

/// <summary>Names of a network's outputs for people.</summary>
public static class OutputNames
{
    /// <summary>The name of an output, or "output 7" where the sidecar names none.</summary>
    public static string Of(INetwork network, int output) =>
        output >= 0 && output < network.Classes.Count ? network.Classes[output].Name : FormattableString.Invariant($"output {output}");

    /// <summary>Names of all outputs in order.</summary>
    public static IReadOnlyList<string> All(INetwork network) => [.. Enumerable.Range(0, network.Outputs).Select(o => Of(network, o))];
}
