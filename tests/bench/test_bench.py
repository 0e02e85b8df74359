"""Standard models measured: both sides are the same model, and whatever happens leaves what was measured."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from fnlearn import bench, cli
from fnlearn.bench import jax_side, sweep, torch_side, worker
from fnlearn.bench.case import Case
from fnlearn.bench.models import MODELS

FIRST = ("notes",)
ALL = [model.name if model.name in FIRST else pytest.param(model.name, marks=pytest.mark.exhaustive)
       for model in MODELS]  # fmt: skip


@pytest.fixture(autouse=True)
def standard():
    """Torch's threads and its precision as they were: the side sets them."""
    torch = torch_side.torch
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)


@pytest.mark.parametrize("name", ALL)
def test_both_sides_train_alike(name):
    (case, *_) = bench.cases("tiny", (name,))
    (ours, told), (theirs, told_too) = jax_side.prepare(case), torch_side.prepare(case)
    assert told["parameters"] == told_too["parameters"]
    assert told["flops"] > 0
    losses = [(jax_side.wait(ours()), torch_side.wait(theirs())) for _ in range(3)]
    assert losses[0][0] == pytest.approx(losses[0][1], rel=1e-5)
    assert losses[2][0] == pytest.approx(losses[2][1], rel=1e-3)  # AdamW divides by what may be rounding alone
    assert losses[2][0] < losses[0][0]


def test_a_product_of_the_notes_network_is_counted_three_times():
    _, told = jax_side.prepare(Case("notes", "tiny", 16, "float32"))
    forward = 2 * 16 * (8 * 6 + 6 * 4 + 4 * 1)
    assert told["flops"] == 3 * forward - 2 * 16 * 8 * 6  # nothing is asked of the input's gradient


def test_the_most_telling_come_first():
    found = bench.cases("accelerator", ("mlp", "gpt"))
    assert [(case.model, case.batch, case.dtype) for case in found[:5]] == [
        ("mlp", 2048, "float32"), ("gpt", 16, "float32"), ("mlp", 2048, "bfloat16"), ("gpt", 16, "bfloat16"),
        ("mlp", 512, "float32"),
    ]  # fmt: skip
    assert len(found) == 12
    assert len(bench.cases("cpu")) == 3 * len(MODELS)
    assert bench.cases("cpu", ("vit",), (3,), ("float16",)) == [Case("vit", "cpu", 3, "float16")]


def test_the_command_measures_both_sides_and_writes_all_of_it(capsys, tmp_path):
    words = ["bench", "--models", "notes", "--scale", "tiny", "--seconds", "0.02", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as exit:
        cli.main(words)
    assert exit.value.code == 0
    out, err = capsys.readouterr()
    assert "the notes' network" in out
    assert "notes' network, batch 16, float32: compile" in err
    report = json.loads((tmp_path / "out" / "bench.json").read_text())
    (row,) = report["rows"]
    assert report["complete"]
    assert row["jax"]["loss"] == pytest.approx(row["torch"]["loss"], rel=1e-5)
    assert row["jax"]["rate"] == pytest.approx(16 / row["jax"]["seconds"]["median"])
    assert row["jax"]["compile_seconds"] > 0
    assert row["jax"]["memory_bytes"] > 3 * 4 * row["jax"]["parameters"]  # parameters and two averages
    assert row["jax"]["mfu"] is None  # a CPU's peak is not published
    assert "xla_cpu_scheduler_type" in report["machine"]["jax"]["settings"]
    assert (tmp_path / "out" / "bench.svg").read_text().startswith("<?xml")


class Broken:
    """A side that fails in one of the ways there are."""

    def __init__(self, error):
        self.error = error

    def threads(self):
        return (0,)

    def prepare(self, case, threads):
        raise self.error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), True), (MemoryError("all"), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), True), (ValueError("shape"), False),
    ],
)  # fmt: skip
def test_a_case_that_fails_is_told(error, full):
    found = worker.attempt(Broken(error), Case("notes", "tiny", 16, "float32"), 0.1)
    assert found["out_of_memory"] is full
    assert found["error"].startswith(type(error).__name__)


def test_a_step_that_a_cpu_has_no_memory_for_is_not_run():
    with pytest.raises(MemoryError, match=r"the step needs 931322574\.6 GiB"):
        worker._check(10**18, "cpu")
    worker._check(10**18, "gpu")  # which tells by itself
    worker._check(None, "cpu")


CASES = [["notes", "tiny", batch, "float32"] for batch in (1, 2, 3)]
FOUND = {"seconds": {"median": 0.5, "min": 0.4, "max": 0.6}, "loss": 1.0, "compile_seconds": 2.0, "flops": 1e6,
         "memory_bytes": 4096, "mfu": 0.25, "parameters": 87}  # fmt: skip
MACHINE = {"platform": "cpu", "device": "cpu", "jax": "0", "torch": "2", "threads": 1}


def told(monkeypatch, *processes):
    """A sweep whose processes tell what they are told to; what each was asked for."""
    asked, left = [], list(processes)

    def events(request, deadline):
        asked.append((request["side"], request["cases"] and list(request["cases"])))
        for event in left.pop(0):
            if isinstance(event, BaseException):
                raise event
            yield event

    monkeypatch.setattr(sweep, "_events", events)
    return asked


