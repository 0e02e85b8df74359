"""How fast the machine that is there trains standard models: `fnlearn bench`."""

from fnlearn.bench.case import Case, cases
from fnlearn.bench.models import Kit, Model
from fnlearn.bench.report import chart, line, save, table
from fnlearn.bench.sweep import run

__all__ = ["Case", "Kit", "Model", "cases", "chart", "line", "run", "save", "table"]
