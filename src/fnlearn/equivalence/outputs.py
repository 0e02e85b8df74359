"""The questions about one call: outputs, and gradients of parameters and inputs."""

from collections.abc import Sequence
from typing import Any

from fnlearn.equivalence.answer import Answer, Findings
from fnlearn.equivalence.pair import Call, Losses, Pair, draws, jax_answer, torch_answer

MODES = ("eval", "train")


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
    found = Findings(question)
    for mode in modes:
        if mode == "train" and draws(both.module, calls[0]):
            found.notes.append("train: not compared, the module draws random numbers there")
            continue
        for dtype in dict.fromkeys((*dtypes, "float64")):
            for position, call in enumerate(calls):
                at = f"{mode}.{dtype}" if len(calls) == 1 else f"{mode}.{dtype}.{position}"
                asked = call, dtype, mode == "train", "grad" in parts, losses
                theirs, mine = torch_answer(both, *asked), jax_answer(both, *asked, key)
                wide = None if dtype == "float64" else torch_answer(both, call, "float64", *asked[2:], seen=dtype)
                for part in parts:
                    found.compare(f"{at}.{part}", theirs[part], mine[part], wide and wide[part])
    return found.answer()
