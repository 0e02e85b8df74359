"""What an operation is called with: arrays that are described in the table and drawn when they are needed."""

from typing import Any, NamedTuple

import jax
import numpy as np


class Drawn(NamedTuple):
    """An array of random numbers: `normal`, `uniform` or `integers` between low and high, or `log_probability`."""

    kind: str
    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0


def normal(*shape: int) -> Drawn:
    """Of mean 0 and deviation 1."""
    return Drawn("normal", shape)


def weight(*shape: int) -> Drawn:
    """So small that sums over all but the first dimension stay near 1, as those of a layer do."""
    bound = float(np.sqrt(3 / np.prod(shape[1:] or (1,))))
    return Drawn("uniform", shape, -bound, bound)


def uniform(low: float, high: float, *shape: int) -> Drawn:
    """Between two bounds."""
    return Drawn("uniform", shape, low, high)


def integers(low: int, high: int, *shape: int) -> Drawn:
    """From low up to, and without, high."""
    return Drawn("integers", shape, low, high)


def log_probability(*shape: int) -> Drawn:
    """Whose exponentials sum to 1 along the last dimension."""
    return Drawn("log_probability", shape)


def draw(tree: Any, seed: int = 0) -> Any:
    """The tree with numbers in place of every description, the same ones each time."""
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda x: _numbers(x, random) if isinstance(x, Drawn) else x, tree, is_leaf=_is_drawn)


def cotangents(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """What the gradients are pulled back from; drawn apart, or an input of the same shape would be the same numbers."""
    return draw([normal(*shape) for shape in shapes], seed=1)


def shapes(tree: Any) -> list[tuple[int, ...]]:
    """Of all arrays that the tree describes."""
    return [x.shape for x in jax.tree.leaves(tree, is_leaf=_is_drawn) if isinstance(x, Drawn)]


def is_float(x: Any) -> bool:
    """Whether it is an array that can be differentiated."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _is_drawn(x: Any) -> bool:
    return isinstance(x, Drawn)


def _numbers(x: Drawn, random: np.random.Generator) -> np.ndarray:
    if x.kind == "integers":
        return random.integers(int(x.low), int(x.high), x.shape, dtype=np.int32)
    if x.kind == "uniform":
        return x.low + (x.high - x.low) * random.random(x.shape, dtype=np.float32)
    numbers = random.standard_normal(x.shape, dtype=np.float32)
    return numbers if x.kind == "normal" else numbers - np.log(np.exp(numbers).sum(axis=-1, keepdims=True))
