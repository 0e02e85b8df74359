"""A convolutional network on scikit-learn's digits: 1797 images of 8 × 8 pixels.

Run `python examples/digits_cnn.py --epochs 20`.

The twin in PyTorch is digits_cnn_torch.py; both start from the same weights, those of `torch.manual_seed(seed)`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import tyro
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fnlearn import functional as F
from fnlearn import nn, optim, random, train
from fnlearn.train import metrics

LR, BATCH = 1e-3, 64


def load():
    """Images (N, 1, 8, 8) from 0 to 1 and their digits (N,): 1437 to learn from, and 360 to be tested on.

    They are split by a seed of their own, each digit in its proportion. Returns ((x, y), (x, y)).
    """
    digits = load_digits()
    x, y = (digits.images[:, None] / 16).astype("float32"), digits.target
    x, x_test, y, y_test = train_test_split(x, y, test_size=360, stratify=y, random_state=0)
    return (x, y), (x_test, y_test)


@dataclass
class Batches:
    """Full batches in another order whenever they are gone through, as a shuffling DataLoader's with drop_last."""

    x: np.ndarray
    y: np.ndarray
    rng: np.random.Generator

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows in self.rng.permutation(len(self.y))[: len(self.y) // BATCH * BATCH].reshape(-1, BATCH):
            yield self.x[rows], self.y[rows]


def forward(net, x):
    x = F.relu(net.norm1(net.conv1(x)))  # (N, 32, 8, 8)
    x = F.relu(net.norm2(net.conv2(x)))  # (N, 64, 8, 8)
    x = F.max_pool2d(x, 2)  # (N, 64, 4, 4)
    x = F.relu(net.norm3(net.conv3(x)))  # (N, 64, 4, 4)
    x = F.max_pool2d(x, 2)  # (N, 64, 2, 2)
    return net.head(net.dropout(x.reshape(len(x), -1)))  # (N, 10)


def cnn(dropout: float = 0.5) -> nn.Layer:
    return nn.compose(
        forward,
        conv1=nn.Conv2d(1, 32, 3, padding=1, bias=False),
        norm1=nn.BatchNorm2d(32),
        conv2=nn.Conv2d(32, 64, 3, padding=1, bias=False),
        norm2=nn.BatchNorm2d(64),
        conv3=nn.Conv2d(64, 64, 3, padding=1, bias=False),
        norm3=nn.BatchNorm2d(64),
        dropout=nn.Dropout(dropout),
        head=nn.Linear(64 * 2 * 2, 10),
    )


def loss_fn(net, params, buffers, batch, key):
    x, y = batch
    logits, buffers = net.apply(params, buffers, x, train=True, key=key)
    return F.cross_entropy(logits, y), (buffers, {})


@partial(jax.jit, static_argnames="net")
def evaluate(net, state, x, y):
    """The share of images that are read right, and how often each digit (row) is read as each (column)."""
    logits, _ = net.apply(state.params, state.buffers, x)
    asked = metrics.collection({"accuracy": metrics.accuracy(), "confusion": metrics.confusion_matrix(10)})
    return asked.compute(asked.update(asked.init(), logits, y))


def main(epochs: int = 20, seed: int = 0) -> float:
    """Train, and return the accuracy on the images that were kept apart.

    Args:
        epochs: how often every image is seen.
        seed: of the weights, the order of the images and dropout.
    """
    (x, y), test = load()
    net, optimizer = cnn(), optim.adam(lr=LR)
    params, buffers = net.init(random.TorchGenerator(seed))
    state = train.TrainState.create(params, optimizer, buffers, jax.random.key(seed))
    step = train.make_step(partial(loss_fn, net), optimizer)
    batches = Batches(x, y, np.random.default_rng(seed))
    state, history = train.fit(state, step, batches, epochs=epochs, progress=True)

    found = evaluate(net, state, *test)
    wrong = len(test[1]) - int(np.trace(found["confusion"]))
    print(f"loss {history['loss'][0].mean():.3f} → {history['loss'][-1].mean():.4f}")
    print(f"test accuracy {found['accuracy']:.2%}: {wrong} of {len(test[1])} images are read wrong")
    return float(found["accuracy"])


if __name__ == "__main__":
    tyro.cli(main)
