"""The page that shows every model beside its port."""

import ast
import html
from pathlib import Path

from gallery.models import NAMES

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "gallery.md"
HEAD = """# The gallery: PyTorch on the left, its port on the right

Written by `python -m gallery`, which ports every model of [gallery](../gallery) anew; a test compares the texts byte
for byte, and the exhaustive tests prove each to be the same model. Imports, and the `apply` that every port ends with,
are left out here.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(map(_side_by_side, NAMES))


def _side_by_side(name: str) -> str:
    texts = [(HERE / name / file).read_text() for file in ("torch_model.py", "model.py")]
    cells = "".join(f'<td valign="top"><pre>{html.escape(_shown(text), quote=False)}</pre></td>' for text in texts)
    about = ast.get_docstring(ast.parse(texts[0])) or ""
    return f"\n## {name}\n\n{about}\n\n<table><tr>{cells}</tr></table>\n"


def _shown(text: str) -> str:
    """Classes and functions, but for `example` and `apply`."""
    lines = text.split("\n")
    kept = [n for n in ast.parse(text).body if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.Assign)]
    kept = [n for n in kept if getattr(n, "name", "") not in ("example", "apply")]
    return "\n\n\n".join("\n".join(lines[n.lineno - 1 : n.end_lineno]) for n in kept)
