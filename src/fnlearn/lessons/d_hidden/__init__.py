"""Lesson D: hidden layers, on real data."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from fnlearn.lessons.d_hidden import pima
from fnlearn.lessons.lesson import Options, at_start, same_seed

TITLE = "Hidden layers: 8 → 6 → 4 → 1 sigmoids on the Pima diabetes table"
WORK = "100 epochs in mini-batches of 32"

FULL = {"epochs": 1000, "lr": 1.0}
MINI = {"epochs": 100, "lr": 0.1, "batch_size": 32}


def quantities(side: ModuleType, dtype: str, options: Options) -> dict[str, Any]:
    """The weights drawn; every step's loss, test accuracy and final weights, with the full batch and mini-batches."""
    table = pima.load(options.csv)
    runs: dict[str, Any] = {"full batch": {**FULL, "batch_size": len(table[0])}, "batches of 32": MINI}
    found = at_start(side.start(dtype))
    for run, settings in runs.items():
        result = side.train(table, **settings, dtype=dtype)
        found |= {f"{name}, {run}": value for name, value in result.items()}
    return found


def workload(side: ModuleType, options: Options) -> Callable[[], Any]:
    """What is timed."""
    table = pima.load(options.csv)
    return lambda: side.train(table, **MINI)


def notes(sides: dict[str, ModuleType], options: Options) -> list[str]:
    """Where both sides start; the two bugs of the notes' class, and when each shows on either side."""
    lines = [same_seed(sides["JAX"].SEED), "The notes' class has two bugs. When does each show?"]
    for name, side in sides.items():
        twin = importlib.import_module(f"fnlearn.lessons.d_bugs.{side.__name__.rpartition('.')[2]}")
        for bug, what in (("overwritten", "third layer named linear1"), ("undefined", "forward returns y_pred")):
            stages = getattr(twin, bug)()
            lines.append(f"  {name}, {what}:")
            lines += [f"    {stage}: {outcome}" for stage, outcome in stages.items()]
    lines.append(
        "Layers are arguments of one call, so none can be overwritten; and jax.eval_shape runs every line of a"
    )
    lines.append("pure function on shapes alone, before there is data to lose.")
    return lines
