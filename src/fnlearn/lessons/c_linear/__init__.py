"""Lesson C: one linear layer, and what goes into `Linear(in, out)` and comes out."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from fnlearn.lessons.lesson import Options

TITLE = "One linear layer: Linear(1, 1), summed squared error, SGD with rate 0.01"
WORK = "1000 epochs"

INITIAL = {"weight": [[0.5]], "bias": [0.25]}
STARTS = {"with bias": INITIAL, "without bias": {"weight": INITIAL["weight"]}}
SIZES = ((1, 1), (2, 1), (1, 3), (8, 6), (6, 4), (4, 1))


def quantities(side: ModuleType, dtype: str, options: Options) -> dict[str, Any]:
    """Weights, prediction and losses after 100 and after 1000 epochs from the same start, and the table of shapes."""
    found: dict[str, Any] = {}
    for start, initial in STARTS.items():
        for epochs in (100, 1000):
            result = side.train(initial, epochs, dtype)
            found |= {f"{name}, {epochs} epochs {start}": value for name, value in result.items()}
    for sizes in SIZES:
        shapes = side.shapes(*sizes)
        found[f"Linear{sizes}: shapes of {', '.join(shapes)}"] = np.array(
            [n for shape in shapes.values() for n in shape]
        )
    return found


def workload(side: ModuleType, options: Options) -> Callable[[], Any]:
    """What is timed."""
    return lambda: side.train(INITIAL, 1000)


def notes(sides: dict[str, ModuleType], options: Options) -> list[str]:
    """What the notes' words are called today."""
    return [
        "The notes write MSELoss(size_average=False): do not divide the summed squares by their number.",
        'Today this is reduction="sum"; the default, size_average=True, is reduction="mean".',
        *_table_of_shapes(sides["JAX"]),
    ]


def _table_of_shapes(side: ModuleType) -> list[str]:
    rows = [["layer", "x", "weight", "bias", "y"]]
    for sizes in SIZES:
        rows.append([f"Linear{sizes}", *[str(tuple(shape)) for shape in side.shapes(*sizes).values()]])
    return ["  ".join(cell.ljust(12) for cell in row).rstrip() for row in rows]
