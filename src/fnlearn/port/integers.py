"""`int(n)`, `float(n)` and `math.sqrt(n)` of a symbolic size in a model's code, of which Python makes a number.

What follows would hold for that number alone, so that a model is recorded anew then: the code that has such a call
gets another function for the time, which leaves symbols as they are.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

import torch

from fnlearn.port.sizes import Sizes

__all__ = ["kept"]

Made = TypeVar("Made")


def kept(record: Callable[[Sizes], Made], converting: dict[int, dict[str, Any]]) -> Made:
    """What is recorded; anew, where code that can do without made numbers of symbols.

    converting: the global names of such code, by their ids, as far as they are known from earlier recordings.
    """
    sizes = Sizes()
    try:
        with _symbolic(converting.values()):
            found = record(sizes)
    except Exception:  # what it makes of a symbol may need a number
        if not converting:
            raise
        return record(Sizes())
    unknown = sizes.env.converting.keys() - converting.keys()
    if not unknown:
        return found
    converting.update(sizes.env.converting)
    try:
        with _symbolic(converting.values()):
            return record(Sizes())
    except Exception:
        return found


@contextmanager
def _symbolic(of: Iterable[dict[str, Any]]) -> Iterator[None]:
    """Code with these global names gets a symbol of `int(symbol)` and the like."""
    before: list[tuple[dict[str, Any], str, Any]] = []
    for names in list(of):
        others: dict[str, Any] = {kind.__name__: other for kind, other in KINDS.items() if kind.__name__ not in names}
        others |= {name: ROOTED for name, value in names.items() if value is math}
        others |= {name: _root for name, value in names.items() if value is math.sqrt}
        before += [(names, name, names.get(name)) for name in others]
        names.update(others)
    try:
        yield
    finally:
        for names, name, value in before:
            names[name] = value
            if value is None:
                del names[name]


class _Kind(type):
    """What a class takes for its instances, and for itself, is its base's."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.mro()[1])

    def __eq__(cls, other: Any) -> bool:
        return other is cls or other is cls.__base__

    def __hash__(cls) -> int:
        return hash(cls.__base__)


class _Int(int, metaclass=_Kind):
    def __new__(cls, value: Any = 0, *base: Any) -> Any:
        if isinstance(value, torch.SymInt):
            return value
        return math.trunc(value) if isinstance(value, torch.SymFloat) else int(value, *base)


class _Float(float, metaclass=_Kind):
    def __new__(cls, value: Any = 0.0) -> Any:
        return torch.sym_float(value) if isinstance(value, torch.SymInt | torch.SymFloat) else float(value)


def _root(value: Any) -> Any:
    return torch.sym_sqrt(value) if isinstance(value, torch.SymInt | torch.SymFloat) else math.sqrt(value)


KINDS = {int: _Int, float: _Float}
ROOTED = SimpleNamespace(**{**vars(math), "sqrt": _root})  # in the place of the module `math`
