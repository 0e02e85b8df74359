"""The curves of a run as a picture."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fnlearn.files import replacing

INK, FAINT = "#1d4ed8", "#93c5fd"


def plot_history(
    history: Mapping[str, Any], path: str | os.PathLike[str], metrics: Sequence[str] | None = None
) -> Path:
    """Draw each metric over the epochs as an SVG: every step faint, and the mean of each epoch.

    The same history gives the same bytes; texts stay texts. The caller's pyplot and settings stay as they are.

    Args: history: as `fit` returns it, arrays (epochs, steps of an epoch). path: the file; its folder must exist.
        metrics: which, in their order; all that have one number a step when left out.
    Returns: the path.
    Raises: ValueError when there is no such metric, or none that can be drawn; OSError when the file can't be written.
    Source: `matplotlib`.
    """
    arrays = {name: np.asarray(x, float) for name, x in history.items() if np.ndim(x) == 2}
    names = list(arrays) if metrics is None else list(metrics)
    if not names or (missing := [name for name in names if name not in arrays]):
        raise ValueError(
            f"history must have metrics of shape (epochs, steps); got {names and missing} of {list(arrays)}"
        )

    from matplotlib import rc_context, style
    from matplotlib.figure import Figure  # late: it takes half a second, and only pictures need it

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "fnlearn", "font.size": 9}
    with style.context("default"), rc_context(settings):
        figure = Figure(figsize=(6, 2.2 * len(names)), layout="constrained")
        for axes, name in zip(figure.subplots(len(names), squeeze=False)[:, 0], names, strict=True):
            _draw(axes, name, arrays[name])
        axes.set_xlabel("epochs")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
    return Path(path)


def _draw(axes: Any, name: str, values: np.ndarray) -> None:
    epochs, steps = values.shape
    if steps > 1:
        axes.plot((np.arange(epochs * steps) + 1) / steps, values.ravel(), color=FAINT, linewidth=0.7)
    means = np.array([row[~np.isnan(row)].mean() if not np.isnan(row).all() else np.nan for row in values])
    axes.plot(np.arange(1, epochs + 1), means, color=INK, linewidth=1.4, marker="." if epochs < 30 else "")
    axes.set_ylabel(name)
    axes.grid(alpha=0.3)
