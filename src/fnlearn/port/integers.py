"""`int(n)` of a symbolic size in a model's code, of which Python makes a number.

What follows would hold for that number alone, so that a model is recorded anew then: the code that has such an `int`
gets another one for the time, which leaves symbols as they are.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from fnlearn.port.sizes import Sizes

__all__ = ["kept"]

Made = TypeVar("Made")


def kept(record: Callable[[Sizes], Made]) -> Made:
    """What is recorded; once more, where code that can do without made numbers of symbols."""
    sizes = Sizes()
    found = record(sizes)
    if not sizes.env.converting:
        return found
    try:
        with _symbolic(sizes.env.converting.values()):
            return record(Sizes())
    except Exception:  # what it makes of a symbol may need a number
        return found


@contextmanager
def _symbolic(of: Iterable[dict[str, Any]]) -> Iterator[None]:
    """Code with these global names gets a symbol of `int(symbol)`."""
    given = list(of)
    for names in given:
        names["int"] = _Int
    try:
        yield
    finally:
        for names in given:
            del names["int"]


class _Kind(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, int)

    def __eq__(cls, other: Any) -> bool:
        return other is cls or other is int

    def __hash__(cls) -> int:
        return hash(int)


class _Int(int, metaclass=_Kind):
    def __new__(cls, value: Any = 0, *base: Any) -> Any:
        if isinstance(value, torch.SymInt):
            return value
        return math.trunc(value) if isinstance(value, torch.SymFloat) else int(value, *base)
