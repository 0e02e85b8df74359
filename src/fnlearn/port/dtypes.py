"""Which value's dtype the source names where it casts: `x.to(y.dtype)` holds for any dtype, `x.to(torch.float32)` not.

A dtype itself doesn't say whose it was. What was asked for its dtype last does, in the same call or where the name was
given that stands there now.
"""

import ast
import re
from collections.abc import Container
from types import FrameType, SimpleNamespace

import torch

from fnlearn.port.calls import NOT_THE_MODEL, where
from fnlearn.port.graph import Limit, Val, Where
from fnlearn.port.source import called, said, start

__all__ = ["Dtypes", "limits"]

LIMITS = ("eps", "max", "min", "resolution", "smallest_normal", "tiny")


class Dtypes:
    """The values that were asked for their dtype, by the frames that asked, the last one last."""

    def __init__(self) -> None:
        self.asked: dict[FrameType, list[tuple[Where, Val]]] = {}

    def note(self, frame: FrameType | None, val: Val) -> None:
        """A value is asked for its dtype, by a frame and so by those that called it: `self.dtype` may be a function."""
        while frame is not None and not frame.f_code.co_filename.startswith(NOT_THE_MODEL):
            self.asked.setdefault(frame, []).append((start(where(frame)), val))
            frame = frame.f_back

    def named(self, frame: FrameType | None, dtypes: Container[torch.dtype]) -> dict[str, Val | bool]:
        """What the call that a frame is at says of its dtype: {"dtype_of": a value}, or True where it is one itself.

        dtypes: what the call is given. Nothing where that isn't known.
        """
        call = called(frame) if frame is not None else None
        if call is None or frame is None:
            return {}
        here = start(where(frame))
        asked = [(place, val) for place, val in self.asked.get(frame, []) if getattr(torch, val.dtype) in dtypes]
        for given in [*call.args, *(keyword.value for keyword in call.keywords)]:
            if isinstance(given, ast.Attribute) and isinstance(getattr(torch, given.attr, None), torch.dtype):
                return {"dtype_of": True}
            if isinstance(given, ast.Attribute) and given.attr == "dtype" and asked and asked[-1][0] == here:
                return {"dtype_of": asked[-1][1]}
            if isinstance(given, ast.Name):
                name = re.compile(rf"[^=(]*\b{given.id}\b[^=(]*=(?!=)")
                found = [val for place, val in asked if name.match(said(place).lstrip())]
                if found:
                    return {"dtype_of": found[-1]}
        return {}


def limits(found: torch.finfo, itself: bool) -> SimpleNamespace:
    """What is known of a dtype, as numbers that keep in mind what they are."""
    made = SimpleNamespace(dtype=found.dtype, bits=found.bits)
    for name in LIMITS:
        number = Limit(getattr(found, name))
        number.dtype, number.name, number.itself = found.dtype, name, itself
        setattr(made, name, number)
    return made
