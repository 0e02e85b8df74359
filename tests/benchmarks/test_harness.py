import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from rich.console import Console

from benchmarks import harness, machine, report, run
from benchmarks.harness import Case, Side, measure

ROOT = Path(__file__).parents[2]
MACHINE = {
    "cpu": "a processor", "cores": 2, "jax_devices": ["cpu"], "jax_threads": 2, "torch_device": "cpu",
    "torch_threads_tried": [1, 2], "xla_flags": "", "python": "3", "jax": "0",
    "jaxlib": "0", "torch": "2", "numpy": "2",
}  # fmt: skip


@pytest.fixture(autouse=True)
def restored():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def fake(name, outputs=(1.0, 0.5), log=None, error=None):
    """A side that returns what it is told to and notes each call."""

    def prepare():
        def work(units):
            if error is not None:
                raise error
            if log is not None:
                log.append((name, units, torch.get_num_threads()))
            return torch.tensor(outputs) if name != "fnlearn" else np.array(outputs, np.float32)

        return work

    return Side(name, {"form": prepare}, units=100)


def case(*sides, target=2.0):
    return Case("a_case", "a case", "epoch", target, sides, compared=7, rounds=4)


def test_the_sides_are_timed_in_turn():
    log: list[tuple] = []
    measure(case(*(fake(name, log=log) for name in ("eager", "compiled", "fnlearn"))), rounds=3, quick=True)
    last = [(name, units) for name, units, _ in log][-9:]
    assert last == [("eager", 1), ("compiled", 1), ("fnlearn", 1)] * 3


def test_a_case_has_its_own_number_of_rounds():
    sides = fake("eager"), fake("fnlearn")
    assert [measure(case(*sides), rounds, quick=True)["rounds"] for rounds in (None, 2)] == [4, 2]


def test_only_what_is_seen_of_the_outputs_is_compared():
    sides = fake("eager"), fake("fnlearn", (2.0, 0.5))
    assert not measure(case(*sides), 1, quick=True)["ok"]
    assert measure(case(*sides)._replace(seen=lambda outputs: outputs[1:]), 1, quick=True)["ok"]


def test_every_thread_count_is_tried_and_the_fastest_kept(monkeypatch):
    monkeypatch.setattr(machine, "thread_counts", lambda: [1, 2])
    monkeypatch.setattr(harness, "_seconds", lambda run, units, calls=1: units / torch.get_num_threads())
    log: list[tuple] = []
    found = measure(case(fake("eager", log=log), fake("fnlearn")), rounds=1)["sides"]
    assert [(tried["threads"], tried["seconds"]) for tried in found["eager"]["tried"]] == [(1, 1.0), (2, 0.5)]
    assert found["eager"]["threads"] == 2
    assert log == [("eager", 7, 2)]  # the one that is compared


def test_the_fastest_form_is_kept_and_a_failing_one_is_recorded(monkeypatch):
    monkeypatch.setattr(machine, "thread_counts", lambda: [1])
    speed = {"slow": 3.0, "fast": 2.0}
    forms = {form: lambda form=form: partial(lambda form, units: torch.ones(units), form) for form in speed}
    forms["broken"] = fake("compiled", error=RuntimeError("no compiler\nand a long story")).forms["form"]

    def seconds(run, units, calls=1):
        return speed[run.args[0]] * units if isinstance(run, partial) else float(run(units).sum())

    monkeypatch.setattr(harness, "_seconds", seconds)
    best, tried = harness._fastest(Side("compiled", forms, units=4), shortest=0.1)
    assert best is not None
    assert (best.form, best.seconds) == ("fast", 2.0)
    assert [record.get("error") for record in tried] == [None, None, "RuntimeError: no compiler"]


def test_medians_spread_and_ratio():
    slow, fast = [4.0, 2.0, 6.0, 8.0, 10.0], [1.0, 1.0, 2.0, 2.0, 2.0]
    summary = harness._summary(slow)["seconds"]
    assert summary == {"min": 2.0, "quartile1": 4.0, "median": 6.0, "quartile3": 8.0, "max": 10.0}
    assert harness._ratio(slow, fast) == {"median": 3.0, "min": 2.0, "max": 5.0}
    assert harness._summary([1.0])["seconds"]["quartile3"] == 1.0


