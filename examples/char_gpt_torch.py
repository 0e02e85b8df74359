"""The twin of char_gpt.py in PyTorch: the same network, weights to start from, text and optimizer.

Run `python examples/char_gpt_torch.py --steps 1000`.
"""

import numpy as np
import torch
import tyro
from torch import nn
from torch.nn import functional as F

from char_gpt import BATCH, BLOCK, EVERY, LETTERS, LR, gpt, load, windows
from char_gpt import cross_entropy as jax_cross_entropy
from fnlearn import equivalence, optim, random


class Attention(nn.Module):
    def __init__(self, size: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.proj = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        B, T, E = x.shape
        q, k, v = (part.view(B, T, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, heads, T, E / heads)
        return self.dropout(self.proj(y.transpose(1, 2).reshape(B, T, E)))


class Block(nn.Module):
    def __init__(self, size: int, heads: int, dropout: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(size)
        self.attention = Attention(size, heads, dropout)
        self.norm2 = nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size), nn.Dropout(dropout))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, size: int = 128, heads: int = 4, layers: int = 3, dropout: float = 0.1):
        super().__init__()
        self.tokens = nn.Embedding(len(LETTERS), size)
        self.places = nn.Embedding(BLOCK, size)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([Block(size, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, len(LETTERS))

    def forward(self, x):
        x = self.dropout(self.tokens(x) + self.places(torch.arange(x.shape[1])))  # (B, T, E)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # (B, T, letters)


def cross_entropy(logits, y):
    return F.cross_entropy(logits.reshape(-1, len(LETTERS)), y.reshape(-1))


def adamw(params):
    return torch.optim.AdamW(params, lr=LR, weight_decay=0.1)


def compare(steps: int = 20, dtypes=("float32",), **sizes) -> equivalence.Answer:
    """Whether this network and `gpt` have the same losses, gradients and weights at each of some steps."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    batches = [((x,), y) for x, y in (windows(load()[0], rng, BATCH) for _ in range(steps))]
    net = gpt(**sizes)
    both = equivalence.pair(GPT(**sizes), net, *net.init(random.TorchGenerator(0)))
    losses = (cross_entropy, jax_cross_entropy)
    return equivalence.training(both, adamw, optim.adamw(lr=LR, weight_decay=0.1), batches, losses, dtypes=dtypes)


def main(steps: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Train, and return the validation loss before and after.

    Args:
        steps: how many batches are learnt from.
        seed: of the weights, the passages and dropout.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    text, kept = load()
    model = GPT()
    optimizer = adamw(model.parameters())
    x_kept, y_kept = (torch.from_numpy(part) for part in windows(kept, np.random.default_rng(0), 256))

    def validate():
        model.eval()
        with torch.no_grad():
            loss = cross_entropy(model(x_kept), y_kept).item()
        model.train()
        return loss

    before = validate()
    for i in range(steps):
        x, y = (torch.from_numpy(part) for part in windows(text, rng, BATCH))
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if i % EVERY == EVERY - 1:
            print(f"step {i + 1:5}  loss {loss.item():.3f}  validation {validate():.3f}", flush=True)
    after = validate()
    print(f"validation loss {before:.3f} → {after:.3f} nats a character")
    return before, after


if __name__ == "__main__":
    tyro.cli(main)
