using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>Rows to factorise.</summary>
/// <param name="Rows">A, m×C float32 on the network's device; owned by the caller.</param>
/// <param name="Available">Rows there are; more than m where only a part was drawn.</param>
public sealed record InputRows(Tensor Rows, long Available);

/// <summary>
/// The rows A of a factorisation for a granularity: pooled activations, spatial positions, or crops. Where all of them
/// would not fit the memory that is set aside, rows are drawn without replacement, and the caller says so to people.
/// </summary>
/// <param name="store">Recorded activations.</param>
/// <param name="spatial">Spatial activations.</param>
/// <param name="crops">Crops; null for another granularity.</param>
/// <param name="layer">Analysed layer.</param>
/// <param name="device">The network's device.</param>
/// <param name="granularity"><c>pooled</c>, <c>positions</c> or <c>crops</c>.</param>
public sealed class ConceptInput(ActivationStore store, SpatialActivations spatial, CropActivations? crops, LayerInfo layer, Device device, string granularity)
{
    private const int Part = 64;

    /// <summary>Gathers rows of some classes.</summary>
    /// <param name="classes">The classes.</param>
    /// <param name="most">Rows at most.</param>
    /// <param name="seed">Seed of the draw.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    public InputRows Gather(IReadOnlyList<ClassRows> classes, long most, int seed, CancellationToken cancellation)
    {
        using var guard = no_grad();
        var images = classes.SelectMany(c => c.Rows).ToArray();
        var perImage = granularity switch { "positions" => layer.Height * layer.Width, "crops" => crops!.Geometry.Count, _ => 1 };
        var available = (long)images.Length * perImage;
        var drawn = available > most ? Draw(available, most, seed) : null;
        var parts = new List<Tensor>();
        var next = 0;
        foreach (var (start, rows) in Read(classes, images, cancellation))
        {
            using (rows)
            {
                parts.Add(drawn is null ? rows.alias().DetachFromDisposeScope() : Pick(rows, (long)start * perImage, drawn, ref next));
            }
        }

        var all = cat(parts, 0).DetachFromDisposeScope();
        parts.ForEach(p => p.Dispose());
        return new InputRows(all, available);
    }

    private IEnumerable<(int Start, Tensor Rows)> Read(IReadOnlyList<ClassRows> classes, int[] images, CancellationToken cancellation)
    {
        switch (granularity)
        {
            case "positions":
                foreach (var (start, activation) in spatial.Read(images, Part, cancellation))
                {
                    using (activation)
                    {
                        yield return (start, Flatten(activation));
                    }
                }

                break;
            case "crops":
                var first = 0;
                foreach (var members in classes)
                {
                    cancellation.ThrowIfCancellationRequested();
                    if (members.Rows.Length > 0)
                    {
                        yield return (first, Owned(() => crops!.Read(members.Description.Index)));
                        first += members.Rows.Length;
                    }
                }

                break;
            default:
                const int Many = 8192;
                for (var start = 0; start < images.Length; start += Many)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var rows = images.AsSpan(start, Math.Min(Many, images.Length - start)).ToArray();
                    yield return (start, Owned(() => store.GatherTensor("pooled.0", rows).to(device)));
                }

                break;
        }
    }

    private static Tensor Owned(Func<Tensor> make)
    {
        using var scope = NewDisposeScope();
        return make().alias().DetachFromDisposeScope();
    }

    private static Tensor Flatten(Tensor activation) =>
        Owned(() => activation.permute(0, 2, 3, 1).reshape(-1, activation.shape[1]).contiguous());

    private static Tensor Pick(Tensor rows, long first, long[] drawn, ref int next)
    {
        var places = new List<long>();
        for (; next < drawn.Length && drawn[next] < first + rows.shape[0]; next++)
        {
            places.Add(drawn[next] - first);
        }

        var picked = places.ToArray();
        return Owned(() => rows.index_select(0, tensor(picked, [picked.Length], ScalarType.Int64, rows.device)));
    }

    /// <summary>Ascending places without repeats (Vitter's selection sampling: one pass, no list of all).</summary>
    private static long[] Draw(long available, long most, int seed)
    {
        var random = new Random(seed);
        var result = new long[most];
        var chosen = 0;
        for (var i = 0L; i < available && chosen < most; i++)
        {
            if (random.NextDouble() * (available - i) < most - chosen)
            {
                result[chosen++] = i;
            }
        }

        return result;
    }
}
