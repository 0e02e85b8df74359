"""How the user's code calls things, as its frames have it."""

from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import torch

from fnlearn.port.calls import NOT_THE_MODEL
from fnlearn.port.graph import Val
from fnlearn.port.packed import Padded

__all__ = ["Frames", "Lent", "forward", "name"]

LONGEST = 64  # of a list whose tensors are called by its name and their number


class Lent(str):
    """A name that a value has for want of its own, and needs no line for.

    It is what a helper calls what its caller has no name for, as in `self.split(self.query(x))`, or what `return
    self.relu(x)` changes in place.
    """

    __slots__ = ()


class Item(str):
    """The name of a list, and which of its items a value is."""

    __slots__ = ()


class Frames:
    """The frames whose variables were looked at; they are kept, so that no later one can be taken for one of them."""

    def __init__(self) -> None:
        self.known: set[FrameType] = set()

    def variables(self, frame: FrameType, begin: CodeType | None) -> Iterator[tuple[str, Any]]:
        """What a frame's variables hold, each by its name; of a helper that was just called, its callers' come first.

        begin: the code of the module's own function, which is no helper.
        """
        passed: tuple[str, ...] = ()
        if frame not in self.known and frame.f_code is not begin:
            caller, code = frame.f_back, frame.f_code
            if caller is not None and not caller.f_code.co_filename.startswith(NOT_THE_MODEL):
                yield from self.variables(caller, begin)
            passed = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.known.add(frame)
        if frame.f_code.co_name.startswith("<"):  # of a comprehension or a lambda
            return
        for name, value in ((name, value) for name, value in frame.f_locals.items() if name != "_"):
            if isinstance(value, Padded):
                yield name, value[0]
            elif isinstance(value, list | tuple) and len(value) < LONGEST:
                yield from (
                    (Item(f"{name}_{i}"), item) for i, item in enumerate(value) if isinstance(item, torch.Tensor)
                )
            else:
                yield Lent(name) if name in passed else name, value


def name(value: Val, scope: int, called: str) -> None:
    """Note what a scope calls a value; the first name stays, unless it was lent and this one is not."""
    known = value.names.get(scope)
    if known is None or (isinstance(known, Lent) and called != known and not isinstance(called, Lent)):
        value.names[scope] = called
    elif called != known and type(called) is str and called not in value.others.get(scope, []):
        value.others.setdefault(scope, []).append(called)


def forward(kind: type) -> CodeType | None:
    """The code of a kind of module's own function."""
    return getattr(getattr(kind, "forward", None), "__code__", None)
