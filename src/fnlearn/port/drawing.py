"""Calls that draw random numbers, and their keys."""

import ast
from collections.abc import Iterator
from typing import Any

from fnlearn.port.graph import RECURRENT, Inst, Op, values
from fnlearn.port.merge import Mode, operations
from fnlearn.port.ops import row_of

__all__ = ["draws", "needs_key", "with_key"]

MODES = {"train", "training", "dropout_p"}  # arguments of functions that draw where these say so


def draws(op: Op) -> bool:
    """Whether a call of a random function draws in one mode at least."""
    if any(op.kwargs.get(name) is False for name in ("training", "train")):
        return False
    rates = [op.kwargs[name] for name in ("p", "dropout_p", "dropout") if name in op.kwargs]
    if op.name in RECURRENT:
        rates = [op.args[5]]
    elif "scaled_dot_product_attention" in op.name or "multi_head_attention" in op.name:
        rates = rates or [arg for arg in op.args if isinstance(arg, Mode | float)] or [0.0]
    return not rates or any(isinstance(rate, Mode) or rate != 0 for rate in rates)


def needs_key(root: Inst) -> bool:
    """Whether a recording draws what it uses, in any case; what takes a mode says by itself that it needs a key."""
    needed = {id(leaf) for leaf in values((root.outs, *(inst.writes for inst in _calls(root))))}
    for op in reversed(list(operations(root))):
        if not any(id(out) in needed for out in values(op.outs)):
            continue
        row = row_of(op.name)
        if row is not None and row.random and not MODES & set(row.signature.parameters):
            return True
        needed |= {id(leaf) for leaf in values((op.args, op.kwargs))}
    return False


def _calls(inst: Inst) -> Iterator[Inst]:
    yield inst
    for call in inst.body:
        if isinstance(call, Inst):
            yield from _calls(call)


def with_key(expression: Any) -> None:
    """Marks the call that draws, and gives it a key where the template has none."""
    calls = [n for n in ast.walk(expression) if isinstance(n, ast.Call)]
    drawing = [c for c in calls if any(isinstance(a, ast.Name) and a.id == "key" for a in c.args)]
    call = drawing[0] if drawing else calls[0]
    if not drawing:
        call.keywords.append(ast.keyword("key", ast.Name("key", ast.Load())))
    call.random = True  # type: ignore[attr-defined]
