"""What a lesson is, and how it is run on both sides.

A lesson is a package with two twins, `torch_side` and `jax_side`, that define the same functions in the same order, and
with `TITLE`, `WORK` (what is timed), `quantities(side, dtype, options)`, `workload(side, options)` and
`notes(sides, options)`, each of which treats either side alike.
"""

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from fnlearn import tree
from fnlearn.equivalence import Leaf, compare

PACKAGES = {"A": "a_autodiff", "B": "b_by_hand", "C": "c_linear", "D": "d_hidden"}
SIDES = {"PyTorch": "torch_side", "JAX": "jax_side"}
DTYPES = ("float32", "float64")
FLOAT64_TOLERANCE = 1e-12  # relative and absolute, at every step of every trajectory


class Options(NamedTuple):
    """What a reader can choose.

    Args: csv: the table of lesson D. verbose: print every step, where a lesson has steps to print.
    """

    csv: Path = Path(__file__).parent / "d_hidden" / "pima_diabetes.csv"
    verbose: bool = False


class Row(NamedTuple):
    """One quantity on both sides.

    Args: quantity: its name. dtype: "float32" or "float64". torch, jax: the values; torch is None without PyTorch.
        leaf: how the two compare, or None.
    """

    quantity: str
    dtype: str
    torch: np.ndarray | None
    jax: np.ndarray
    leaf: Leaf | None


class Speed(NamedTuple):
    """Seconds of one workload in float32.

    Args: work: what was timed. torch: median, None without PyTorch. jax: median without compiling. compile: what the
        first call took longer, 0 when the process had compiled it before.
    """

    work: str
    torch: float | None
    jax: float
    compile: float


class Result(NamedTuple):
    """All that a lesson found.

    Args: letter, title: which lesson. rows: its quantities. speed: of both sides. notes: lines to read.
    """

    letter: str
    title: str
    rows: list[Row]
    speed: Speed
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether every verdict is good; without PyTorch there is none."""
        return all(row.leaf is None or row.leaf.ok for row in self.rows)


def torch_installed() -> bool:
    """Whether PyTorch can be imported.

    Args: none.
    Returns: True or False, without importing it.
    """
    return importlib.util.find_spec("torch") is not None


def letters(chosen: tuple[str, ...]) -> list[str]:
    """The lessons meant, all of them when none is named.

    Args: chosen: letters in either case.
    Returns: capital letters, in the order given.
    Raises: ValueError for a letter that is no lesson's.
    Source: `PACKAGES`.
    """
    unknown = [letter for letter in chosen if letter.upper() not in PACKAGES]
    if unknown:
        raise ValueError(f"there is no lesson {', '.join(unknown)}; the lessons are {', '.join(PACKAGES)}")
    return [letter.upper() for letter in chosen] or list(PACKAGES)


def run(letter: str, options: Options | None = None) -> Result:
    """Run a lesson on both sides, or on JAX's alone where PyTorch is not installed.

    Args: letter: "A" to "D". options: the reader's choices.
    Returns: a `Result`.
    Raises: ValueError for an unknown letter or a table that can't be read.
    Source: the course's notes.
    """
    letter, options = letters((letter,))[0], options or Options()
    lesson = importlib.import_module(f"fnlearn.lessons.{PACKAGES[letter]}")
    sides = {name: twin(letter, name) for name in SIDES if name == "JAX" or torch_installed()}
    speed = _speed(lesson, sides, options)  # first, while nothing is compiled
    return Result(letter, lesson.TITLE, _rows(lesson, sides, options), speed, lesson.notes(sides, options))


def twin(letter: str, side: str) -> ModuleType:
    """One side of a lesson as a module.

    Args: letter: "A" to "D". side: "PyTorch" or "JAX".
    Returns: its `torch_side` or `jax_side`.
    Raises: ValueError when PyTorch's side is asked for and PyTorch is not installed.
    Source: `PACKAGES`.
    """
    if side == "PyTorch" and not torch_installed():
        raise ValueError("PyTorch is not installed: pip install torch==2.13.0")
    return importlib.import_module(f"fnlearn.lessons.{PACKAGES[letter]}.{SIDES[side]}")


def at_start(start: Any) -> dict[str, Any]:
    """The numbers that a side starts from, of a torch module or of nested dicts."""
    numbers = start.state_dict() if hasattr(start, "state_dict") else tree.flatten(start)
    return {f"{name} at the start": number for name, number in numbers.items()}


def same_seed(seed: int) -> str:
    """What a lesson says of its start."""
    return f"torch.manual_seed({seed}) and TorchGenerator({seed}) draw the same weights: none are copied."


def _rows(lesson: ModuleType, sides: dict[str, ModuleType], options: Options) -> list[Row]:
    found = {(name, dtype): _quantities(lesson, sides[name], dtype, options) for name in sides for dtype in DTYPES}
    yardstick = found.get(("PyTorch", "float64"))
    rows = []
    for dtype in DTYPES:
        jax_side, torch_side = found["JAX", dtype], found.get(("PyTorch", dtype))
        if torch_side is None:
            rows += [Row(name, dtype, None, value, None) for name, value in jax_side.items()]
            continue
        if dtype == "float32":
            leaves = compare(torch_side, jax_side, yardstick)
        else:
            leaves = compare(torch_side, jax_side, rtol=FLOAT64_TOLERANCE, atol=FLOAT64_TOLERANCE)
        rows += [Row(leaf.name, dtype, torch_side[leaf.name], jax_side[leaf.name], leaf) for leaf in leaves]
    return [row for row in rows if row.dtype == "float32" or row.jax.dtype.kind == "f"]  # integers are told once


def _quantities(lesson: ModuleType, side: ModuleType, dtype: str, options: Options) -> dict[str, np.ndarray]:
    with jax.enable_x64(dtype == "float64"):
        found = lesson.quantities(side, dtype, options)
        return {
            name: np.asarray(value.detach() if hasattr(value, "detach") else value) for name, value in found.items()
        }


def _speed(lesson: ModuleType, sides: dict[str, ModuleType], options: Options) -> Speed:
    work = lesson.workload(sides["JAX"], options)
    first = _seconds(work)
    steady = _median(work)
    reference = _median(lesson.workload(sides["PyTorch"], options)) if "PyTorch" in sides else None
    return Speed(lesson.WORK, reference, steady, max(0.0, first - steady))


def _median(work: Callable[[], Any], budget: float = 1.0) -> float:
    """The median of at least three calls, and of more as long as they fit in a second."""
    times = [_seconds(work) for _ in range(3)]
    while sum(times) < budget and len(times) < 25:
        times.append(_seconds(work))
    return statistics.median(times)


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(work())
    return time.perf_counter() - start
