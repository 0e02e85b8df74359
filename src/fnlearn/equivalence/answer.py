"""What a question is answered with."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from fnlearn.equivalence.compare import YARDSTICK, Leaf, compare
from fnlearn.tree import as_numpy

EXACT = 1e-10  # of float64, relative to the largest number beside: rounding doesn't get there, that of float32 does


class Answer(NamedTuple):
    """A plain record.

    Args: question: its name. leaves: a record for each pair of arrays that was compared. problems: what is wrong
        beside numbers. notes: what was left out, and why. first: the first place where the sides part, empty where they
        don't. curves: what is worth drawing, {"dtype.loss": (torch's, JAX's)}.
    Raises: nothing.
    """

    question: str
    leaves: tuple[Leaf, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    first: str = ""
    curves: Mapping[str, tuple[list[float], list[float]]] = MappingProxyType({})

    @property
    def ok(self) -> bool:
        """Whether all leaves are, and there is no problem."""
        return not self.problems and all(leaf.ok for leaf in self.leaves)

    @property
    def wrong(self) -> tuple[Leaf, ...]:
        """The leaves that differ, in their order."""
        return tuple(leaf for leaf in self.leaves if not leaf.ok)


class Findings:
    """What is found while a question is asked."""

    def __init__(self, question: str) -> None:
        self.question, self.leaves, self.problems, self.notes = question, list[Leaf](), list[str](), list[str]()
        self.first, self.curves = "", dict[str, tuple[list[float], list[float]]]()

    def compare(
        self,
        at: str,
        theirs: Any,
        mine: Any,
        wide: Any,
        atol: float | None = None,
        rounding: Callable[[], Any] | None = None,
    ) -> bool:
        """Whether two trees are the same, by torch's float64 answer; or, in float64 itself, by a distance.

        The distance is `atol`, or relative to the largest number. What differs is looked at once more by `rounding`,
        torch's error over several ways to round; in float64, that of the parts which a module computes in less.
        """
        if wide is not None:
            bounds = {}
        elif atol is not None:
            bounds = {"rtol": 0.0, "atol": atol}
        else:
            bounds = {"rtol": EXACT, "atol": EXACT * largest(theirs)}
        try:
            found = compare(theirs, mine, wide, **bounds)
        except ValueError as error:
            self.problems.append(f"{at}: {error}")
            return False
        if rounding is not None and any(leaf.verdict == "differs" for leaf in found):
            errors = rounding()
            found = found if errors is None else _again(found, errors, wide is None)
        self.leaves += [leaf._replace(name=f"{at}.{leaf.name}" if leaf.name else at) for leaf in found]
        return all(leaf.ok for leaf in found)

    def answer(self) -> Answer:
        """The record."""
        wrong = next((leaf.name for leaf in self.leaves if not leaf.ok), self.problems[0] if self.problems else "")
        notes = tuple(dict.fromkeys(self.notes))
        problems = tuple(dict.fromkeys(self.problems))
        return Answer(self.question, tuple(self.leaves), problems, notes, self.first or wrong, self.curves)


def _again(found: list[Leaf], rounding: Any, exact: bool) -> list[Leaf]:
    errors = {leaf.name: leaf.max_abs for leaf in compare(rounding, jax.tree.map(lambda _: 0.0, rounding))}
    judged = []
    for leaf in found:
        torch_error = errors[leaf.name] if exact else max(leaf.torch_error, errors[leaf.name])
        # of float64 only the distance of the two is known: what torch's error leaves of it is JAX's
        jax_error = max(leaf.max_abs - torch_error, 0.0) if exact else leaf.jax_error
        if leaf.verdict == "differs" and jax_error <= YARDSTICK * torch_error:
            ratio = jax_error / torch_error
            leaf = leaf._replace(torch_error=torch_error, jax_error=jax_error, ratio=ratio, verdict="yardstick")
        judged.append(leaf)
    return judged


def largest(tree: Any) -> float:
    """The largest finite number of a tree."""
    finite = (np.abs(x[np.isfinite(x)]).max(initial=0) for x in map(as_numpy, jax.tree.leaves(tree)))
    return float(max(finite, default=0.0))
