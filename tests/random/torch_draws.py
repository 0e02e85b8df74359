"""What torch draws, for the same rows that fnlearn is asked for; `python -m tests.random.torch_draws FILE` saves them.

A row is (seed, method, arguments, options); the rows of one seed follow each other in one stream.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as TF

SEEDS = (0, 123, -1, 2**40 + 7)
SIZES = ((), (1,), (2,), (7,), (15,), (16,), (17,), (31,), (32,), (33,), (0,), (3, 0), (3, 11), (2, 3, 4), (1000,))
FLOATS = ("float32", "float64", "bfloat16", "float16")
BOUNDS = ((0, 1), (-1, 1), (-0.3, 0.1), (0.1, 0.7), (0, 2.5), (5, 5), (-1e-3, 1e-3), (1e3, 1e3 + 1))
SPANS = ((0, 1), (0, 10), (-5, 3), (0, 2**28 - 1), (0, 2**28), (0, 2**32), (-7, 2**40), (-(2**63), 2**63 - 1))


def _rows():
    for dtype in FLOATS:
        of = {"dtype": dtype}
        for size in SIZES:
            yield from (("rand", size, of), ("randn", size, of), ("normal", (0.5, 2.0, size), of))
            yield from (("uniform", (-0.3, 0.1, size), of), ("bernoulli", (0.3, size), of))
            yield from (("exponential", (1.7, size), of), ("trunc_normal", (0.1, 0.7, -1.0, 1.2, size), of))
        yield from (("uniform", (*bounds, (4000,)), of) for bounds in BOUNDS)
        yield from (
            ("normal", (mean, std, (4003,)), of) for mean, std in ((0, 1), (0, 0.02), (1, 1), (-0.3, 1e-3), (2, 0))
        )
        yield from (
            ("randn", (300_001,), of),
            ("normal", (0.1, 2.0, (270_000,)), of),
            ("uniform", (-0.1, 0.2, 270_000), of),
        )
        yield from (("trunc_normal", row, of) for row in ((0, 1, 1.5, 3, (400,)), (0.0, 0.02, -2, 2, (400,))))
        yield from (("randint", (0, 100, (40,)), of), ("random", ((20,),), of))
    for low, high in SPANS:
        yield from (("randint", (low, high, size), {}) for size in ((), (5,), (3, 4)))
    for dtype in ("int32", "int16", "uint8"):
        yield from (("randint", (3, 100, (9,)), {"dtype": dtype}), ("random", ((9,),), {"dtype": dtype}))
    yield from (("random", ((5,),), {}), ("random", ((5,),), {"dtype": "bool"}), ("randint", (9, (2, 2)), {}))
    yield from (("randperm", (n,), {}) for n in (0, 1, 2, 3, 10, 624, 1000, 50000))
    chances = np.random.default_rng(0).random((5, 7))
    yield from (("bernoulli", (chances.astype(dtype),), {"dtype": dtype}) for dtype in ("float32", "float64"))
    yield from (("dropout_mask", ((33,), p), {}) for p in (0.0, 0.25, 1.0))
    yield from (("feature_dropout_mask", ((4, 5, *rest), 0.5), {}) for rest in ((), (3,), (3, 2), (3, 2, 2)))


ROWS = [(seed, *row) for seed in SEEDS for row in _rows()]


def draw(method, args, options):
    """The row's draw from torch's global stream."""
    options = {name: getattr(torch, value) for name, value in options.items()}
    return METHODS[method](*args, **options)


def _in_place(method):
    return lambda *args, dtype: getattr(torch.empty(args[-1], dtype=dtype), method)(*args[:-1])


def _bernoulli(p, size=None, *, dtype):
    return torch.bernoulli(torch.from_numpy(p)) if size is None else torch.empty(size, dtype=dtype).bernoulli_(p)


def _channels(shape, p):
    drop: Any = {2: torch.feature_dropout, 3: TF.dropout1d, 4: TF.dropout2d, 5: TF.dropout3d}[len(shape)]
    kept = drop(torch.ones(shape), p, True) != 0
    return kept[(slice(None), slice(None), *(slice(1) for _ in shape[2:]))]


METHODS: dict[str, Callable[..., torch.Tensor]] = {
    "rand": lambda *size, dtype: torch.rand(size, dtype=dtype),
    "randn": lambda *size, dtype: torch.randn(size, dtype=dtype),
    "uniform": _in_place("uniform_"),
    "normal": _in_place("normal_"),
    "exponential": _in_place("exponential_"),
    "trunc_normal": lambda *args, dtype: torch.nn.init.trunc_normal_(torch.empty(args[-1], dtype=dtype), *args[:-1]),
    "bernoulli": _bernoulli,
    "randint": torch.randint,
    "random": lambda size, dtype=torch.int64: torch.empty(size, dtype=dtype).random_(),
    "randperm": torch.randperm,
    "dropout_mask": lambda shape, p: torch.dropout(torch.ones(shape), p, True) != 0,
    "feature_dropout_mask": _channels,
}


def all_draws():
    """Every row's draw, and the state afterwards, the rows of a seed in one stream."""
    drawn, current = [], None
    for seed, method, args, options in ROWS:
        if seed != current:
            torch.manual_seed(seed)
            current = seed
        drawn.append(np.array(as_numpy(draw(method, args, options))))
    return drawn, torch.get_rng_state().numpy()


def as_numpy(tensor):
    """A tensor as an array; bfloat16 as float32, which holds it."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


if __name__ == "__main__":
    drawn, state = all_draws()
    np.savez(sys.argv[1], *drawn, state=state)
