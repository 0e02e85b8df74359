"""Lesson A: the graph of e = (a + b) · (b + 1), the derivative on every edge, and the sum over paths."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fnlearn import explain
from fnlearn.lessons.lesson import Options

TITLE = "Automatic differentiation of e = (a + b) · (b + 1) at a = 2, b = 1"
WORK = "one gradient"

A, B = 2.0, 1.0


def expression(a: Any, b: Any) -> Any:
    """The notes' expression."""
    return (a + b) * (b + 1)


def quantities(side: ModuleType, dtype: str, options: Options) -> dict[str, Any]:
    """Values, local derivatives and gradients; each path's product, from the local derivatives along it."""
    local = side.local_derivatives(A, B, dtype)
    through_c, through_d = local["∂e/∂c"] * local["∂c/∂b"], local["∂e/∂d"] * local["∂d/∂b"]
    return {
        **side.forward(side.leaf(A, dtype), side.leaf(B, dtype)),
        **local,
        "path b → c → e": through_c,
        "path b → d → e": through_d,
        "sum of the paths from b": through_c + through_d,
        **side.gradients(A, B, dtype),
    }


def workload(side: ModuleType, options: Options) -> Callable[[], Any]:
    """What is timed."""
    return lambda: side.gradients(A, B)


def notes(sides: dict[str, ModuleType], options: Options) -> list[str]:
    """The picture of backpropagation, drawn from the function itself."""
    return [explain.text(explain.graph(expression, A, B))]
