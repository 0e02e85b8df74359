"""Models that each show one thing a port must get right, with inputs."""

import functools
import math

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    def __init__(self, width, stride):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.down = nn.Conv2d(width, width, 1, stride)

    def forward(self, x):
        out = F.relu(self.norm(self.conv(x)), inplace=True)
        return out + self.down(x)  # the way around


class Pictures(nn.Module):
    """Running statistics, a constant in which two blocks differ, and containers."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.blocks = nn.ModuleList([Residual(4, 1), Residual(4, 2)])
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        B, T, C = x.size()
        # queries, keys and values of all heads at once
        q, k, v = self.qkv(x).split(C, dim=2)
        q = q.view(B, T, self.heads, C // self.heads).transpose(1, 2)  # (B, heads, T, size)
        k = k.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        v = v.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=0.1 if self.training else 0)
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        return self.drop(self.out(y))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)

    def forward(self, x):
        return x + self.attention(self.norm(x))


class Decoder(nn.Module):
    """Dropout by keys, weights that are tied, sizes that are not constants."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.places = nn.Embedding(16, 8)
        self.blocks = nn.ModuleList([Block(8, 2) for _ in range(2)])
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.size(1)))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, num_layers=2, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        out, (h, _) = self.rnn(x)
        return self.head(out), h


class Shared(nn.Module):
    """One layer called twice, a root parameter, and an attribute that is a tensor."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.shift = torch.tensor([0.5, -0.5, 1.0])

    def forward(self, x):
        return self.layer(torch.tanh(self.layer(x)) * self.scale) + self.shift


class Average(nn.Module):
    """A buffer of one's own that training moves, and two bodies for the two modes."""

    def __init__(self):
        super().__init__()
        self.mean: torch.Tensor
        self.register_buffer("mean", torch.zeros(3))
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
            x = x - x.mean(0)
        else:
            x = x - self.mean
        return self.layer(x)


