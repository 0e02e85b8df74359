"""Graph convolution: every node takes from its neighbours, along a list of edges."""

import torch
from torch import nn


class GraphConv(nn.Module):
    def __init__(self, size, out_size):
        super().__init__()
        self.linear = nn.Linear(size, out_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_size))

    def forward(self, x, source, target, norm):
        x = self.linear(x)
        messages = x[source] * norm[:, None]
        out = torch.zeros_like(x).index_add(0, target, messages)
        return out + self.bias


class GCN(nn.Module):
    def __init__(self, size=5, hidden=8, classes=3, dropout=0.5):
        super().__init__()
        self.conv1 = GraphConv(size, hidden)
        self.conv2 = GraphConv(hidden, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, edges):
        source, target = edges
        # symmetric normalisation by the numbers of neighbours
        ones = torch.ones(source.shape[0])
        degree = torch.zeros(x.shape[0]).index_add(0, target, ones)
        scale = degree.clamp(min=1).rsqrt()
        norm = scale[source] * scale[target]
        x = torch.relu(self.conv1(x, source, target, norm))
        x = self.dropout(x)
        return self.conv2(x, source, target, norm)


def example():
    return GCN(), (torch.randn(6, 5), torch.randint(0, 6, (2, 14)))
