"""Sequence to sequence: one GRU reads, another writes, looking at what was read."""

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, words, size):
        super().__init__()
        self.embed = nn.Embedding(words, size)
        self.gru = nn.GRU(size, size, batch_first=True)

    def forward(self, source):
        return self.gru(self.embed(source))


class Decoder(nn.Module):
    def __init__(self, words, size):
        super().__init__()
        self.embed = nn.Embedding(words, size)
        self.gru = nn.GRU(size, size, batch_first=True)
        self.out = nn.Linear(2 * size, words)

    def forward(self, target, state, memory):
        read, _ = self.gru(self.embed(target), state)
        # every step looks at all that was read
        scores = read @ memory.transpose(1, 2)
        context = torch.softmax(scores, dim=-1) @ memory
        return self.out(torch.cat([read, context], dim=-1))


class Seq2Seq(nn.Module):
    def __init__(self, words=15, size=6):
        super().__init__()
        self.encoder = Encoder(words, size)
        self.decoder = Decoder(words, size)

    def forward(self, source, target):
        memory, state = self.encoder(source)
        return self.decoder(target, state, memory)


def example():
    return Seq2Seq(), (torch.randint(0, 15, (2, 6)), torch.randint(0, 15, (2, 5)))