class DropsInPlace(nn.Module):
    """Dropout in place, which changes its input in training alone."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.layer = nn.BatchNorm1d(3), nn.Dropout(0.2, inplace=True), nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(self.drop(self.norm(x)))


class NormalInside(nn.Module):
    """Two bodies, of which that of training alone changes buffers, in a module inside."""

    def __init__(self):
        super().__init__()
        self.norm, self.layer = nn.BatchNorm1d(3), nn.Linear(3, 3)

    def forward(self, x):
        x = self.norm(x)
        return self.layer(x * 2 + 1 if self.training else x)


class Grid(nn.Module):
    """A buffer that is made anew, of another size, where it does not fit."""

    def __init__(self):
        super().__init__()
        self.grid: torch.Tensor
        self.register_buffer("grid", torch.zeros(1))

    def forward(self, x):
        if self.grid.shape[0] != 3:
            self.grid = torch.linspace(-1, 1, 3)
        return x * self.grid


class Lazy(nn.Module):
    """Such a buffer in a module inside."""

    def __init__(self):
        super().__init__()
        self.layer, self.place = nn.Linear(3, 3), Grid()

    def forward(self, x):
        return self.place(self.layer(x))


class Rounds(nn.Module):
    """Sizes that are quotients rounded either way."""

    def forward(self, x):
        n = x.shape[0]
        up, down = math.ceil(n / 2), math.floor(n / 2)
        return x[:up].sum(0) - 2 * x[down:].sum(0)


class Alone(nn.Module):
    """A tuple of one."""

    def forward(self, x):
        return (torch.tanh(x),)


class Window(nn.Module):
    """A module that returns a tuple of one, and the bounds of a slice worked out in tensors, but known."""

    def __init__(self):
        super().__init__()
        self.alone, self.table = Alone(), nn.Parameter(torch.linspace(-1, 1, 8)[:, None])

    def forward(self, x):
        (y,) = self.alone(x)
        span = torch.tensor(2)
        return (y + self.table[3 - span : 3 + span].sum(),)


@functools.cache
def places(length):
    return torch.arange(float(length)) / length


class Cached(nn.Module):
    """A tensor that a function makes once."""

    def forward(self, x):
        return x * places(3)


class Experts(nn.Module):
    """Rows that are sorted by their experts, and multiplied with those alone."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(4, 3, bias=False)
        self.experts = nn.Parameter(torch.linspace(-1, 1, 48).reshape(3, 4, 4).cos())

    def forward(self, x):
        weights, chosen = self.router(x).softmax(-1).topk(2)
        sorted_ids, order = chosen.reshape(-1).sort()
        ends = torch.histc(sorted_ids.float(), bins=3, min=0, max=2).cumsum(0, dtype=torch.int32)
        y = F.grouped_mm(x[order // 2], self.experts, offs=ends) * weights.reshape(-1)[order, None]
        return y[order.argsort()].view(-1, 2, 4).sum(1)


class InPlace(nn.Module):
    """Changes in place: of a value, of a part of it, and under a mask."""

    def forward(self, x):
        y = x * 2
        y += 1
        y[:, 0] = x[:, 1]
        y[:, 1].mul_(3)
        y[y > 2] = 0.5
        z = torch.zeros_like(y)
        z[:, 1:] = y[:, 1:]
        return z.clamp_(-1, 1) + y.sub_(1, alpha=2)


class Stopped(nn.Module):
    """What has no gradient."""

    def forward(self, x):
        with torch.no_grad():
            weight = x.softmax(-1)
        return x * weight + x.detach() ** 2 + (x > 0).float() * x


class Answers(nn.Module):
    """Inputs and outputs in dicts and lists."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, batch, scale=2.0, *, more=None):
        y = self.layer(batch["x"]) * scale
        if more is not None:
            y = y + more[0] - more[1]
        return {"y": y, "parts": [y.max(dim=1).values, y.argmax(1)]}


class Hostile(nn.Module):
    """Names that are no identifiers, hide what the source uses, or want to get out of a string."""

    NAMES = ("import", "params", "0", "jnp", "a\"]; raise SystemExit('got out') #", "end\nraise SystemExit", "None")

    def __init__(self):
        super().__init__()
        for name in self.NAMES:
            self.register_module(name, nn.Linear(3, 3))

    def forward(self, key, jnp):  # raise SystemExit # "\n
        F = key + jnp
        for name in self.NAMES:
            F = F + dict(self.named_children())[name](F)
        return F


def randoms(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def cases():
    """Name → (module, inputs, other inputs of other sizes)."""
    torch.manual_seed(0)
    ids = torch.randint(0, 11, (5, 9), generator=torch.Generator().manual_seed(0))
    x, y = randoms(4, 3), randoms(6, 3)
    return {
        "pictures": (Pictures(), (randoms(3, 1, 8, 8),), (randoms(2, 1, 12, 10),)),
        "decoder": (Decoder(), (ids[:3, :7],), (ids,)),
        "recurrent": (Recurrent(), (randoms(2, 5, 3),), (randoms(3, 4, 3),)),
        "shared": (Shared(), (x,), (y,)),
        "average": (Average(), (x,), (y,)),
        "lazy": (Lazy(), (x,), (y,)),
        "rounds": (Rounds(), (x,), (y,)),
        "window": (Window(), (x,), (y,)),
        "drops in place": (DropsInPlace(), (x,), (y,)),
        "normal inside": (NormalInside(), (x,), (y,)),
        "cached": (Cached(), (x,), (y,)),
        "experts": (Experts(), (randoms(5, 4),), (randoms(7, 4),)),
        "in place": (InPlace(), (x,), (y,)),
        "stopped": (Stopped(), (x,), (y,)),
        "answers": (Answers(), ({"x": x},), ({"x": y},)),
        "hostile": (Hostile(), (x, x), (y, y)),
        "sequential": (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 2)), (x,), (y,)),
        "transformer": (
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            (randoms(2, 5, 8),),
            (randoms(3, 4, 8),),
        ),
    }
