using Analysis.Numerics;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// Vision transformers (Dosovitskiy et al. 2021, arXiv 2010.11929, §3.1) with torchvision's parameter names: patches by a
/// convolution, a class token before them, learnt positions, blocks of normalisation, self-attention and a perceptron with
/// GELU, a last normalisation, and a linear classifier on the class token. A block's result is a layer of N×C×1×T: T tokens,
/// the class token first, because the rest of the network needs both; maps show the patches in their places. The class
/// token behind the last normalisation is a layer of its own (<c>encoder.ln</c>) with a linear head.
/// </summary>
internal static class VisionTransformer
{
    public const string Prefix = "vit";

    private const string Classifier = "heads.head";
    private const double Epsilon = 1e-6;
    private const int MaxSize = 1 << 16;
    private const int HeadSize = 64;

    // ViT-H: 1280 channels in 16 heads, where all smaller ones have heads of 64.
    private static readonly (int Channels, int Heads) Huge = (1280, 16);

    public static bool Recognise(TensorShapes shapes) =>
        shapes.Has("class_token") && shapes.Has("conv_proj.weight") && shapes.Has("encoder.pos_embedding") && shapes.Has($"{Classifier}.weight");

    /// <summary>Side of the square input that the positions were learnt for; null where the tensors do not tell.</summary>
    public static int? InputSide(TensorShapes shapes)
    {
        var patch = shapes.Size("conv_proj.weight", 2, 0, 1024);
        var side = (int)Math.Round(Math.Sqrt(shapes.Size("encoder.pos_embedding", 1, 1, 1 << 20) - 1));
        return patch > 0 && side > 0 ? patch * side : null;
    }

    /// <summary>Builds it.</summary>
    /// <param name="shapes">Names and shapes.</param>
    /// <param name="heads">Attention heads as the sidecar states; null for channels / 64.</param>
    /// <param name="height">Input height.</param>
    /// <param name="width">Input width.</param>
    /// <exception cref="AnalysisException">The input or the heads do not fit.</exception>
    public static Blueprint Build(TensorShapes shapes, int? heads, int height, int width)
    {
        var patch = shapes.Size("conv_proj.weight", 2, 16, 1024);
        var channels = shapes.Size("conv_proj.weight", 0, 768, MaxSize);
        var tokens = shapes.Size("encoder.pos_embedding", 1, 197, 1 << 20);
        var grid = new TokenGrid(1, height / patch, width / patch);
        if (height % patch != 0 || width % patch != 0 || (grid.Height * grid.Width) + 1 != tokens)
        {
            throw new AnalysisException(
                $"This vision transformer has positions for {tokens - 1} patches of {patch}×{patch}, but an input of {height}×{width} has {height / patch}×{width / patch}.",
                $"State the input size {InputSide(shapes)} in the sidecar.");
        }

        var attention = heads ?? (channels == Huge.Channels ? Huge.Heads : Math.Max(1, channels / HeadSize));
        if (channels % attention != 0)
        {
            throw new AnalysisException($"{channels} channels cannot be divided into {attention} attention heads.", "State the number of heads in the sidecar.");
        }

        var builder = new BlueprintBuilder(height, width);
        builder.Convolution("conv_proj", "", channels, 3, patch, bias: true);
        builder.Parameter("class_token", 1, 1, channels);
        builder.Parameter("encoder.pos_embedding", 1, tokens, channels);
        builder.Channels = channels;
        (builder.Height, builder.Width) = (grid.Height, grid.Width);
        builder.SignedStep("conv_proj", (weights, x) => weights.Convolve("conv_proj", x, patch, 0));
        (builder.Height, builder.Width) = (1, tokens);
        var blocks = shapes.Count("encoder.layers.encoder_layer_");
        for (var i = 0; i < blocks; i++)
        {
            AddBlock(builder, shapes, $"encoder.layers.encoder_layer_{i}", i == 0, channels, attention, grid);
        }

        builder.Affine("encoder.ln", channels);
        (builder.Height, builder.Width) = (1, 1);
        builder.SignedStep("encoder.ln", (weights, x) =>
        {
            using var first = x.narrow(3, 0, 1);
            using var token = first.flatten(1);
            using var normalised = Normalise(weights, "encoder.ln", token);
            return normalised.view(normalised.shape[0], channels, 1, 1);
        });
        var blueprint = builder.Classify(NameOf(channels, blocks, patch), Classifier, shapes.Size($"{Classifier}.weight", 0, 1000, 1 << 20), Epsilon);
        return blueprint with
        {
            LinearFrom = blueprint.Steps.Count - 2,
            // Behind the last attention the patches no longer reach the class token.
            Suggested = Math.Max(0, blueprint.Steps.Count - 4),
            SuggestedNote = $"Suggested: the last block whose patches still reach the answer: {tokens} tokens, the class token and {grid.Height}×{grid.Width} patches. encoder.ln, the class token, has a closed form but no place in the image.",
        };
    }

