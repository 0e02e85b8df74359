"""The questions about one call: outputs, and gradients of parameters and inputs."""

import functools
from collections.abc import Collection, Sequence
from typing import Any

from fnlearn.equivalence import jax_side, torch_side
from fnlearn.equivalence.answer import Answer, Findings
from fnlearn.equivalence.asked import MODES, Call, Losses, calls_of
from fnlearn.equivalence.pair import Pair


def forward(
    both: Pair,
    inputs: Call | list[Call],
    *,
    dtypes: Sequence[str] = ("float32",),
    modes: Sequence[str] = MODES,
    key: Any = None,
) -> Answer:
    """Whether outputs are the same, and the buffers afterwards.

    Args: both: a `Pair`. inputs: a tuple of positional arguments or a dict of keyword ones, arrays or tensors, or
        `Inputs(args, kwargs)` for both; or a list of several calls. dtypes: those to compute in; float64 is always
        among them. modes: "eval", "train". key: for the JAX side.
    Returns: an `Answer`; leaves are named mode.dtype.out and so on, or eval.float32[0].out where there are more calls.
        The yardstick is torch's float64 answer to the rounded numbers. In float64 itself both must agree to 1e-10 of
        the largest number of all outputs, or of all gradients: that tells another formula from rounding. Where a module
        computes parts in a narrower dtype even then, its own error by that is the yardstick.
    Raises: ValueError for an unknown mode; what either side raises.
    """
    return _asked("forward", both, inputs, dtypes, modes, key, ("out", "buffers"))


def backward(
    both: Pair,
    inputs: Call | list[Call],
    *,
    losses: Losses | None = None,
    constant: Collection[str] = (),
    dtypes: Sequence[str] = ("float32",),
    modes: Sequence[str] = MODES,
    key: Any = None,
) -> Answer:
    """Whether the gradients of every parameter and of all inputs of floats are the same.

    Args: both, inputs, dtypes, modes, key: as for `forward`. losses: (torch's, JAX's), each of which makes a number of
        the output; without them the gradients of a random linear combination of all outputs are compared. constant:
        positions of inputs that are not differentiated, such as "1", counted over all arrays of a call.
    Returns: an `Answer`; leaves are named mode.dtype.grad.params.NAME and mode.dtype.grad.input.POSITION, counted over
        all arrays of the inputs. Its `first` is the parameter nearest to the loss whose gradient differs: backwards,
        errors spread from there.
    Raises: as `forward`.
    """
    return _asked("backward", both, inputs, dtypes, modes, key, ("grad",), losses, constant)


def _asked(
    question: str,
    both: Pair,
    inputs: Call | list[Call],
    dtypes: Sequence[str],
    modes: Sequence[str],
    key: Any,
    parts: tuple[str, ...],
    losses: Losses | None = None,
    constant: Collection[str] = (),
) -> Answer:
    calls, found, gradients = calls_of(inputs), Findings(question), "grad" in parts
    theirs_loss, my_loss = losses or (None, None)
    asked, found.notes = torch_side.answerable(both.module, calls, dtypes, modes)
    for request in asked:
        at = request.among(calls)
        theirs = torch_side.answer(both.module, calls, request, gradients, theirs_loss, constant)
        exact = request.dtype == "float64"
        wide = None if exact else torch_side.answer(both.module, calls, request.wide, gradients, theirs_loss, constant)
        mine, problems = jax_side.answer(both, calls, request, gradients, my_loss, key, theirs["draws"], constant)
        found.problems += [f"{MODES[request.train]}: {problem}" for problem in problems]
        found.first = found.first or next(iter(found.problems), "")
        rounding = functools.cache(
            functools.partial(torch_side.answer_rounding, both.module, calls, request, gradients, theirs_loss, constant)
        )
        for part in parts:
            again = lambda part=part, rounding=rounding: (of := rounding()) and of[part]  # noqa: E731
            found.compare(f"{at}.{part}", theirs[part], mine[part], wide and wide[part], rounding=again)
        wrong = [leaf.name for leaf in found.leaves if not leaf.ok and leaf.name.startswith(f"{at}.grad.params")]
        if exact and wrong and not found.first:
            found.first = wrong[-1]
    return found.answer()
