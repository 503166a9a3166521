using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Visualization;

/// <summary>How a concept image is made.</summary>
public sealed record ConceptImageOptions
{
    /// <summary>True for MACO, false for the Fourier parametrisation.</summary>
    public bool Maco { get; init; } = true;

    /// <summary>Side of the picture in pixels.</summary>
    public int Size { get; init; } = 96;

    /// <summary>Steps of the optimiser.</summary>
    public int Steps { get; init; } = 128;

    /// <summary>Random parts of the picture that are shown to the network in each step.</summary>
    public int Crops { get; init; } = 8;

    /// <summary>Seed of the start, the parts and the noise.</summary>
    public int Seed { get; init; }
}

/// <summary>The state of a picture during or after the optimisation.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Objective">Objective of the last step.</param>
/// <param name="Pixels">S×S×3 values in [0, 1], row by row.</param>
/// <param name="Weight">S×S accumulated magnitudes of the gradient, not normalised: what the network looked at.</param>
public sealed record ConceptImageState(int Step, double Objective, float[] Pixels, float[] Weight);

/// <summary>
/// A picture that shows the network as much of a concept as possible, by gradient ascent (feature visualisation; MACO, Fel et
/// al. 2023). Objective: dot(a, v) · max(cos(a, v), 0.1)² of the pooled activation a at the layer, averaged over random parts
/// of the picture with a little noise. Where the vector has negative entries it is a contrast with the mean activation m of
/// the data set, and a − m takes the place of a.
/// </summary>
/// <param name="network">A network that can be differentiated down to its images.</param>
/// <param name="layer">Analysed layer.</param>
/// <param name="vector">Concept vector v, length C; its length does not matter.</param>
/// <param name="mean">Mean pooled activation m, length C.</param>
/// <param name="options">Size, steps, …</param>
public sealed class ConceptImage(INetwork network, string layer, ReadOnlyMemory<double> vector, ReadOnlyMemory<double> mean, ConceptImageOptions options)
{
    private const double MacoRate = 1.0;
    private const double FourierRate = 0.05;
    private const double LeastCosine = 0.1;
    private const double CentreSpread = 0.15;
    private const double SideSpread = 0.05;

    /// <summary>Mean side of the parts at the start, as a share of the picture.</summary>
    private const double FirstSide = 1.0;

    /// <summary>Mean side at the end. Larger than for big pictures: a part of a small picture has few pixels to show.</summary>
    private const double LastSide = 0.6;
    private const double LeastSide = 0.05;

    /// <summary>Steps from the start without any gradient after which there is no hope.</summary>
    private const int MostSilentSteps = 16;
    private const double NormalNoise = 0.08;
    private const double UniformNoise = 0.04;

