"""Calls that draw random numbers, and their keys."""

import ast
from typing import Any

from fnlearn.port.graph import RECURRENT, Op
from fnlearn.port.merge import Mode

__all__ = ["draws", "with_key"]


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


def with_key(expression: Any) -> None:
    """Marks the call that draws, and gives it a key where the template has none."""
    calls = [n for n in ast.walk(expression) if isinstance(n, ast.Call)]
    drawing = [c for c in calls if any(isinstance(a, ast.Name) and a.id == "key" for a in c.args)]
    call = drawing[0] if drawing else calls[0]
    if not drawing:
        call.keywords.append(ast.keyword("key", ast.Name("key", ast.Load())))
    call.random = True  # type: ignore[attr-defined]
