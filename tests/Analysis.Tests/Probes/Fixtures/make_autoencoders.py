"""Writes the TorchScript autoencoders beside it: python3 make_autoencoders.py (any PyTorch from 1.13)."""
import io
import zipfile

import torch
from torch import nn


class Encoder(nn.Module):
    """The mean colour of each of 4 by 4 parts of a picture, scaled by a parameter: a code of 3 by 4 by 4."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x, 4) * self.scale


class Decoder(nn.Module):
    """Draws the code in parts of 16 by 16 pixels."""

    def __init__(self, factor: int):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.factor = factor

    def forward(self, code):
        return (code * self.scale).repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3)


class Rounding(nn.Module):
    """A code of whole numbers, which cannot be changed a little."""

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x * 255, 4).to(torch.int64)


class RoundingDecoder(nn.Module):
    def forward(self, code):
        return (code.to(torch.float32) / 255).repeat_interleave(16, 2).repeat_interleave(16, 3)


class Pair(nn.Module):
    """What a variational autoencoder gives: mean and deviation instead of a code."""

    def forward(self, x):
        pooled = nn.functional.adaptive_avg_pool2d(x, 4)
        return pooled, pooled


class Broken(nn.Module):
    """Not numbers."""

    def forward(self, x):
        return torch.log(nn.functional.adaptive_avg_pool2d(x, 4) - 2)


class Whole(nn.Module):
    """One code for all pictures of a batch."""

    def forward(self, x):
        return x.mean(0)


class WholeDecoder(nn.Module):
    def forward(self, code):
        return torch.stack([code, code])


class Detached(nn.Module):
    """A decoder through which no gradient flows."""

    def forward(self, code):
        return (code.detach() * 0.5).repeat_interleave(16, 2).repeat_interleave(16, 3)


def save(module, path):
    """Saves without the debug entries, which name the folders of the machine."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))


save(Encoder(), "parts.encoder.pt")
save(Decoder(16), "parts.decoder.pt")
save(Decoder(8), "small.decoder.pt")
save(Rounding(), "rounding.encoder.pt")
save(RoundingDecoder(), "rounding.decoder.pt")
save(Pair(), "pair.encoder.pt")
save(Broken(), "broken.encoder.pt")
save(Whole(), "whole.encoder.pt")
save(WholeDecoder(), "whole.decoder.pt")
save(Detached(), "detached.decoder.pt")
