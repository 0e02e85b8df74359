"""Calls that draw random numbers, and their keys."""

import ast
from typing import Any

from fnlearn.port.graph import Op
from fnlearn.port.merge import Mode

__all__ = ["draws", "with_key"]


def draws(op: Op) -> bool:
    """Whether a call of a random function draws in one mode at least."""
    given = {**op.kwargs, **{f"_{i}": arg for i, arg in enumerate(op.args)}}
    if any(op.kwargs.get(name) is False for name in ("training", "train")):
        return False
    rates = [op.kwargs[name] for name in ("p", "dropout_p", "dropout") if name in op.kwargs]
    if "scaled_dot_product_attention" in op.name or "multi_head_attention" in op.name or op.name in RECURRENT:
        if op.name in RECURRENT:
            rates = [op.args[5]]
        rates = rates or [arg for arg in op.args if isinstance(arg, Mode | float)]
        return any(isinstance(rate, Mode) or rate != 0 for rate in rates)
    return bool(given) and not (rates and all(isinstance(rate, float | int) and rate == 0 for rate in rates))


RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def with_key(expression: Any) -> None:
    """Marks the call that draws, and gives it a key where the template has none."""
    calls = [n for n in ast.walk(expression) if isinstance(n, ast.Call)]
    drawing = [c for c in calls if any(isinstance(a, ast.Name) and a.id == "key" for a in c.args)]
    call = drawing[0] if drawing else calls[0]
    if not drawing:
        call.keywords.append(ast.keyword("key", ast.Name("key", ast.Load())))
    call.random = True  # type: ignore[attr-defined]
