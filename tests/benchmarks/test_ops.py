"""The table of single operations: what is in it, that both sides compute the same, and how results are shown."""

import re

import jax
import numpy as np
import pytest

from benchmarks import harness, machine, report, run
from benchmarks.ops import CASES, DIRECTIONS, argument, case, jax_side, name, page
from benchmarks.ops.argument import integers, log_probability, normal, weight
from benchmarks.ops.table import OPS, Op

FAMILIES = {"conv", "matmul", "attention", "norm", "pool", "activation", "loss", "embedding", "rnn"}
SMALL = {op.family: op for op in OPS if op.size == "small"}  # the last of each family


def test_every_family_is_measured_small_and_large_in_both_directions():
    assert {(op.family, op.size) for op in OPS} >= {(f, size) for f in FAMILIES for size in ("small", "large")}
    assert len({case.name for case in CASES}) == len(CASES) == 2 * len(OPS)
    assert all(re.fullmatch(r"ops_\w+_(small|large)_(forward|gradient)", case.name, re.ASCII) for case in CASES)


def test_the_ten_convolutions_that_users_would_feel_are_there():
    ten = {op.args[0].shape + op.args[1].shape for op in OPS if op.family == "conv" and op.size == "large"}
    plain = {
        (8, c, side, side, c, c, 3, 3) for c, side in ((64, 16), (64, 56), (128, 28), (256, 4), (512, 7), (512, 2))
    }
    grouped = {(8, 128, 28, 28, 128, 4, 3, 3), (8, 128, 28, 28, 128, 1, 3, 3), (8, 512, 14, 14, 512, 1, 7, 7)}
    assert ten == plain | grouped | {(8, 3, 224, 224, 64, 3, 7, 7)}


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_line_can_be_traced(op, monkeypatch):
    kinds = {"integers": np.int32}
    monkeypatch.setattr(argument, "_numbers", lambda x, _: np.zeros(x.shape, kinds.get(x.kind, np.float32)))
    call, floats, others = jax_side.traceable(op)
    assert floats
    assert jax.eval_shape(call, floats, others)


def _agrees(op):
    for way in DIRECTIONS:
        chosen = case(op, way)
        eager, ours = (next(iter(side.forms.values()))() for side in chosen.sides)
        assert chosen.reference is not None
        expected, output, wide = (chosen.seen(side(1)) for side in (eager, ours, chosen.reference()))
        found = harness._compared(expected, output, wide)
        assert found["same"], (way, found)


@pytest.mark.parametrize("op", SMALL.values(), ids=SMALL)
def test_both_sides_compute_the_same(op):
    _agrees(op)


def test_both_sides_get_the_same_numbers():
    described = {"x": normal(2, 3), "w": weight(4, 300), "i": integers(1, 5, 1000), "p": log_probability(6, 7), "k": 3}
    drawn, again = argument.draw(described), argument.draw(described)
    assert all((drawn[each] == again[each]).all() for each in "xwip")
    assert drawn["k"] == 3
    assert {str(drawn[each].dtype) for each in "xwp"} == {"float32"}
    assert set(drawn["i"]) == {1, 2, 3, 4}
    np.testing.assert_allclose(np.exp(drawn["p"]).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.square(drawn["w"]).sum(-1), 1, rtol=0.2)


WRONG = Op("loss", "small", "mse_loss", (normal(3), normal(3)), {})
RANDOM = Op("activation", "small", "dropout", (normal(50),), {"p": 0.5}, random=True)


@pytest.mark.parametrize("way", DIRECTIONS)
def test_a_wrong_answer_shows_but_for_random_numbers(way, monkeypatch):
    monkeypatch.setattr(machine, "thread_counts", lambda: [1])
    assert harness.measure(case(RANDOM, way), 1, quick=True)["ok"]
    monkeypatch.setattr(jax_side.F, "mse_loss", jax_side.F.l1_loss)
    assert not harness.measure(case(WRONG, way), 1, quick=True)["ok"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_both_sides_compute_the_same_everywhere(op):
    _agrees(op)


def measured(op, way, eager, fnlearn, ok=True):
    """A result in which each side took so many seconds in each of two rounds."""
    seconds = {"eager": list(eager), "fnlearn": list(fnlearn)}
    found = {side: harness._summary(each) | {"threads": 1, "form": "form"} for side, each in seconds.items()}
    found["fnlearn"] |= {"same": ok, "verdict": "close" if ok else "differs", "max_abs": 0.0, "last": 1.0}
    described = {"case": name(op, way), "file": f"ops_{op.family}", "title": op.title, "unit": "call", "rounds": 2}
    result = {**described, "target": op.target, "complete": True, "machine": machine.description(), "sides": found}
    return result | harness._verdict(case(op, way), found, seconds)


LARGE = [op for op in OPS if (op.family, op.size) == ("conv", "large")]


def test_the_page_shows_ratios_spread_times_and_what_went_wrong():
    first, second = LARGE[:2]
    results = [
        measured(first, "forward", (4e-3, 6e-3), (2e-3, 2e-3)),
        measured(first, "gradient", (1e-3, 1e-3), (4e-3, 4e-3)),
        measured(second, "gradient", (1e-3, 1e-3), (1e-3, 1e-3), ok=False),
    ]
    heading, table = page.tables(results)
    assert heading == "### conv"
    rows = table.splitlines()[2:]
    assert rows[0] == (
        "| conv2d 3×3 64 channels 16² | large | 8×64×16×16, 64×64×3×3 | **2.5×** (2–3), 5 ms → 2 ms "
        "| **0.25×** (0.25–0.25), **missed** 0.333×, 1 ms → 4 ms |"
    )
    assert rows[1].endswith("| – | **failed**: fnlearn: outputs differs |")


def test_the_summary_is_the_geometric_mean_and_tells_its_target():
    halves = [measured(op, "gradient", (1e-3, 1e-3), (5e-4, 5e-4)) for op in LARGE[:5]]
    doubles = [measured(op, "gradient", (1e-3, 1e-3), (2e-3, 2e-3)) for op in LARGE[5:]]
    row = page.summary(halves + doubles).splitlines()[-1]
    assert row == "| conv | – | – | – | 1× (target 0.769× met) |"
    slow = page.summary([measured(op, "gradient", (1e-3, 1e-3), (2e-3, 2e-3)) for op in LARGE[1:]])
    assert slow.splitlines()[-1].endswith("| 0.5× (9 of 10) (target 0.769× **missed**) |")


def test_both_readmes_are_written(tmp_path, monkeypatch):
    run.save(measured(LARGE[0], "forward", (1e-3, 1e-3), (1e-3, 1e-3)), tmp_path / "results")
    (tmp_path / "ops").mkdir()
    for readme in (tmp_path / "README.md", tmp_path / "ops" / "README.md"):
        readme.write_text(f"{report.BEGIN}\n{report.END}\n")
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    report.main()
    assert "| conv | – | – | 1× (1 of 10) | – |" in (tmp_path / "README.md").read_text()
    assert "### conv\n\n| operation |" in (tmp_path / "ops" / "README.md").read_text()
    assert not list(tmp_path.rglob("*.svg"))  # the chart is that of whole trainings
