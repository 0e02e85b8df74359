"""A lesson's result as a table for a reader, and as JSON for a program."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from fnlearn.lessons.lesson import SIDES, Result, Row, Speed, twin


def tables(result: Result) -> RenderableType:
    """The lesson's notes, its quantities side by side, and the speed of both sides.

    Args: result: as `fnlearn.lessons.run` returns it.
    Returns: something for `rich` to print.
    """
    title = Text(f"\nLesson {result.letter}. {result.title}", style="bold")
    notes = Text("\n".join(result.notes)) if result.notes else Text()
    return Group(title, notes, _quantities(result.rows), _speed(result.speed))


def as_json(result: Result) -> str:
    """Every number of a lesson as one line of JSON.

    Args: result: as `fnlearn.lessons.run` returns it.
    Returns: one JSON object; a number that is not finite is null.
    """
    return json.dumps(
        {
            "lesson": result.letter,
            "title": result.title,
            "verdict": _verdict(result),
            "quantities": [_as_dict(row) for row in result.rows],
            "speed": {
                "work": result.speed.work,
                "torch_seconds": result.speed.torch,
                "jax_seconds": result.speed.jax,
                "jax_compile_seconds": result.speed.compile,
            },
            "notes": result.notes,
        },
        ensure_ascii=False,
    )


def show(letter: str, with_bugs: bool = True) -> RenderableType:
    """The source of both twins side by side, in colour.

    Args: letter: which lesson. with_bugs: lesson D also shows the twins of its bugs.
    Returns: something for `rich` to print.
    Raises: ValueError for an unknown letter.
    """
    folder = Path(str(twin(letter, "JAX").__file__)).parent
    folders = [folder, folder.with_name("d_bugs")] if with_bugs and letter == "D" else [folder]
    grid = Table.grid(expand=True, padding=(0, 1))
    for _ in SIDES:
        grid.add_column(ratio=1)
    for place in folders:
        grid.add_row(*[_source(name, place / f"{file}.py") for name, file in SIDES.items()])
    return grid


def _source(side: str, path: Path) -> Panel:
    code = Syntax(path.read_text(encoding="utf-8"), "python", word_wrap=True, background_color="default")
    return Panel(code, title=f"{side}: {path.parent.name}/{path.name}")


def _quantities(rows: list[Row]) -> Table:
    table = Table("quantity", "PyTorch", "JAX", "difference", "verdict")
    for previous, row in zip([rows[0], *rows], rows, strict=False):
        leaf = row.leaf
        difference = "" if leaf is None else f"{leaf.max_abs:.1e}" if leaf.max_abs else "0"
        torch_value = "" if row.torch is None else _value(row.torch)
        verdict = Text("") if leaf is None else Text(_words(row), style="green" if leaf.ok else "bold red")
        if row.dtype != previous.dtype:
            table.add_section()
        name = row.quantity if row.dtype == "float32" else f"{row.quantity}, {row.dtype}"
        table.add_row(name, torch_value, _value(row.jax), difference, verdict)
    return table


def _words(row: Row) -> str:
    leaf = row.leaf
    assert leaf is not None
    if leaf.verdict == "yardstick":
        return f"same: {leaf.ratio:.2f}× PyTorch's error"
    return {"equal": "same: equal", "close": "same: within rounding"}.get(leaf.verdict, leaf.verdict)


def _value(x: np.ndarray) -> str:
    if x.size <= 3 or x.dtype.kind == "i":
        return ", ".join(f"{number:.7g}" for number in x.ravel())
    return f"{x.size} values, the last {x.ravel()[-1]:.7g}"


def _speed(speed: Speed) -> Table:
    table = Table("speed", "PyTorch", "JAX", "PyTorch ÷ JAX", "JAX compiles once in")
    reference = "" if speed.torch is None else _time(speed.torch)
    ratio = "" if speed.torch is None else f"{speed.torch / speed.jax:.1f}×"
    table.add_row(speed.work, reference, _time(speed.jax), ratio, _time(speed.compile))
    return table


def _time(seconds: float) -> str:
    return (
        f"{seconds:.2f} s"
        if seconds >= 1
        else f"{seconds * 1e3:.3g} ms"
        if seconds >= 1e-3
        else f"{seconds * 1e6:.3g} µs"
    )


def _verdict(result: Result) -> str | None:
    if all(row.leaf is None for row in result.rows):
        return None
    return "same" if result.ok else "differs"


def _as_dict(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"quantity": row.quantity, "dtype": row.dtype, "jax": row.jax.tolist()}
    if row.leaf is not None and row.torch is not None:
        numbers = row.leaf._asdict()
        found["torch"] = row.torch.tolist()
        found |= {
            name: _finite(numbers[name]) for name in ("max_abs", "max_rel", "ulp", "torch_error", "jax_error", "ratio")
        }
        found["verdict"] = row.leaf.verdict
    return found


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None
