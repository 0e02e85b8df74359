"""The support table's status and dtypes are results of the tests that there are, and every name has some."""

import re
from pathlib import Path

import pytest

from docs import support
from tests.cases import CASES
from tests.layers import LAYERS

TESTS = Path(__file__).parent
AGAIN = "run pytest with --junitxml=results.xml, then python docs/support.py results.xml"


def recorded(room, file):
    """{name: {dtype: passed}} of one file of tests."""
    names = support.recorded()[room].items()
    return {name: files[file] for name, files in names if file in files}


@pytest.mark.parametrize(("room", "file", "table"), [("functional", "functional", CASES), ("nn", "layers", LAYERS)])
def test_every_case_has_its_result(room, file, table):
    results = recorded(room, file)
    assert set(results) == {case.name for case in table}, AGAIN
    assert all({"float32", "float64"} <= set(passed) for passed in results.values()), AGAIN


@pytest.mark.parametrize("room", support.ROOMS)
def test_every_name_is_tested(room):
    """Those without a result by name and dtype are at least called in a test of their room."""
    folder, results = TESTS / room.partition(".")[0], support.recorded().get(room, {})
    text = "\n".join(path.read_text() for path in folder.rglob("test_*.py"))
    silent = [name for name in support.ported(room) if not results.get(name)]
    assert [name for name in silent if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore")
def test_every_entry_of_the_databases_has_its_result():
    """What the sweeps ask, no more and no less, and all of it passes: a sweep that fails makes the table untrue."""
    from torch.testing._internal.common_modules import module_db

    from tests.functional.test_op_db import QUESTIONS, label, name_of
    from tests.nn import test_module_db as modules

    asked: dict[str, dict[str, bool]] = {}
    for op, dtype in QUESTIONS:
        asked.setdefault(name_of(op), {})[label(dtype)] = True
    assert recorded("functional", "op_db") == asked, AGAIN
    entries = {modules.name_of(info): dict.fromkeys(modules.MOST, True) for info in module_db}
    assert recorded("nn", "module_db") == entries, AGAIN
