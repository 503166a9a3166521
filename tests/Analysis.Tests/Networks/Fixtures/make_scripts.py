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
