"""The four lessons of the notes: PyTorch on the left, pure JAX on the right, with the same numbers."""

from fnlearn.lessons.lesson import Options, Result, Row, Speed, letters, run, torch_installed, twin
from fnlearn.lessons.picture import plots
from fnlearn.lessons.report import as_json, show, tables

__all__ = [
    "Options",
    "Result",
    "Row",
    "Speed",
    "as_json",
    "letters",
    "plots",
    "run",
    "show",
    "tables",
    "torch_installed",
    "twin",
]
