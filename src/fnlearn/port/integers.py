"""`int(n)`, `float(n)` and `math.sqrt(n)` of a symbolic size in a model's code, of which Python makes a number.

What follows would hold for that number alone, so that a model is recorded anew then: the code that has such a call
gets another function for the time, which leaves symbols as they are.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

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
    """Code with these global names gets a symbol of `int(symbol)` and the like."""
    with ExitStack() as stack:
        for names in list(of):
            others: dict[str, Any] = {"int": _Int, "float": _Float}
            others = {name: other for name, other in others.items() if name not in names}
            others |= {name: _ROOTED for name, value in names.items() if value is math}
            others |= {name: _root for name, value in names.items() if value is math.sqrt}
            stack.enter_context(mock.patch.dict(names, others))
        yield


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


class _FloatKind(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, float)

    def __eq__(cls, other: Any) -> bool:
        return other is cls or other is float

    def __hash__(cls) -> int:
        return hash(float)


class _Float(float, metaclass=_FloatKind):
    def __new__(cls, value: Any = 0.0) -> Any:
        return torch.sym_float(value) if isinstance(value, torch.SymInt | torch.SymFloat) else float(value)


def _root(value: Any) -> Any:
    return torch.sym_sqrt(value) if isinstance(value, torch.SymInt | torch.SymFloat) else math.sqrt(value)


_ROOTED = SimpleNamespace(**{**vars(math), "sqrt": _root})
