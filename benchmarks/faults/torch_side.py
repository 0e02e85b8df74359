"""Six small models as they are written in PyTorch, and how each is trained."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Model(NamedTuple):
    """What is ported: a module, what goes in, and how it is trained."""

    module: Callable[[int], nn.Module]  # of a width
    inputs: Callable[[np.random.Generator], np.ndarray]
    targets: Callable[[np.random.Generator], np.ndarray]
    loss: Callable[[Any, Any], Any]
    optimizer: Callable[[list[Any]], Any]


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(6, width)
        self.drop = nn.Dropout(0.2)
        self.norm = nn.LayerNorm(width)
        self.fc2 = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.drop(F.gelu(self.fc1(x)))
        x = torch.tanh(self.fc2(self.norm(x)))
        return self.head(x)


class BasicBlock(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.down = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.down(x))


class ResNet(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = BasicBlock(width, width, 1)
        self.layer2 = BasicBlock(width, 2 * width, 2)
        self.fc = nn.Linear(2 * width, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer2(self.layer1(x))
        return self.fc(x.mean((2, 3)))


class DoubleConv(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.norm1 = nn.GroupNorm(2, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.norm2 = nn.GroupNorm(2, out)

    def forward(self, x):
        x = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(x)))


class UNet(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.enter = DoubleConv(1, width)
        self.deep = DoubleConv(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.leave = DoubleConv(2 * width, width)
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        skip = self.enter(x)
        deep = self.deep(F.max_pool2d(skip, 2))
        up = self.up(deep)
        return self.out(self.leave(torch.cat([skip, up], 1)))


class Reader(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(17, width, padding_idx=0)
        self.rnn = nn.LSTM(width, width, batch_first=True)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(width, 5)

    def forward(self, ids):
        out, _ = self.rnn(self.embed(ids))
        return self.head(self.drop(out[:, -1]))


class Attention(nn.Module):
    def __init__(self, width, heads=2):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.attn_drop = nn.Dropout(0.1)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.c_attn(x).split(c, -1)
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in (q, k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(c // self.heads)
        ahead = torch.ones(t, t, dtype=torch.bool).triu(1)
        weights = self.attn_drop(scores.masked_fill(ahead, -math.inf).softmax(-1))
        y = (weights @ v).transpose(1, 2).reshape(b, t, c)
        return self.drop(self.c_proj(y))


class MLPBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLPBlock(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.wte = nn.Embedding(13, width)
        self.wpe = nn.Embedding(8, width)
        self.h = nn.ModuleList([Block(width) for _ in range(2)])
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, 13, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class EncoderBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 2 * width), "fc2": nn.Linear(2 * width, width)})
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.drop(self.attn(y, y, y, need_weights=False)[0])
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.ln_2(x))))


class ViT(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.pos = nn.Parameter(torch.randn(1, 5, width) * 0.02)
        self.blocks = nn.ModuleList([EncoderBlock(width) for _ in range(2)])
        self.ln = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln(x)[:, 0])


def each_token(out, target):
    return F.cross_entropy(out.flatten(0, 1), target.flatten())


def smoothed(out, target):
    return F.cross_entropy(out, target, label_smoothing=0.1)


MODELS = {
    "mlp": Model(
        MLP,
        lambda rng: rng.standard_normal((5, 6)),
        lambda rng: rng.standard_normal((5, 4)),
        F.mse_loss,
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    ),
    "resnet": Model(
        ResNet,
        lambda rng: rng.standard_normal((4, 3, 12, 12)),
        lambda rng: rng.integers(0, 4, 4),
        F.cross_entropy,
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    ),
    "unet": Model(
        UNet,
        lambda rng: rng.standard_normal((2, 1, 8, 8)),
        lambda rng: rng.integers(0, 2, (2, 1, 8, 8)).astype("float64"),
        F.binary_cross_entropy_with_logits,
        lambda p: torch.optim.RMSprop(p, 1e-3, alpha=0.99, eps=1e-8),
    ),
    "lstm": Model(
        Reader,
        lambda rng: rng.integers(0, 17, (4, 6)),
        lambda rng: rng.integers(0, 5, 4),
        F.cross_entropy,
        lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.01),
    ),
    "gpt": Model(
        GPT,
        lambda rng: rng.integers(0, 13, (3, 7)),
        lambda rng: rng.integers(0, 13, (3, 7)),
        each_token,
        lambda p: torch.optim.AdamW(p, 0.01, betas=(0.9, 0.95), weight_decay=0.1),
    ),
    "vit": Model(
        ViT,
        lambda rng: rng.standard_normal((3, 3, 8, 8)),
        lambda rng: rng.integers(0, 4, 3),
        smoothed,
        lambda p: torch.optim.NAdam(p, 0.01),
    ),
}


def batches(model: Model, steps: int, seed: int = 0) -> Iterator[tuple[tuple[np.ndarray], np.ndarray]]:
    """What a run is fed."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield (model.inputs(rng),), model.targets(rng)
