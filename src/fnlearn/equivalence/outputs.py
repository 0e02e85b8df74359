"""The questions about one call: outputs, and gradients of parameters and inputs."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from fnlearn.equivalence.answer import Answer
from fnlearn.equivalence.compare import Leaf, compare
from fnlearn.equivalence.pair import Call, Losses, Pair, draws, jax_answer, torch_answer
from fnlearn.tree import as_numpy

MODES = ("eval", "train")
EXACT = 1e-10  # of float64, relative to the largest number of a part: no rounding of it gets there, one of float32 does


def forward(
    both: Pair,
    inputs: Call | list[Call],
    *,
    dtypes: Sequence[str] = ("float32",),
    modes: Sequence[str] = MODES,
    key: Any = None,
) -> Answer:
    """Whether outputs are the same, and the buffers afterwards.

    Args: both: a `Pair`. inputs: a tuple of positional arguments or a dict of keyword ones, arrays or tensors; or a
        list of several calls. dtypes: those to compute in; float64 is always among them. modes: "eval", "train". key:
        for the JAX side.
    Returns: an `Answer`; leaves are named mode.dtype.out, and so on, the call's number between where there are several.
        The yardstick is torch's float64 answer to the rounded numbers. In float64 itself both must agree to 1e-10 of
        the largest number of all outputs, or of all gradients: that tells another formula from rounding.
    Raises: ValueError for an unknown mode; what either side raises.
    """
    return _asked("forward", both, inputs, dtypes, modes, key, ("out", "buffers"), None)


def backward(
    both: Pair,
    inputs: Call | list[Call],
    *,
    losses: Losses | None = None,
    dtypes: Sequence[str] = ("float32",),
    modes: Sequence[str] = MODES,
    key: Any = None,
) -> Answer:
    """Whether the gradients of every parameter and of all inputs of floats are the same.

    Args: both, inputs, dtypes, modes, key: as for `forward`. losses: (torch's, JAX's), each of which makes a number of
        the output; without them the gradients of a random linear combination of all outputs are compared.
    Returns: an `Answer`; leaves are named mode.dtype.grad.params.NAME and mode.dtype.grad.input.POSITION, counted over
        all arrays of the inputs.
    Raises: as `forward`.
    """
    return _asked("backward", both, inputs, dtypes, modes, key, ("grad",), losses)


def _asked(
    question: str,
    both: Pair,
    inputs: Call | list[Call],
    dtypes: Sequence[str],
    modes: Sequence[str],
    key: Any,
    parts: tuple[str, ...],
    losses: Losses | None,
) -> Answer:
    if unknown := set(modes) - set(MODES):
        raise ValueError(f"modes must be of {MODES}, got {sorted(unknown)}")
    calls = inputs if isinstance(inputs, list) else [inputs]
    leaves: list[Leaf] = []
    problems, notes = [], []
    for mode in modes:
        if mode == "train" and draws(both.module, calls[0]):
            notes.append("train: not compared, the module draws random numbers there")
            continue
        for dtype in dict.fromkeys((*dtypes, "float64")):
            for position, call in enumerate(calls):
                at = f"{mode}.{dtype}" if len(calls) == 1 else f"{mode}.{dtype}.{position}"
                try:
                    leaves += _compared(both, call, dtype, mode == "train", key, parts, losses, at)
                except _Unlike as error:
                    problems.append(f"{at}: {error}")
    return Answer(question, tuple(leaves), tuple(problems), tuple(notes))


class _Unlike(ValueError):
    pass


def _compared(
    both: Pair,
    call: Call,
    dtype: str,
    train: bool,
    key: Any,
    parts: tuple[str, ...],
    losses: Losses | None,
    at: str,
) -> list[Leaf]:
    gradients, exact = "grad" in parts, dtype == "float64"
    theirs = torch_answer(both, call, dtype, train, gradients, losses)
    mine = jax_answer(both, call, dtype, train, gradients, losses, key)
    wide = None if exact else torch_answer(both, call, "float64", train, gradients, losses, seen=dtype)
    found = []
    for part in parts:
        sides = ({part: answer[part]} if answer else None for answer in (theirs, mine, wide))
        bounds = {"rtol": EXACT, "atol": EXACT * _largest(theirs[part])} if exact else {}
        try:
            found += compare(*sides, **bounds)
        except ValueError as error:
            raise _Unlike(str(error)) from error
    return [leaf._replace(name=f"{at}.{leaf.name}") for leaf in found]


def _largest(tree: Any) -> float:
    """The largest finite number of a tree."""
    finite = (np.abs(x[np.isfinite(x)]).max(initial=0) for x in map(as_numpy, jax.tree.leaves(tree)))
    return float(max(finite, default=0.0))
