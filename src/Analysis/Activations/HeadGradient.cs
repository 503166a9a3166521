using Analysis.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Activations;

/// <summary>
/// Gradient of one logit per sample with respect to a layer's activation. Only the head is differentiated: the activation
/// is a leaf. One backward pass of Σₙ yₙ gives all samples' gradients, since they do not interact in evaluation mode.
/// </summary>
public static class HeadGradient
{
    /// <summary>Computes d y[n, target[n]] / d A[n].</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Layer of the activation.</param>
    /// <param name="activation">N×C×H×W float32; not changed.</param>
    /// <param name="target">Output index per sample, N int64, on the same device.</param>
    /// <returns>Gradient, N×C×H×W float32, detached.</returns>
    public static Tensor Compute(INetwork network, string layer, Tensor activation, Tensor target)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        var leaf = activation.detach().clone().requires_grad_(true);
        var logits = network.Head(layer, leaf);
        var picked = logits.gather(1, target.unsqueeze(1)).sum();
        // autograd.grad would abort the process on an error; backward with a named input throws and leaves the weights alone.
        autograd.backward([picked], inputs: [leaf]);
        return leaf.grad!.detach().MoveToOuterDisposeScope();
    }
}
