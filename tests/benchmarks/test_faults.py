"""The fault benchmark: every edit fits its text; in a small form all is found, and nothing that isn't there."""

import json
import re

import jax
import pytest

from benchmarks.faults import __main__ as faults
from benchmarks.faults import torch_side
from benchmarks.faults.table import FAULTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.model}: {fault.name}")
def test_every_fault_is_an_edit_of_its_model(fault):
    module = faults.edited(fault)  # a text that doesn't occur once, or that is no Python, raises
    assert callable(getattr(module, fault.model))
    re.compile(fault.place)


def test_there_are_enough_of_them():
    assert len(FAULTS) >= 60
    assert {fault.model for fault in FAULTS} == set(torch_side.MODELS)
    assert len(faults.WIDTHS) * faults.SEEDS * len(torch_side.MODELS) >= 60
    assert len({(fault.model, fault.name) for fault in FAULTS}) == len(FAULTS)


def test_the_published_figures_are_of_this_table():
    result = json.loads(faults.RESULT.read_text())
    assert {(row["model"], row["name"]) for row in result["faults"]} == {(f.model, f.name) for f in FAULTS}
    assert all(row["detected"] for row in result["faults"])
    assert sum(not row["missed"] for row in result["faults"]) >= 0.95 * len(FAULTS)
    assert not any(row["missed"] for row in result["correct"])
    assert len(result["correct"]) >= 60
    assert faults.summary(result) in (faults.RESULT.parent.parent / "README.md").read_text()


@pytest.mark.exhaustive
def test_the_small_form_finds_all_and_sees_nothing_else():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as people write their ports
        result = faults.measure(quick=True)
    assert [row for row in [*result["faults"], *result["correct"]] if row["missed"]] == []
    assert len(result["faults"]) == len(result["correct"]) == 6
