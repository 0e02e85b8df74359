"""An LSTM that reads both ways puts the spaces back into a text that has none.

Run `python examples/lstm.py --epochs 4`.

The text is Python's own documentation, as `help()` shows it. The twin in PyTorch is lstm_torch.py; both start from the
same weights, those of `torch.manual_seed(seed)`.
"""

from functools import partial
from pydoc_data.topics import topics

import jax
import numpy as np
import tyro

from fnlearn import functional as F
from fnlearn import nn, optim, random, train
from fnlearn.train import metrics

LR, BATCH, LENGTH = 3e-3, 32, 64
LETTERS = "".join(map(chr, range(33, 127)))  # one character each; anything else is "?"


def load():
    """Characters (N, LENGTH) as numbers, and whether a space comes after each.

    Nine tenths are to be learnt from, the last one is for tests. Returns ((x, y), (x, y)).
    """
    words = " ".join(topics[name] for name in sorted(topics)).split()
    x = np.array([LETTERS.index(c if c in LETTERS else "?") for word in words for c in word])
    y = np.array([int(i == len(word) - 1) for word in words for i in range(len(word))])
    x, y = (a[: len(a) // LENGTH * LENGTH].reshape(-1, LENGTH) for a in (x, y))
    kept = len(x) * 9 // 10
    return (x[:kept], y[:kept]), (x[kept:], y[kept:])


def forward(net, x):
    x = net.dropout(net.embedding(x))  # (N, LENGTH, size)
    x, _ = net.lstm(x)  # (N, LENGTH, 2 · hidden)
    return net.head(net.dropout(x))  # (N, LENGTH, 2)


def tagger(size: int = 32, hidden: int = 64, dropout: float = 0.1) -> nn.Layer:
    return nn.compose(
        forward,
        embedding=nn.Embedding(len(LETTERS), size),
        lstm=nn.LSTM(size, hidden, batch_first=True, bidirectional=True),
        dropout=nn.Dropout(dropout),
        head=nn.Linear(2 * hidden, 2),
    )


def loss_fn(net, params, buffers, batch, key):
    x, y = batch
    logits, buffers = net.apply(params, buffers, x, train=True, key=key)
    return F.cross_entropy(logits.reshape(-1, 2), y.reshape(-1)), (buffers, {})


@partial(jax.jit, static_argnames="net")
def evaluate(net, state, x, y):
    """The share of places that are right and F1 of either answer; and the answers (N, LENGTH)."""
    logits, _ = net.apply(state.params, state.buffers, x)
    asked = metrics.collection({"accuracy": metrics.accuracy(), "f1": metrics.f1(2, average=None)})
    return asked.compute(asked.update(asked.init(), logits, y)), logits.argmax(-1)


def spaced(x, y):
    """The text of one row, with its spaces."""
    return "".join(LETTERS[c] + " " * int(space) for c, space in zip(x, y, strict=True))


def main(epochs: int = 4, seed: int = 0) -> float:
    """Train, show a line, and return F1 of the spaces of the part that was kept apart.

    Args:
        epochs: how often the text is read.
        seed: of the weights, the order of the rows and dropout.
    """
    learnt, (x, y) = load()
    net, optimizer = tagger(), optim.adam(lr=LR)
    params, buffers = net.init(random.TorchGenerator(seed))
    key, order = jax.random.split(jax.random.key(seed))
    state = train.TrainState.create(params, optimizer, buffers, key)
    step = train.make_step(partial(loss_fn, net), optimizer)
    state, history = train.fit(state, step, learnt, epochs=epochs, batch_size=BATCH, shuffle=order, progress=True)

    found, spaces = evaluate(net, state, x, y)
    f1 = float(found["f1"][1])
    print(f"loss {history['loss'][0].mean():.4f} → {history['loss'][-1].mean():.4f}")
    print(f"test: {found['accuracy']:.2%} of the places right, {1 - y.mean():.2%} without any space")
    print(f"F1 of spaces {f1:.4f}")
    for row in (0, len(x) // 2):
        print(f"  {spaced(x[row], 0 * y[row])}\n→ {spaced(x[row], spaces[row])}")
    return f1


if __name__ == "__main__":
    tyro.cli(main)
