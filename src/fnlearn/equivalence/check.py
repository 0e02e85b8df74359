"""All questions about a pair, in the order in which they help."""

from collections.abc import Sequence
from typing import Any

from fnlearn.equivalence.answer import Answer
from fnlearn.equivalence.asked import MODES, Call, Losses
from fnlearn.equivalence.layers import layers
from fnlearn.equivalence.outputs import backward, forward
from fnlearn.equivalence.pair import Pair
from fnlearn.equivalence.setup import fits, setup


def check(
    both: Pair,
    inputs: Call | list[Call],
    *,
    losses: Losses | None = None,
    dtypes: Sequence[str] = ("float32",),
    modes: Sequence[str] = MODES,
    key: Any = None,
) -> tuple[Answer, ...]:
    """Ask everything about two models and one call: setup, layers, forward, backward.

    Args: both, inputs, dtypes, modes, key: as for `forward`. losses: as for `backward`.
    Returns: the answers; the first that is not ok is where to look, and its `first` names the place. Where the two
        don't have the same names and shapes, setup alone is answered.
    Raises: as `forward`.
    """
    asked = {"dtypes": dtypes, "modes": modes, "key": key}
    start = setup(both)
    if not fits(both):
        return (start,)
    return (
        start,
        layers(both, inputs, **asked),
        forward(both, inputs, **asked),
        backward(both, inputs, losses=losses, **asked),
    )


def first(answers: Sequence[Answer]) -> str:
    """The first place where two models part, "" where they don't.

    Args: answers: of one pair, in the order of the questions.
    Returns: "question: place".
    """
    return next((f"{answer.question}: {answer.first}" for answer in answers if not answer.ok), "")
