"""A tag for every word, by a recurrence that reads both ways."""

import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, words=20, tags=5, embedding=6, hidden=4):
        super().__init__()
        self.embed = nn.Embedding(words, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True, bidirectional=True)
        self.tag = nn.Linear(2 * hidden, tags)

    def forward(self, sentence):
        embedded = self.embed(sentence)
        hidden, _ = self.lstm(embedded)
        return torch.log_softmax(self.tag(hidden), dim=-1)


def example():
    return Tagger(), (torch.randint(0, 20, (3, 7)),)
