"""Lesson C: one linear layer, and what goes into `Linear(in, out)` and comes out."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from fnlearn.lessons.lesson import Options, at_start, same_seed

TITLE = "One linear layer: Linear(1, 1), summed squared error, SGD with rate 0.01"
WORK = "1000 epochs"

LAYERS = {"with bias": True, "without bias": False}
SIZES = ((1, 1), (2, 1), (1, 3), (8, 6), (6, 4), (4, 1))


def quantities(side: ModuleType, dtype: str, options: Options) -> dict[str, Any]:
    """The weights drawn; weights, prediction and losses after 100 and after 1000 epochs; and the table of shapes."""
    found: dict[str, Any] = {}
    for layer, bias in LAYERS.items():
        found |= {f"{name} {layer}": value for name, value in at_start(side.start(bias, dtype)).items()}
        for epochs in (100, 1000):
            result = side.train(epochs, bias, dtype)
            found |= {f"{name}, {epochs} epochs {layer}": value for name, value in result.items()}
    for sizes in SIZES:
        shapes = side.shapes(*sizes)
        found[f"Linear{sizes}: shapes of {', '.join(shapes)}"] = np.array(
            [n for shape in shapes.values() for n in shape]
        )
    return found


def workload(side: ModuleType, options: Options) -> Callable[[], Any]:
    """What is timed."""
    return lambda: side.train(1000)


def notes(sides: dict[str, ModuleType], options: Options) -> list[str]:
    """Where both sides start, and what the notes' words are called today."""
    return [
        same_seed(sides["JAX"].SEED),
        "The notes write MSELoss(size_average=False): do not divide the summed squares by their number.",
        'Today this is reduction="sum"; the default, size_average=True, is reduction="mean".',
        *_table_of_shapes(sides["JAX"]),
    ]


def _table_of_shapes(side: ModuleType) -> list[str]:
    rows = [["layer", "x", "weight", "bias", "y"]]
    for sizes in SIZES:
        rows.append([f"Linear{sizes}", *[str(tuple(shape)) for shape in side.shapes(*sizes).values()]])
    return ["  ".join(cell.ljust(12) for cell in row).rstrip() for row in rows]
