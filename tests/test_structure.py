"""What holds of the whole package: layering, docstrings, what an import costs, and the size of files."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fnlearn

ROOT = Path(__file__).parent.parent
FIELDS = ("Torch", "Shape", "Args", "Raises", "Differs", "Source")
PORTED = ("functional", "nn", "nn.init", "optim", "optim.schedules")  # rooms whose names are torch's
OTHERS = (
    *("bench", "cpu", "equivalence", "explain", "files", "lessons", "port", "random", "train", "tree"),
    *(
        "train.checkpoint",
        "train.collectives",
        "train.device",
        "train.log",
        "train.metrics",
        "train.plan",
        "train.sharding",
    ),
)


def public(rooms):
    named = [(room, name) for room in rooms for name in importlib.import_module(f"fnlearn.{room}").__all__]
    values = {names: getattr(importlib.import_module(f"fnlearn.{names[0]}"), names[1]) for names in named}
    return [pytest.param(v, id=".".join(names)) for names, v in values.items() if not inspect.ismodule(v)]


def fields(docstring):
    return re.findall(r"^ *(Torch|Shape|Args|Raises|Returns|Differs|Source):", docstring, re.MULTILINE)


@pytest.mark.parametrize("value", public(PORTED))
def test_docstring_of_a_ported_name(value):
    """One sentence, then all six fields in order; `Torch:` names what is there."""
    if value is fnlearn.nn.Layer:  # the contract itself, which torch has no counterpart of
        return
    docstring = inspect.getdoc(value) or ""
    assert docstring.split("\n\n")[0].rstrip().endswith(".")
    assert tuple(fields(docstring)) == FIELDS
    assert re.search(r"Torch: (a subclass of )?`torch\.[\w.]+`", docstring)


@pytest.mark.parametrize("value", public(OTHERS))
def test_docstring_of_any_other_name(value):
    docstring = inspect.getdoc(value) or ""
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":"))
    assert "Args" in fields(docstring)
    assert inspect.isclass(value) or {"Returns", "Raises"} & set(fields(docstring))


@pytest.mark.parametrize("value", public((*PORTED, *OTHERS)))
def test_every_argument_is_described(value):
    """By its name in `Args:`, or by `as for` another function that has it."""
    docstring = inspect.getdoc(value) or ""
    described = docstring.partition("Args:")[2].partition("Raises:")[0]
    parameters = [p for p in inspect.signature(value).parameters if p not in ("kwargs", "inplace", "_stacklevel")]
    missing = [p for p in parameters if not re.search(rf"\b{p}\b", described)]
    assert not missing or re.search(r"as for|and all are ignored", described), missing


def test_imports_go_down_only():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "tests")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_costs_next_to_nothing_beyond_jax():
    """No room, and none of the libraries of the rooms, is loaded before it is used."""
    code = "import jax, sys; before = set(sys.modules); import fnlearn; print(*sorted(set(sys.modules) - before))"
    assert python(code).split() == ["fnlearn"]


def test_nothing_that_trains_imports_torch():
    rooms = "functional, nn, optim, train, explain, equivalence, lessons, tree, random, cli"
    python(f"import sys; from fnlearn import {rooms}; assert 'torch' not in sys.modules")


def test_rooms_are_attributes_and_a_wrong_one_is_told():
    assert all(inspect.ismodule(getattr(fnlearn, room)) for room in fnlearn.__all__)
    assert set(fnlearn.__all__) < set(dir(fnlearn))
    with pytest.raises(AttributeError, match="no attribute 'functinal'; its rooms are"):
        _ = fnlearn.functinal


def test_the_installed_version_is_the_packages():
    assert importlib.import_module("importlib.metadata").version("fnlearn") == fnlearn.__version__


@pytest.mark.parametrize("path", sorted(ROOT.glob("src/**/*.py")), ids=lambda path: path.name)
def test_files_stay_short_and_public(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    assert "jax._src" not in text
