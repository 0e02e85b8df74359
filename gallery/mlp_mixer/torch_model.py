"""MLP-Mixer: perceptrons over the patches, and over the channels."""

import torch
from torch import nn


class MLP(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.fc1 = nn.Linear(size, hidden)
        self.fc2 = nn.Linear(hidden, size)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class MixerBlock(nn.Module):
    def __init__(self, patches, size):
        super().__init__()
        self.norm1 = nn.LayerNorm(size)
        self.tokens = MLP(patches, 2 * patches)
        self.norm2 = nn.LayerNorm(size)
        self.channels = MLP(size, 4 * size)

    def forward(self, x):
        y = self.norm1(x).transpose(1, 2)
        x = x + self.tokens(y).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, picture=16, patch=4, size=8, layers=2, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, size, patch, patch)
        self.blocks = nn.ModuleList([MixerBlock((picture // patch) ** 2, size) for _ in range(layers)])
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, classes)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x).mean(dim=1)
        return self.head(x)


def example():
    return Mixer(), (torch.randn(2, 3, 16, 16),)
