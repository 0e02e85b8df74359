"""The models and what they learn from: those of `fnlearn bench`, and one of convolutions alone.

Each is written once for fnlearn and torch, with the kit of either; flax nnx and equinox have theirs by hand, and all
begin with the same numbers, by the names of the `state_dict`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from fnlearn import tree
from fnlearn.bench import jax_side
from fnlearn.bench.case import start
from fnlearn.bench.models import Kit, gpt, mlp

LR, MOMENTUM = 0.01, 0.9
EPOCHS = "8-6-4-1, 24 batches of 32 an epoch"


class Row(NamedTuple):
    """A model with its size and the rows of a batch; kind: "mlp", "conv" or "gpt", as all sides call it."""

    name: str
    title: str
    kind: str
    size: dict[str, int]
    batch: int


def conv(kit: Kit, width: int, classes: int) -> Any:
    """Three convolutions, each followed by a half as large picture; then one layer."""
    nn = kit.nn
    layers = []
    for given, out in ((3, width), (width, 2 * width), (2 * width, 2 * width)):
        layers += [nn.Conv2d(given, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * 4 * 4, classes))


MAKE: dict[str, Callable[..., Any]] = {"mlp": mlp, "conv": conv, "gpt": gpt}
MLP = {"inputs": 784, "width": 1024, "classes": 10}
GPT = {"layers": 6, "width": 384, "heads": 6, "words": 256, "steps": 128}
ROWS = (
    Row("train_mlp", "MLP 784-1024-1024-10, 256", "mlp", MLP, 256),
    Row("train_conv", "convolutions 64-128-128, 64×32²", "conv", {"width": 64, "classes": 10}, 64),
    Row("train_gpt", "GPT 6×384, 8×128 tokens", "gpt", GPT, 8),
)
SWEEPS = (
    *(Row(f"train_gpt_batch{n}", f"GPT 6×384, {n}×128 tokens", "gpt", GPT, n) for n in (2, 32)),
    *(Row(f"train_gpt_depth{n}", f"GPT {n}×384, 8×128 tokens", "gpt", GPT | {"layers": n}, 8) for n in (2, 12)),
    *(Row(f"train_gpt_width{n}", f"GPT 6×{n}, 8×128 tokens", "gpt", GPT | {"width": n}, 8) for n in (192, 768)),
)


def batch(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes, or a text and its next words."""
    rng, size = np.random.default_rng(0), row.size
    if row.kind == "gpt":
        ids = rng.integers(0, size["words"], (row.batch, size["steps"] + 1), np.int32)
        return ids[:, :-1], ids[:, 1:].reshape(-1)
    shape = (size["inputs"],) if row.kind == "mlp" else (3, 32, 32)
    return rng.standard_normal((row.batch, *shape), np.float32), rng.integers(0, size["classes"], row.batch, np.int32)


def table() -> tuple[np.ndarray, np.ndarray]:
    """What the notes' network learns from."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((768, 8), np.float32), rng.integers(0, 2, (768, 1)).astype(np.float32)


def weights(row: Row) -> dict[str, np.ndarray]:
    """What every side begins with, by the names of the `state_dict`."""
    return numbers(MAKE[row.kind], tuple(row.size.items()))


@cache
def numbers(make: Callable[..., Any], size: tuple[tuple[str, int], ...] = ()) -> dict[str, np.ndarray]:
    """The same, for a model that is made with the kit."""
    params, _ = jax.eval_shape(make(jax_side.KIT, **dict(size)).init, jax.random.key(0))
    return {name: start(name, x.shape) for name, x in tree.flatten(params).items()}
