"""Writes networks.npz beside it: outputs of small VGG, MobileNetV2 and vision transformers whose weights follow a formula.

python3 make_networks.py (numpy and any PyTorch from 1.13). The forward passes are written out with plain functions.
"""
import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def formula(name, shape):
    """Weights that another program can make again: a multiplicative sequence by element, started by the name."""
    count = int(np.prod(shape))
    h = ((np.arange(1, count + 1, dtype=np.uint64) * 2654435761 + sum(name.encode()) * 374761393) % 2**32) >> np.uint64(8)
    v = h.astype(np.float64) / 2**23 - 1
    last = name.split(".")[-1]
    if last == "running_var":
        v = np.abs(v) + 0.5
    elif last == "weight" and len(shape) == 1:
        v = 1 + 0.2 * v
    elif last in ("weight", "in_proj_weight"):
        v = v * np.sqrt(6 / np.prod(shape[1:]))
    else:
        v = 0.3 * v
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


class Weights(dict):
    """Makes a tensor when it is first asked for and remembers its shape."""

    def get_tensor(self, name, *shape):
        if name not in self:
            self[name] = formula(name, shape)
        return self[name]


def conv(w, x, name, out, kernel, stride=1, padding=0, groups=1, bias=False):
    weight = w.get_tensor(name + ".weight", out, x.shape[1] // groups, kernel, kernel)
    b = w.get_tensor(name + ".bias", out) if bias else None
    return F.conv2d(x, weight, b, stride, padding, 1, groups)


def norm(w, x, name):
    c = x.shape[1]
    weight, bias, mean, var = (w.get_tensor(f"{name}.{p}", c) for p in ("weight", "bias", "running_mean", "running_var"))
    return F.batch_norm(x, mean, var, weight, bias, False, 0, 1e-5)


def linear(w, x, name, out):
    return F.linear(x, w.get_tensor(name + ".weight", out, x.shape[-1]), w.get_tensor(name + ".bias", out))


def vgg(stages, widths, batch_norm, x):
    w, i, layers = Weights(), 0, {}
    for count, width in zip(stages, widths):
        for _ in range(count):
            x = conv(w, x, f"features.{i}", width, 3, 1, 1, bias=True)
            if batch_norm:
                x = norm(w, x, f"features.{i + 1}")
            x = F.relu(x)
            i += 3 if batch_norm else 2
            layers[f"features.{i - 1}"] = x
        x = F.max_pool2d(x, 2, 2)
        i += 1
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    x = F.relu(linear(w, x, "classifier.0", 6))
    x = F.relu(linear(w, x, "classifier.3", 5))
    layers["classifier.4"] = x[:, :, None, None]
    return w, linear(w, x, "classifier.6", 4), layers


def mobilenet_v2(x):
    w, layers = Weights(), {}
    x = F.relu6(norm(w, conv(w, x, "features.0.0", 4, 3, 2, 1), "features.0.1"))
    index = 1
    for t, c, n, s in [(1, 3, 1, 1), (6, 4, 2, 2), (6, 5, 3, 2), (6, 6, 4, 2), (6, 6, 3, 1), (6, 7, 3, 2), (6, 8, 1, 1)]:
        for block in range(n):
            stride = s if block == 0 else 1
            name, y, place, hidden = f"features.{index}.conv", x, 0, x.shape[1] * t
            if t != 1:
                y = F.relu6(norm(w, conv(w, y, f"{name}.0.0", hidden, 1), f"{name}.0.1"))
                place = 1
            y = F.relu6(norm(w, conv(w, y, f"{name}.{place}.0", hidden, 3, stride, 1, hidden), f"{name}.{place}.1"))
            y = norm(w, conv(w, y, f"{name}.{place + 1}", c, 1), f"{name}.{place + 2}")
            x = x + y if stride == 1 and x.shape[1] == c else y
            layers[f"features.{index}"] = x
            index += 1
    x = F.relu6(norm(w, conv(w, x, "features.18.0", 12, 1), "features.18.1"))
    layers["features.18"] = x
    return w, linear(w, x.mean([2, 3]), "classifier.1", 5), layers


def vit(x, dim, heads, depth, patch, older):
    w, layers = Weights(), {}
    x = conv(w, x, "conv_proj", dim, patch, patch, bias=True).flatten(2).transpose(1, 2)
    x = torch.cat([w.get_tensor("class_token", 1, 1, dim).expand(len(x), 1, dim), x], 1)
    x = x + w.get_tensor("encoder.pos_embedding", 1, x.shape[1], dim)

    def ln(y, name):
        return F.layer_norm(y, [dim], w.get_tensor(name + ".weight", dim), w.get_tensor(name + ".bias", dim), 1e-6)

    up, down = ("linear_1", "linear_2") if older else ("0", "3")
    for i in range(depth):
        p = f"encoder.layers.encoder_layer_{i}"
        y = ln(x, p + ".ln_1")
        a = p + ".self_attention"
        y, _ = F.multi_head_attention_forward(
            y.transpose(0, 1), y.transpose(0, 1), y.transpose(0, 1), dim, heads,
            w.get_tensor(a + ".in_proj_weight", 3 * dim, dim), w.get_tensor(a + ".in_proj_bias", 3 * dim), None, None, False, 0.0,
            w.get_tensor(a + ".out_proj.weight", dim, dim), w.get_tensor(a + ".out_proj.bias", dim), training=False, need_weights=False)
        x = x + y.transpose(0, 1)
        y = linear(w, F.gelu(linear(w, ln(x, p + ".ln_2"), f"{p}.mlp.{up}", 2 * dim)), f"{p}.mlp.{down}", dim)
        x = x + y
        layers[p] = x.transpose(1, 2)[:, :, None, :]
    x = ln(x, "encoder.ln")[:, 0]
    layers["encoder.ln"] = x[:, :, None, None]
    return w, linear(w, x, "heads.head", 6), layers


def image(height, width):
    return formula("image", (2, 3, height, width)) * 3


out = {}
cases = {
    "vgg11": lambda: vgg([1, 1, 2, 2, 2], [3, 4, 4, 5, 6], False, image(40, 32)),
    "vgg13_bn": lambda: vgg([2, 2, 2, 2, 2], [3, 4, 4, 5, 6], True, image(64, 64)),
    "mobilenet_v2": lambda: mobilenet_v2(image(72, 64)),
    "vit": lambda: vit(image(12, 12), 24, 3, 3, 4, False),
    "vit_older": lambda: vit(image(12, 12), 24, 3, 3, 4, True),
}
for case, run in cases.items():
    with torch.no_grad():
        weights, logits, layers = run()
    out[f"{case}/tensors"] = np.array([f"{k}:{'x'.join(map(str, v.shape))}" for k, v in weights.items()])
    out[f"{case}/logits"] = logits.numpy()
    for layer, value in layers.items():
        out[f"{case}/layer/{layer}"] = value.mean(3).numpy() if value.dim() == 4 and value.shape[2] > 1 else value.mean(1).numpy()
        assert value.abs().max() > 1e-3, (case, layer)
np.savez_compressed("networks.npz", **out)
