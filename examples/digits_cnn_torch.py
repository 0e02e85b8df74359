"""The twin of digits_cnn.py in PyTorch: the same network, weights to start from, images and optimizer.

Run `python examples/digits_cnn_torch.py --epochs 20`.
"""

import numpy as np
import torch
import tyro
from torch import nn
from torch.nn import functional as F

import fnlearn.functional
from digits_cnn import LR, Batches, cnn, load
from fnlearn import equivalence, optim, random


class CNN(nn.Module):
    def __init__(self, dropout: float = 0.5):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(64)
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(64)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(64 * 2 * 2, 10)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))  # (N, 32, 8, 8)
        x = F.relu(self.norm2(self.conv2(x)))  # (N, 64, 8, 8)
        x = F.max_pool2d(x, 2)  # (N, 64, 4, 4)
        x = F.relu(self.norm3(self.conv3(x)))  # (N, 64, 4, 4)
        x = F.max_pool2d(x, 2)  # (N, 64, 2, 2)
        return self.head(self.dropout(x.flatten(1)))  # (N, 10)


def compare(steps: int = 20, dtypes=("float32",), **sizes) -> equivalence.Answer:
    """Whether this network and `cnn` have the same losses, gradients and weights at each of some steps."""
    torch.manual_seed(0)
    (x, y), _ = load()
    batches = [((x,), y) for x, y in Batches(x, y, np.random.default_rng(0))][:steps]
    losses = (F.cross_entropy, fnlearn.functional.cross_entropy)
    net = cnn(**sizes)
    both = equivalence.pair(CNN(**sizes), net, *net.init(random.TorchGenerator(0)))
    return equivalence.training(
        both, lambda p: torch.optim.Adam(p, lr=LR), optim.adam(lr=LR), batches, losses, dtypes=dtypes
    )


def main(epochs: int = 20, seed: int = 0) -> float:
    """Train, and return the accuracy on the images that were kept apart.

    Args:
        epochs: how often every image is seen.
        seed: of the weights, the order of the images and dropout.
    """
    torch.manual_seed(seed)
    (x, y), (x_test, y_test) = load()
    model = CNN()
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    batches = Batches(x, y, np.random.default_rng(seed))
    for epoch in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1:3}  loss {loss.item():.4f}", flush=True)
    model.eval()
    with torch.no_grad():
        right = model(torch.from_numpy(x_test)).argmax(1).numpy() == y_test
    print(f"test accuracy {right.mean():.2%}: {(~right).sum()} of {len(y_test)} images are read wrong")
    return float(right.mean())


if __name__ == "__main__":
    tyro.cli(main)