def test_a_process_that_dies_ends_one_case_alone(monkeypatch):
    begun = [{"machine": MACHINE, "cases": CASES}, {"begin": CASES[0]}, {"result": FOUND}, {"begin": CASES[1]}]
    killed = {"end": sweep._ending(-signal.SIGKILL, "")}
    rest = [{"machine": MACHINE, "cases": CASES[2:]}, {"begin": CASES[2]}, {"result": FOUND}, {"end": "status 0"}]
    asked = told(monkeypatch, [*begun, killed], rest)
    report = bench.run(["notes"], torch=False)
    assert asked == [("jax", None), ("jax", CASES[2:])]
    assert [row["jax"].get("out_of_memory") for row in report["rows"]] == [None, True, None]
    shown = Console(width=200)
    with shown.capture() as text:
        shown.print(bench.table(report))
    assert "out of memory" in text.get()
    assert "25.0%" in text.get()
    assert "500 ms (400–600)" in text.get()


def test_an_interrupt_leaves_what_was_measured(monkeypatch, tmp_path):
    told(
        monkeypatch, [{"machine": MACHINE, "cases": CASES}, {"begin": CASES[0]}, {"result": FOUND}, KeyboardInterrupt()]
    )
    report = bench.run(["notes"], torch=True, told=lambda report: bench.save(report, tmp_path))
    assert report["interrupted"]
    assert len(json.loads((tmp_path / "bench.json").read_text())["rows"]) == 1
    assert "25" in bench.line(report["rows"][0])


def test_what_there_was_no_time_for_is_told(monkeypatch):
    ended = [{"machine": MACHINE, "cases": CASES}, {"begin": CASES[0]}, {"result": FOUND}, {"begin": CASES[1]}]
    told(monkeypatch, [*ended, {"end": "killed"}])
    report = bench.run(["notes"], torch=False, minutes=1e-9)
    assert not report["complete"]
    assert [row["jax"].get("error") for row in report["rows"]] == [None, sweep.TIME, sweep.TIME]


def test_a_side_on_another_device_is_not_compared(monkeypatch):
    gpu = MACHINE | {"platform": "gpu"}
    ours = [{"machine": gpu, "cases": CASES[:1]}, {"begin": CASES[0]}, {"result": FOUND}, {"end": ""}]
    told(monkeypatch, ours, [{"machine": MACHINE, "cases": CASES[:1]}])
    report = bench.run(["notes"], torch=True)
    assert report["notes"] == ["PyTorch computes on cpu here and JAX on gpu: they are not compared"]
    assert "torch" not in report["rows"][0]


def test_a_side_that_can_not_start_is_told(monkeypatch):
    told(monkeypatch, [{"end": "the process ended with status 1: ImportError: no jaxlib"}])
    with pytest.raises(RuntimeError, match=r"jax can't be measured: .*no jaxlib"):
        bench.run(["notes"], torch=False)


def test_a_process_is_stopped_when_the_time_is_up():
    request: dict = {"side": "jax", "cases": None, "scale": "tiny", "options": [[], [], []], "seconds": 60}
    *_, last = sweep._events(request, time.monotonic())
    assert "killed" in last["end"]


@pytest.mark.exhaustive
def test_an_interrupt_from_a_keyboard_leaves_files_and_no_process(tmp_path):
    command = [sys.executable, "-m", "fnlearn", "bench", "--scale", "tiny", "--no-torch", "--out", str(tmp_path)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )
    assert process.stderr is not None
    assert "notes' network" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in out
    assert json.loads((tmp_path / "bench.json").read_text())["rows"][0]["jax"]["loss"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--models", "bert"], "there is no model bert; the models are notes, mlp"),
        (["--dtypes", "int8"], "dtypes must be among float32, bfloat16, float16, got int8"),
        (["--batches", "0"], "batch sizes must be at least 1, got 0"),
        (["--minutes", "0"], "minutes and seconds must be positive"),
        (["--out", "/dev/null/out", "--models", "notes"], "/dev/null/out: Not a directory"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit:
        cli.main(["bench", *words])
    assert exit.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_without_torch_jax_is_measured_alone(monkeypatch):
    monkeypatch.setattr(sweep.importlib.util, "find_spec", lambda name: None)
    ours = [{"machine": MACHINE, "cases": CASES[:1]}, {"begin": CASES[0]}, {"result": FOUND}, {"end": ""}]
    assert told(monkeypatch, ours) == []
    assert "pip install torch==2.13.0" in bench.run(["notes"])["notes"][0]


def test_where_both_sides_start_from():
    assert (jax_side.start("a.weight", (3,)) == 1).all()
    assert (jax_side.start("a.bias", (3,)) == 0).all()
    drawn = jax_side.start("a.weight", (64, 100))
    assert drawn.std() == pytest.approx(1 / math.sqrt(100), rel=0.05)
    assert (drawn != jax_side.start("b.weight", (64, 100))).any()
