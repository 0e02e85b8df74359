"""How a line of the table is written: a call to a function of `fnlearn.functional`.

A line is the function's name, its arguments and its options. Arrays are written as recipes, so that each test gets
the same numbers: `R` normal, `P` probabilities, `C` classes. Positional arrays of floats are differentiated; keyword
arrays, such as a loss's weight, are constants.
"""

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        options = [f"{name}={told(value)}" for name, value in self.kwargs.items()]
        return f"{self.name}({','.join([told(x) for x in self.args] + options)})".replace(" ", "")


def told(value: Any) -> str:
    """An argument in a test's name: an array by its shape, a function by its name."""
    if isinstance(value, np.ndarray):
        return str(list(value.shape))
    return str(getattr(value, "__name__", value))


def case(name: str, *args: Any, **kwargs: Any) -> Case:
    return Case(name, args, kwargs)


def _rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng([len(seed), *seed])


def R(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, wide enough to reach both tails of every activation."""
    return np.asarray(2 * _rng(seed, *shape).standard_normal(shape))


def P(*shape: int, seed: int = 1) -> np.ndarray:
    """Probabilities, away from 0 and 1."""
    return _rng(seed, *shape).uniform(0.05, 0.95, shape)


def C(classes: int, *shape: int) -> np.ndarray:
    """Classes below a number."""
    return _rng(2, *shape).integers(0, classes, shape, dtype=np.int64)
