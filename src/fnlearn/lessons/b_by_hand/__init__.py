"""Lesson B: fitting y = w · x by hand, one sample at a time."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from fnlearn.lessons.lesson import Options

TITLE = "Fitting y = w · x by hand: 1000 epochs of 3 steps"
WORK = "1000 epochs"

W, EPOCHS = 1.0, 1000


def quantities(side: ModuleType, dtype: str, options: Options) -> dict[str, Any]:
    """The whole trajectory, and the prediction for 4."""
    history = side.train(W, EPOCHS, dtype=dtype)
    return {
        "w after each step": history["w"],
        "gradient of each step": history["gradient"],
        "loss of each epoch": history["loss"],
        "f(4) before training": np.array(side.model(W, 4.0), dtype),
        "f(4) after training": side.model(history["w"][-1], 4.0),
    }


def workload(side: ModuleType, options: Options) -> Callable[[], Any]:
    """What is timed."""
    return lambda: side.train(W, EPOCHS)


def notes(sides: dict[str, ModuleType], options: Options) -> list[str]:
    """What the notes' loop prints, for every side, when asked for."""
    if not options.verbose:
        return ["--verbose prints every gradient and every epoch's loss, as the notes do."]
    return [line for name, side in sides.items() for line in [f"{name}:", *_log(side)]]


def _log(side: ModuleType) -> list[str]:
    history = {name: np.asarray(values) for name, values in side.train(W, EPOCHS).items()}
    samples = list(zip(side.X, side.Y, strict=True))
    lines = []
    for epoch, loss in enumerate(history["loss"]):
        start = epoch * len(samples)
        for (x, y), gradient in zip(samples, history["gradient"][start : start + len(samples)], strict=True):
            lines.append(f"    grad: {x} {y} {gradient:.8g}")
        lines.append(f"progress: {epoch} loss {loss:.8g}")
    return lines
