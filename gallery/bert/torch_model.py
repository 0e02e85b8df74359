"""A BERT: attention that sees the whole sentence but for its padding."""

import math

import torch
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, size, heads, dropout):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.output = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, hidden, mask):
        query = self.split(self.query(hidden))
        key = self.split(self.key(hidden))
        value = self.split(self.value(hidden))
        scores = query @ key.mT / math.sqrt(query.shape[-1]) + mask
        weights = self.dropout(scores.softmax(-1))
        return self.output((weights @ value).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, size, heads, dropout):
        super().__init__()
        self.attention = SelfAttention(size, heads, dropout)
        self.norm1 = nn.LayerNorm(size)
        self.intermediate = nn.Linear(size, 4 * size)
        self.output = nn.Linear(4 * size, size)
        self.norm2 = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden, mask):
        hidden = self.norm1(hidden + self.dropout(self.attention(hidden, mask)))
        wide = nn.functional.gelu(self.intermediate(hidden))
        return self.norm2(hidden + self.dropout(self.output(wide)))


class BERT(nn.Module):
    def __init__(self, words=19, size=8, heads=2, layers=2, longest=12, dropout=0.1):
        super().__init__()
        self.words = nn.Embedding(words, size)
        self.positions = nn.Embedding(longest, size)
        self.types = nn.Embedding(2, size)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList([Layer(size, heads, dropout) for _ in range(layers)])
        self.pooler = nn.Linear(size, size)

    def forward(self, ids, types, attend):
        places = torch.arange(ids.shape[1])
        hidden = self.words(ids) + self.positions(places) + self.types(types)
        hidden = self.dropout(self.norm(hidden))
        mask = (1.0 - attend[:, None, None, :].float()) * -10000.0  # nothing looks at padding
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return hidden, torch.tanh(self.pooler(hidden[:, 0]))


def example():
    ids, types = torch.randint(0, 19, (2, 7)), torch.randint(0, 2, (2, 7))
    return BERT(), (ids, types, (torch.arange(7) < torch.tensor([[7], [5]])).long())
