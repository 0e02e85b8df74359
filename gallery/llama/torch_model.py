"""A decoder as in Llama: RMS norms, rotary places, grouped queries, a gated feed-forward."""

import torch
from torch import nn


def rotate(x, cos, sin):
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, size, heads, groups):
        super().__init__()
        self.width, self.heads, self.groups = size // heads, heads, groups
        self.q_proj = nn.Linear(size, heads * self.width, bias=False)
        self.k_proj = nn.Linear(size, groups * self.width, bias=False)
        self.v_proj = nn.Linear(size, groups * self.width, bias=False)
        self.o_proj = nn.Linear(heads * self.width, size, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        q = self.q_proj(x).view(b, t, self.heads, self.width).transpose(1, 2)
        k = self.k_proj(x).view(b, t, self.groups, self.width).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.groups, self.width).transpose(1, 2)
        q = rotate(q, cos, sin)
        k = rotate(k, cos, sin)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.gate_proj = nn.Linear(size, hidden, bias=False)
        self.up_proj = nn.Linear(size, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, size, bias=False)

    def forward(self, x):
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, size, heads, groups, hidden):
        super().__init__()
        self.input_norm = nn.RMSNorm(size, eps=1e-6)
        self.attention = Attention(size, heads, groups)
        self.post_norm = nn.RMSNorm(size, eps=1e-6)
        self.mlp = MLP(size, hidden)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.input_norm(x), cos, sin)
        x = x + self.mlp(self.post_norm(x))
        return x


class Llama(nn.Module):
    def __init__(self, words=23, size=16, heads=4, groups=2, hidden=24, layers=2):
        super().__init__()
        self.embed = nn.Embedding(words, size)
        self.layers = nn.ModuleList([DecoderLayer(size, heads, groups, hidden) for _ in range(layers)])
        self.norm = nn.RMSNorm(size, eps=1e-6)
        self.head = nn.Linear(size, words, bias=False)
        half = size // heads // 2
        self.register_buffer("inverse", 10000.0 ** (-torch.arange(half) / half), persistent=False)

    def forward(self, ids):
        x = self.embed(ids)
        angles = torch.arange(ids.shape[1])[:, None] * self.inverse
        angles = torch.cat([angles, angles], dim=-1)
        cos, sin = angles.cos(), angles.sin()
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.head(self.norm(x))


def example():
    return Llama(), (torch.randint(0, 23, (2, 7)),)
