"""The lessons' figures: the graph, the activation functions, and the loss curves of both sides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn import explain, files
from fnlearn import functional as F
from fnlearn.lessons import a_autodiff
from fnlearn.lessons.lesson import Result

CURVES: dict[str, Callable[[jax.Array], jax.Array]] = {
    name: getattr(F, name)
    for name in (
        "sigmoid", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus",
        "logsigmoid", "softsign", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "tanhshrink",
    )
}  # fmt: skip


def plots(results: list[Result], directory: Path) -> list[Path]:
    """Write the figures of the lessons that were run, and that of the activation functions.

    Args: results: as `fnlearn.lessons.run` returns them. directory: created when it isn't there.
    Returns: the files written, as SVG.
    Raises: OSError when the directory can't be written.
    Source: `matplotlib`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = [_save(_activations(), directory / "activations.svg")]
    for result in results:
        if result.letter == "A":
            path = directory / "lesson_a_graph.svg"
            explain.svg(explain.graph(a_autodiff.expression, a_autodiff.A, a_autodiff.B), path)
            written.append(path)
        if any(row.quantity.startswith("loss") for row in result.rows):
            written.append(_save(_losses(result), directory / f"lesson_{result.letter.lower()}_loss.svg"))
    return written


def _activations() -> Any:
    """Each function and its derivative."""
    figure, axes = _figure(rows=5, columns=4, size=(12, 12))
    x = jnp.linspace(-5, 5, 401)
    for axis, (name, function) in zip(axes, CURVES.items(), strict=True):
        axis.plot(x, function(x), label=name)
        axis.plot(x, jax.vmap(jax.grad(function))(x), "--", label="derivative")
        axis.set_title(name)
        axis.grid(alpha=0.3)
    axes[0].legend(["function", "derivative"])
    return figure


def _losses(result: Result) -> Any:
    rows = [row for row in result.rows if row.quantity.startswith("loss") and row.dtype == "float32"]
    figure, axes = _figure(rows=1, columns=len(rows), size=(5 * len(rows), 4))
    for axis, row in zip(axes, rows, strict=True):
        if row.torch is not None:
            axis.plot(row.torch, linewidth=4, alpha=0.4, label="PyTorch")
        axis.plot(row.jax, linewidth=1, label="JAX")
        axis.set_title(row.quantity)
        axis.set_xlabel("step or epoch")
        axis.set_yscale("log")
        axis.legend()
    return figure


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, np.ndarray]:
    from matplotlib.figure import Figure  # late: it takes half a second, and only pictures need it

    figure = Figure(figsize=size, layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns)).ravel()


def _save(figure: Any, path: Path) -> Path:
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="svg")
    return path