@pytest.mark.parametrize(("target", "met"), [(3.0, True), (3.1, False), (None, None)])
def test_the_ratio_is_that_to_the_faster_pytorch_side(target, met):
    sides = (fake("eager"), fake("compiled"), fake("fnlearn"))
    times = {"eager": [9.0, 9.0], "compiled": [6.0, 6.0], "fnlearn": [2.0, 2.0]}
    found = {name: harness._summary(seconds) for name, seconds in times.items()}
    verdict = harness._verdict(case(*sides, target=target), found, times)
    assert (verdict["ratio"]["against"], verdict["ratio"]["median"], verdict["met"]) == ("compiled", 3.0, met)


@pytest.mark.parametrize("wrong", ["compiled", "fnlearn"])
@pytest.mark.parametrize("outputs", [(1.0, 0.6), (1.0, 0.5, 0.25), (1.0, float("nan"))])
def test_other_outputs_fail_the_case(wrong, outputs):
    sides = (fake(name, outputs if name == wrong else (1.0, 0.5)) for name in ("eager", "compiled", "fnlearn"))
    result = measure(case(*sides), rounds=1, quick=True)
    assert not result["ok"]
    assert [failure.split(":")[0] for failure in result["failures"]] == [wrong]
    assert "**failed**" in report.cells(result)
    json.dumps(result, allow_nan=False)


def test_torch_compile_may_be_missing_but_the_others_may_not():
    broken = RuntimeError("no compiler")
    without = measure(case(fake("eager"), fake("compiled", error=broken), fake("fnlearn")), rounds=2, quick=True)
    assert (without["ok"], without["ratio"]["against"]) == (True, "eager")
    failed = measure(case(fake("eager"), fake("compiled"), fake("fnlearn", error=broken)), rounds=2, quick=True)
    assert failed["failures"] == ["fnlearn: RuntimeError: no compiler"]
    assert len(report.cells(failed)) == len(report.COLUMNS)