    /// <summary>Runs the optimisation.</summary>
    /// <param name="magnitude">Mean spectrum of the data set for MACO, 3×S×(S/2+1); null for the Fourier parametrisation.</param>
    /// <param name="observe">Called with every state at which <paramref name="observeEvery"/> divides the step, and with the last.</param>
    /// <param name="observeEvery">Steps between calls.</param>
    /// <param name="progress">Called with the number of steps done.</param>
    /// <param name="cancellation">Honoured between steps.</param>
    /// <returns>The last state.</returns>
    /// <exception cref="AnalysisException">The network cannot be differentiated, or the concept gives no gradient.</exception>
    public ConceptImageState Run(Tensor? magnitude, Action<ConceptImageState> observe, int observeEvery, Action<int> progress, CancellationToken cancellation)
    {
        using var outer = NewDisposeScope();
        using var grad = enable_grad();
        var device = network.Device;
        // Random numbers come from the CPU, so that the device does not change them.
        using var random = new Generator((ulong)options.Seed + 1, CPU);
        var direction = Direction(device);
        var origin = Origin(device);
        var half = (options.Size / 2) + 1;
        var free = (options.Maco
            ? randn([3, options.Size, half], generator: random)
            : randn([2, 3, options.Size, half], generator: random) * Scalars.Of(0.01)).to(device).detach();
        var spectrum = magnitude?.to(ScalarType.Float32).to(device);
        var scale = options.Maco ? null : ImageParametrization.FrequencyScale(options.Size, 1, device);
        var weight = zeros([options.Size, options.Size], ScalarType.Float64);
        using var optimiser = new Nadam(options.Maco ? MacoRate : FourierRate);
        ConceptImageState? state = null;
        var silent = 0;
        for (var step = 1; step <= options.Steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var leaf = free.detach().requires_grad_(true);
            var image = options.Maco ? ImageParametrization.Maco(spectrum!, leaf) : ImageParametrization.Fourier(leaf, scale!);
            // The picture is made a leaf of its own: its gradient is wanted too, and the two parts are then differentiated one after the other.
            var shown = image.detach().requires_grad_(true);
            var objective = Objective(Parts(shown, step, random), direction, origin);
            autograd.backward([objective], inputs: [shown]);
            var pull = shown.grad!;
            autograd.backward([(image * pull).sum()], inputs: [leaf]);
            var gradient = leaf.grad!;
            var value = objective.cpu().item<float>();
            // Rectified channels may be silent in one set of parts and not in the next; the noise may wake them.
            silent = silent >= 0 && gradient.abs().max().cpu().item<float>() == 0 ? silent + 1 : -1;
            if (!float.IsFinite(value) || silent >= MostSilentSteps)
            {
                throw new AnalysisException(
                    $"No picture can be made: the objective is {value} and gives no direction to go.", "Choose another concept, or another seed for another start.");
            }

            using (no_grad())
            {
                weight.add_(pull.abs().mean([0L]).to(ScalarType.Float64).cpu(), Scalars.One);
            }

            optimiser.Ascend(free, gradient);
            progress(step);
            if (step % observeEvery == 0 || step == options.Steps)
            {
                state = State(step, value, free, spectrum, scale, weight);
                observe(state);
            }
        }

        return state!;
    }