    private static string NameOf(int channels, int blocks, int patch) => (channels, blocks) switch
    {
        (768, 12) => $"{Prefix}_b_{patch}",
        (1024, 24) => $"{Prefix}_l_{patch}",
        (1280, 32) => $"{Prefix}_h_{patch}",
        _ => $"{Prefix}_{channels}x{blocks}_{patch}",
    };

    private static void AddBlock(BlueprintBuilder builder, TensorShapes shapes, string name, bool first, int channels, int heads, TokenGrid grid)
    {
        // Published weights carry the older names of the perceptron.
        var older = shapes.Has($"{name}.mlp.linear_1.weight");
        var (up, down) = older ? ($"{name}.mlp.linear_1", $"{name}.mlp.linear_2") : ($"{name}.mlp.0", $"{name}.mlp.3");
        var hidden = shapes.Size($"{up}.weight", 0, 4 * channels, MaxSize);
        builder.Affine($"{name}.ln_1", channels);
        builder.Parameter($"{name}.self_attention.in_proj_weight", 3L * channels, channels);
        builder.Parameter($"{name}.self_attention.in_proj_bias", 3L * channels);
        builder.Affine($"{name}.self_attention.out_proj", channels, channels);
        builder.Affine($"{name}.ln_2", channels);
        builder.Affine(up, hidden, channels);
        builder.Affine(down, channels, hidden);
        builder.SignedStep(
            name,
            (weights, x) =>
            {
                using var flat = x.flatten(2);
                using var patches = flat.transpose(1, 2);
                using var tokens = first ? Embed(weights, patches) : patches.alias();
                using var calm = Normalise(weights, $"{name}.ln_1", tokens);
                using var attended = Attend(weights, $"{name}.self_attention", calm, heads);
                using var sum = attended.add(tokens, Scalars.One);
                using var normalised = Normalise(weights, $"{name}.ln_2", sum);
                using var wide = Linear(weights, up, normalised);
                using var active = functional.gelu(wide);
                using var narrow = Linear(weights, down, active);
                using var result = narrow.add(sum, Scalars.One);
                using var columns = result.transpose(1, 2);
                using var positions = columns.unsqueeze(2);
                return positions.contiguous();
            },
            grid);
    }

    private static Tensor Embed(NetworkWeights weights, Tensor patches)
    {
        using var token = weights.Repeated("class_token", patches.shape[0]);
        using var all = cat([token, patches], 1);
        using var places = weights.Repeated("encoder.pos_embedding", patches.shape[0]);
        return all.add(places, Scalars.One);
    }

    private static Tensor Normalise(NetworkWeights weights, string name, Tensor x) => weights.Normalise(name, x, Epsilon);

    private static Tensor Linear(NetworkWeights weights, string name, Tensor x) => weights.Linear($"{name}.weight", $"{name}.bias", x);

    /// <summary>softmax(QKᵀ/√d) V in each head, then the output projection. N×T×C.</summary>
    private static Tensor Attend(NetworkWeights weights, string name, Tensor x, int heads)
    {
        var (n, t, c) = (x.shape[0], x.shape[1], x.shape[2]);
        var d = c / heads;
        using var projected = weights.Linear($"{name}.in_proj_weight", $"{name}.in_proj_bias", x);
        using var split = projected.view(n, t, 3, heads, d);
        // 3 × N·heads × T × d
        using var ordered = split.permute(2, 0, 3, 1, 4);
        using var parts = ordered.reshape(3, n * heads, t, d);
        using var q = parts[0];
        using var k = parts[1];
        using var v = parts[2];
        using var scaled = q * Scalars.Of(1 / Math.Sqrt(d));
        using var turned = k.transpose(1, 2);
        using var scores = scaled.bmm(turned);
        using var shares = functional.softmax(scores, 2);
        using var mixed = shares.bmm(v);
        using var separate = mixed.view(n, heads, t, d);
        using var side = separate.transpose(1, 2);
        using var joined = side.reshape(n, t, c);
        return Linear(weights, $"{name}.out_proj", joined);
    }
}
