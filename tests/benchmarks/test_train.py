"""The training benchmarks: every side learns the same, from the same numbers."""

import numpy as np
import pytest
import torch

from benchmarks import harness, machine
from benchmarks.train import CASES, ROWS, SWEEPS, case, epochs, models

SMALL = {"mlp": {"inputs": 12, "width": 16, "classes": 5}, "conv": {"width": 4, "classes": 5},
         "gpt": {"layers": 2, "width": 8, "heads": 2, "words": 11, "steps": 4}}  # fmt: skip


@pytest.fixture(autouse=True)
def restored():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_cases():
    assert len({case.name for case in CASES}) == len(CASES) == len(ROWS) + len(SWEEPS) + 1
    assert [side.name for side in case(ROWS[0]).sides] == ["eager", "compiled", "fnlearn", "nnx", "equinox"]
    assert [side.name for side in case(SWEEPS[0], others=False).sides] == ["eager", "compiled", "fnlearn"]


def agree(measured, monkeypatch):
    """All forms of all sides but the one that needs a compiler."""
    monkeypatch.setattr(machine, "thread_counts", lambda: [1])
    expected, wide = (side(3) for side in (measured.sides[0].forms["eager"](), measured.reference()))
    for side in measured.sides:
        for form, prepare in side.forms.items():
            if side.name != "compiled":
                found = harness._compared(expected, prepare()(3), wide)
                assert found["same"], (side.name, form, found)
    losses = np.asarray(expected)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("row", [pytest.param(row, marks=[] if row.kind == "mlp" else pytest.mark.exhaustive)
                                 for row in ROWS], ids=lambda row: row.kind)  # fmt: skip
def test_every_side_learns_the_same(row, monkeypatch):
    agree(case(row._replace(size=SMALL[row.kind], batch=4)), monkeypatch)


@pytest.mark.exhaustive
def test_epochs_are_the_same_in_one_call_and_in_many(monkeypatch):
    agree(epochs(), monkeypatch)


def test_the_sizes_are_those_of_the_titles():
    assert models.weights(ROWS[0])["2.weight"].shape == (1024, 1024)
    assert sum(name.startswith("blocks.") and name.endswith("up.weight") for name in models.weights(SWEEPS[3])) == 12