    /// <summary>The concept's value in pictures: (a − m) · v or a · v per picture, with v of unit length.</summary>
    /// <param name="images">N×3×S×S in [−1, 1], of any size.</param>
    public double[] Strength(Tensor images)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var direction = Direction(network.Device);
        var count = images.shape[0];
        var whole = tensor(Enumerable.Repeat(new[] { 0f, 0f, 1f, 1f }, (int)count).SelectMany(b => b).ToArray(), [count, 4]);
        var pooled = Pooled(Prepare(Resample(images.to(network.Device), whole)));
        return [.. (pooled - Origin(network.Device)).mv(direction).to(ScalarType.Float64).cpu().data<double>()];
    }

    /// <summary>Boxes as (top, left, bottom, right) in shares of the picture, N×4 float32.</summary>
    private Tensor Boxes(int step, Generator random)
    {
        var share = options.Steps == 1 ? 1 : (step - 1.0) / (options.Steps - 1);
        var mean = FirstSide + ((LastSide - FirstSide) * share);
        var centre = (randn([options.Crops, 2], generator: random) * Scalars.Of(CentreSpread)).add(Scalars.Of(0.5), Scalars.One);
        var side = ((randn([options.Crops, 1], generator: random) * Scalars.Of(SideSpread)).add(Scalars.Of(mean), Scalars.One)).clamp(Scalars.Of(LeastSide), Scalars.Of(1.0));
        return cat([centre - (side / Scalars.Of(2)), centre.add(side / Scalars.Of(2), Scalars.One)], 1);
    }

    private Tensor Parts(Tensor image, int step, Generator random)
    {
        var boxes = Boxes(step, random);
        var parts = Resample(image.unsqueeze(0).expand(options.Crops, 3, options.Size, options.Size), boxes);
        var noise = (randn(parts.shape, generator: random) * Scalars.Of(NormalNoise)).add(((rand(parts.shape, generator: random) * Scalars.Of(2)) - Scalars.Of(1)) * Scalars.Of(UniformNoise), Scalars.One);
        return Prepare(parts.add(noise.to(image.device), Scalars.One));
    }

    /// <summary>Cuts boxes out of pictures and brings them to the network's input size, by bilinear weights as two matrix products: the same bytes on every run, also backwards.</summary>
    private Tensor Resample(Tensor images, Tensor boxes)
    {
        var rows = Interpolation(boxes, 0, (int)images.shape[2], network.Preprocessing.Height).to(images.device);
        var columns = Interpolation(boxes, 1, (int)images.shape[3], network.Preprocessing.Width).to(images.device);
        var tall = einsum("nyh,nchw->ncyw", rows, images);
        return einsum("nxw,ncyw->ncyx", columns, tall);
    }

    /// <summary>N×out×in weights; outputs whose centre lies outside the picture fade to 0, the middle grey.</summary>
    private static Tensor Interpolation(Tensor boxes, int axis, int input, int output)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var from = boxes.select(1, axis).unsqueeze(1);
        var to = boxes.select(1, axis + 2).unsqueeze(1);
        var centres = arange(Scalars.Of(0), Scalars.Of(output), Scalars.One, ScalarType.Float32).unsqueeze(0).add(Scalars.Of(0.5), Scalars.One) / Scalars.Of(output);
        var at = (from.add((to - from) * centres, Scalars.One) * Scalars.Of(input)) - Scalars.Of(0.5);
        // A part with fewer pixels than the output is interpolated; one with more is averaged over the pixels that each output covers.
        var reach = ((to - from) * Scalars.Of(input) / Scalars.Of(output)).clamp_min(Scalars.Of(1)).unsqueeze(2);
        var distance = (arange(Scalars.Of(0), Scalars.Of(input), Scalars.One, ScalarType.Float32).view(1, 1, input) - at.unsqueeze(2)).abs() / reach;
        var weights = (Scalars.Of(1) - distance).clamp_min(Scalars.Of(0));
        var inside = at.ge(Scalars.Of(-0.5)).logical_and(at.le(Scalars.Of(input - 0.5))).unsqueeze(2);
        return (weights / where(inside, weights.sum(2, keepdim: true), reach)).MoveToOuterDisposeScope();
    }

    private Tensor Prepare(Tensor parts)
    {
        var mean = tensor(network.Preprocessing.Mean.ToArray(), device: parts.device).view(1, 3, 1, 1);
        var std = tensor(network.Preprocessing.Std.ToArray(), device: parts.device).view(1, 3, 1, 1);
        return ((parts.add(Scalars.Of(1), Scalars.One) / Scalars.Of(2)) - mean) / std;
    }

    private Tensor Pooled(Tensor batch)
    {
        var activation = network.Backbone(batch, layer);
        return activation.dim() == 4 ? activation.mean([2, 3]) : activation.flatten(1);
    }

    private Tensor Objective(Tensor batch, Tensor direction, Tensor origin)
    {
        var activation = Pooled(batch) - origin;
        var dot = activation.mv(direction);
        var cosine = dot / activation.pow(Scalars.Of(2)).sum(1).sqrt().add(Scalars.Of(1e-6), Scalars.One);
        return (dot * cosine.clamp_min(Scalars.Of(LeastCosine)).pow(Scalars.Of(2))).mean();
    }

    private Tensor Direction(Device device)
    {
        var values = tensor(vector.ToArray(), device: device).to(ScalarType.Float32);
        return values / values.norm().clamp_min(Scalars.Of(1e-12));
    }

    private Tensor Origin(Device device)
    {
        var contrast = vector.Span.ContainsAnyInRange(double.NegativeInfinity, -1e-9);
        return tensor(contrast ? mean.ToArray() : new double[vector.Length], device: device).to(ScalarType.Float32);
    }

    private ConceptImageState State(int step, double objective, Tensor free, Tensor? spectrum, Tensor? scale, Tensor weight)
    {
        using var quiet = no_grad();
        var image = options.Maco ? ImageParametrization.Maco(spectrum!, free) : ImageParametrization.Fourier(free, scale!);
        var pixels = (image.add(Scalars.Of(1), Scalars.One) / Scalars.Of(2)).permute(1, 2, 0).contiguous().cpu();
        return new ConceptImageState(step, objective, pixels.data<float>().ToArray(), weight.to(ScalarType.Float32).contiguous().data<float>().ToArray());
    }
}