class Interrupting:
    """A side's work that is interrupted at its last call."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self, units):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return np.array([1.0, 0.5], np.float32)


def interrupted(calls):
    return Side("fnlearn", {"form": lambda: Interrupting(calls)}, units=1)


FIRST = 6  # calls until the first round: two to warm up, three trials, one to compare


def test_an_interrupt_keeps_the_rounds_that_are_over():
    result = measure(case(fake("eager"), interrupted(FIRST + 3)), rounds=5, quick=True)
    assert (result["rounds"], result["complete"]) == (2, False)
    assert [len(side["rounds"]) for side in result["sides"].values()] == [2, 2]
    with pytest.raises(KeyboardInterrupt):
        measure(case(fake("eager"), interrupted(FIRST + 1)), rounds=5, quick=True)


def test_finished_cases_survive_an_interrupt(tmp_path):
    good = case(fake("eager"), fake("fnlearn"))
    bad = case(fake("eager"), interrupted(3))._replace(name="bad")
    results, status = run.run([good, bad, good], 2, True, tmp_path, Console(quiet=True))
    assert (len(results), status) == (1, 130)
    assert [path.name for path in tmp_path.iterdir()] == ["a_case.json"]


def test_results_come_back_from_json_and_partial_ones_never_replace_complete_ones(tmp_path):
    result = measure(case(fake("eager"), fake("compiled"), fake("fnlearn")), rounds=2, quick=True)
    path = run.save(result, tmp_path)
    assert report.load(tmp_path) == [result]
    assert run.save(result | {"complete": False}, tmp_path) is None
    partial = result | {"complete": False, "case": "other", "file": "other"}
    run.save(partial, tmp_path)
    assert report.load(tmp_path) == [result, partial]
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "other.json"]


def test_cases_that_share_a_file_keep_their_own_results(tmp_path):
    first, second = (told(name) | {"file": "shared"} for name in ("ops_a", "ops_b"))
    for result in (first, second, first | {"rounds": 3}, second | {"complete": False}):
        run.save(result, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shared.json"]
    assert report.load(tmp_path) == [first | {"rounds": 3}, second]


def told(name="a_case", times=((4e-3, 5e-3), (2e-3, 3e-3), (1e-6, 1e-6))):
    names = ("eager", "compiled", "fnlearn")
    seconds = dict(zip(names, map(list, times), strict=True))
    agreement = {"same": True, "verdict": "close", "max_abs": 1e-7, "last": 0.25}
    found = {
        name: {"form": "step", "threads": 1, "compile_seconds": 1.5} | agreement | harness._summary(seconds[name])
        for name in names
    }
    result = {"case": name, "file": name, "title": "a case", "unit": "epoch", "target": 400}
    result |= {"rounds": 2, "complete": True}
    verdict = harness._verdict(case(*map(fake, names), target=400), found, seconds)
    return result | {"machine": MACHINE, "sides": found} | verdict


def test_the_table_says_all_of_a_case():
    header, _, row = report.table([told()]).splitlines()
    assert header.count("|") == row.count("|") == len(report.COLUMNS) + 1
    for text in ("4.5 ms/epoch", "2.5 ms/epoch", "1 µs/epoch", "**2,500×**", "400× met", "0.25, 0.25", "1.5 s"):
        assert text in row
    assert report._machine(MACHINE).startswith("a processor, 2 cores")
    assert report.rich_table([told()]).row_count == 1


def test_the_readme_is_rewritten_between_its_markers(tmp_path, monkeypatch):
    results = tmp_path / "results"
    run.save(told(), results)
    run.save(told("another"), results / "gpu")
    (tmp_path / "README.md").write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(report, "RESULTS", results)
    report.main()
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    text = first[tmp_path / "README.md"].decode()
    assert text.startswith(f"before\n{report.BEGIN}")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert re.findall(r"\((results/.*svg)\)", text) == ["results/ratios.svg", "results/gpu/ratios.svg"]
    report.main()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first
    with pytest.raises(ValueError, match="must hold"):
        report.insert("no markers", "")


def test_cases_are_chosen_by_name_or_its_beginning():
    assert [case.name for case in run.select(["lesson_d_fullbatch", "lesson_d"])] == [
        "lesson_d_fullbatch",
        "lesson_d_minibatch",
    ]
    assert {case.name for case in run.select(["ops_matmul_linear"])} == {
        f"ops_matmul_linear_{size}_{way}" for size in ("small", "large") for way in ("forward", "gradient")
    }
    assert len(run.select([])) == sum(map(len, run.families().values()))
    for name in ("lesson_z", "less"):
        with pytest.raises(ValueError, match=rf"no case {name}; there are .*lesson_b.*ops_conv"):
            run.select([name])


def test_bad_input_is_told_in_one_line(capsys):
    assert run.main(("lesson_z",)) == 2
    assert run.main((), rounds=0) == 2
    assert "--rounds must be at least 1" in capsys.readouterr().err


CASES = {case.name: case for name, family in run.families().items() if name.startswith("lesson") for case in family}


@pytest.mark.parametrize("name", CASES)
def test_both_sides_of_a_case_compute_the_same(name):
    chosen = CASES[name]
    assert [side.name for side in chosen.sides] == ["eager", "compiled", "fnlearn"]
    (eager,), (fnlearn,) = (chosen.sides[0].forms.values(), chosen.sides[2].forms.values())
    assert chosen.reference is not None
    found = harness._compared(eager()(3), jax.block_until_ready(fnlearn()(3)), chosen.reference()(3))
    assert found["same"], found


def test_every_family_has_both_sides():
    for family in run.families():
        assert {path.name for path in (run.HERE / family).glob("*.py")} >= {"torch_side.py", "jax_side.py"}


def test_settings_are_made_before_anything_is_computed():
    code = "import benchmarks.run as run; run.families(); run.prepare(); print(run.machine.description()['settings'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "ran already" not in done.stdout
