"""Writes the TorchScript fixtures beside it: python3 make_scripts.py (any PyTorch from 1.13)."""
import io
import zipfile

import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.pool(self.relu(self.conv(x * self.scale))).flatten(1))


def save(module, path):
    """Saves without the debug entries, which name the folders of the machine."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))


torch.manual_seed(0)
# Runs module by module; the flattening stands between two modules.
save(Classifier(1.0), "in_sequence.ts.pt")
# Scales its input outside any module, so that the modules alone give something else.
save(Classifier(2.0), "not_in_sequence.ts.pt")


class Backbone(nn.Module):
    """The first half of the classifier, as a map or as tokens."""

    def __init__(self, whole, tokens: bool):
        super().__init__()
        self.conv, self.tokens = whole.conv, tokens

    def forward(self, x):
        a = torch.relu(self.conv(x))
        return a.flatten(2).transpose(1, 2) if self.tokens else a


class Head(nn.Module):
    """The second half; rectified once more it is no longer linear."""

    def __init__(self, whole, tokens: bool, rectify: bool):
        super().__init__()
        self.fc, self.tokens, self.rectify = whole.fc, tokens, rectify

    def forward(self, a):
        pooled = a.mean(1) if self.tokens else a.mean([2, 3])
        if self.rectify:
            pooled = torch.relu(pooled)
        return self.fc(pooled)


# The network of in_sequence.ts.pt in two files.
whole = Classifier(1.0)
whole.load_state_dict(torch.jit.load("in_sequence.ts.pt").state_dict())
for name, tokens, rectify in [("split", False, False), ("split_tokens", True, True)]:
    save(Backbone(whole, tokens), name + ".backbone.pt")
    save(Head(whole, tokens, rectify), name + ".head.pt")
