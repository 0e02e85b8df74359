"""The twin of lstm.py in PyTorch: the same network, weights to start from, text and optimizer.

Run `python examples/lstm_torch.py --epochs 4`.
"""

import numpy as np
import torch
import tyro
from torch import nn
from torch.nn import functional as F

import fnlearn.functional
from fnlearn import equivalence, optim, random
from lstm import BATCH, LETTERS, LR, load, tagger


class Tagger(nn.Module):
    def __init__(self, size: int = 32, hidden: int = 64, dropout: float = 0.1):
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), size)
        self.lstm = nn.LSTM(size, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, 2)

    def forward(self, x):
        x = self.dropout(self.embedding(x))  # (N, LENGTH, size)
        x, _ = self.lstm(x)  # (N, LENGTH, 2 · hidden)
        return self.head(self.dropout(x))  # (N, LENGTH, 2)


def compare(steps: int = 20, dtypes=("float32",), **sizes) -> equivalence.Answer:
    """Whether this network and `tagger` have the same losses, gradients and weights at each of some steps."""
    torch.manual_seed(0)
    (x, y), _ = load()
    batches = [((x[rows],), y[rows]) for rows in _rows(len(x), np.random.default_rng(0))][:steps]
    losses = (
        lambda logits, y: F.cross_entropy(logits.reshape(-1, 2), y.reshape(-1)),
        lambda logits, y: fnlearn.functional.cross_entropy(logits.reshape(-1, 2), y.reshape(-1)),
    )
    net = tagger(**sizes)
    both = equivalence.pair(Tagger(**sizes), net, *net.init(random.TorchGenerator(0)))
    return equivalence.training(
        both, lambda p: torch.optim.Adam(p, lr=LR), optim.adam(lr=LR), batches, losses, dtypes=dtypes
    )


def _rows(count, rng):
    return np.split(rng.permutation(count), range(BATCH, count, BATCH))


def main(epochs: int = 4, seed: int = 0) -> float:
    """Train, and return F1 of the spaces of the part that was kept apart.

    Args:
        epochs: how often the text is read.
        seed: of the weights, the order of the rows and dropout.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    (x, y), (x_test, y_test) = load()
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    for epoch in range(epochs):
        for rows in _rows(len(x), rng):
            optimizer.zero_grad()
            logits = model(torch.from_numpy(x[rows]))
            loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(y[rows]).flatten())
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1:3}  loss {loss.item():.4f}", flush=True)
    model.eval()
    with torch.no_grad():
        found = model(torch.from_numpy(x_test)).argmax(-1).numpy()
    f1 = float(2 * (found & y_test).sum() / (found.sum() + y_test.sum()))
    print(f"test: {(found == y_test).mean():.2%} of the places right; F1 of spaces {f1:.4f}")
    return f1


if __name__ == "__main__":
    tyro.cli(main)
