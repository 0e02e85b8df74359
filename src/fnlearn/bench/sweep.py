"""A sweep: both sides in processes of their own, one after the other, with what is found told as it comes."""

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fnlearn.bench.case import Case, Result, cases, model_of

SHARE = 0.7  # of the time, for JAX, where PyTorch comes after it: compiling takes the most
TIME = "not measured: the time was up"

Told = Callable[[Result], Any]


def run(
    models: Sequence[str] = (),
    batches: Sequence[int] = (),
    dtypes: Sequence[str] = (),
    *,
    scale: str | None = None,
    torch: bool = True,
    minutes: float = 5.0,
    seconds: float = 1.0,
    told: Told = lambda report: None,
) -> Result:
    """Measure training steps of standard models on the device that is there, and in PyTorch beside.

    Args: models: names of `MODELS`; all when left out. batches: rows of a batch; each model's own when left out.
        dtypes: "float32", "bfloat16", "float16"; the first, and on an accelerator the second, when left out. scale:
        the models' size, "tiny", "cpu" or "accelerator"; as the device is when left out. torch: whether PyTorch is
        measured too, where it is installed. minutes: after which nothing more is measured. seconds: how long
        each step is measured, about. told: called with the report so far whenever something was found or begins.
    Returns: plain data: "machine", "rows", each a case with what "jax" and "torch" found, "now" (what is going on),
        "complete" (nothing was left for want of time), "interrupted", "notes".
    Raises: ValueError for a model, batch size, dtype or number that is not possible; RuntimeError when a side can't
        start at all.
    Source: `torch.utils.benchmark`.
    """
    cases(scale or "cpu", tuple(models), tuple(batches), tuple(dtypes))  # the errors of a bad name, before all else
    if minutes <= 0 or seconds <= 0:
        raise ValueError(f"minutes and seconds must be positive, got {minutes} and {seconds}")
    there = importlib.util.find_spec("torch") is not None
    missing = ["PyTorch is not installed, so JAX ran alone; to compare: pip install torch==2.13.0"]
    begin = time.monotonic()
    report: Result = {"machine": {}, "rows": [], "now": "starting JAX", "complete": False, "interrupted": False,
                      "notes": missing if torch and not there else []}  # fmt: skip
    told(report)
    options = [list(models), list(batches), list(dtypes)]
    try:
        deadline = begin + 60 * minutes * (SHARE if torch and there else 1.0)
        _measure(report, "jax", {"scale": scale, "options": options, "cases": None}, deadline, seconds, told)
        if torch and there:
            done = [row["case"] for row in report["rows"] if "seconds" in row["jax"]]
            report["now"] = "starting PyTorch"
            told(report)
            if done:
                _measure(report, "torch", {"cases": done}, begin + 60 * minutes, seconds, told)
        report["complete"] = not any(found.get("error") == TIME for row in report["rows"] for found in _found(row))
    except KeyboardInterrupt:
        report["interrupted"] = True
    report["now"] = ""
    told(report)
    return report


def _found(row: Mapping[str, Any]) -> list[Result]:
    return [row[side] for side in ("jax", "torch") if side in row]


def _measure(report: Result, side: str, request: Result, deadline: float, seconds: float, told: Told) -> None:
    """One side of all cases; where its process dies another goes on with the case that follows."""
    todo: list[Any] | None = request["cases"]
    while todo is None or todo:
        underway: Any = None
        errors = ""
        for event in _events(request | {"side": side, "seconds": seconds, "cases": todo}, deadline):
            if "machine" in event:
                report["machine"][side] = event["machine"]
                todo = list(event["cases"]) if todo is None else todo
                if other := _other_platform(report):
                    report["notes"].append(other)
                    return
            elif "begin" in event:
                underway = event["begin"]
                report["now"] = f"{'JAX' if side == 'jax' else 'PyTorch'}: {_title(underway)}"
            elif "result" in event:
                assert todo is not None
                _add(report, side, todo.pop(0), event["result"])
                underway = None
            else:
                errors = event["end"]
            told(report)
        if todo is None:
            raise RuntimeError(f"{side} can't be measured: {errors}")
        if time.monotonic() >= deadline:
            for case in todo:
                _add(report, side, case, {"error": TIME, "out_of_memory": False})
            return
        if underway is not None:
            killed = "killed" in errors
            _add(report, side, todo.pop(0), {"error": errors, "out_of_memory": killed})
        elif todo:
            raise RuntimeError(f"{side} can't be measured any more: {errors}")


def _events(request: Result, deadline: float) -> Iterator[Result]:
    """What a process of its own tells, and last how it ended."""
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "fnlearn.bench.worker"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )  # an interrupt is this process's to answer
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), process.kill)
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # it may be dead already
                process.stdin.write(json.dumps(request))
                process.stdin.close()
            for line in process.stdout:
                yield json.loads(line)
            status = process.wait()
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["no reason was told"])[-1]
            yield {"end": _ending(status, last)}
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _ending(status: int, last: str) -> str:
    if status == -signal.SIGKILL:
        return "the process was killed, as systems do when memory is out"
    return f"the process ended with status {status}: {last[:200]}"


def _other_platform(report: Result) -> str | None:
    ours, theirs = (report["machine"].get(side, {}).get("platform") for side in ("jax", "torch"))
    if theirs is None or ours == theirs:
        return None
    return f"PyTorch computes on {theirs} here and JAX on {ours}: they are not compared"


def _title(case: Sequence[Any]) -> str:
    made = Case(*case)
    return f"{model_of(made)[0].title}, batch {made.batch}, {made.dtype}"


def _add(report: Result, side: str, case: Sequence[Any], found: Result) -> None:
    """What a side found, in the row of its case."""
    made = Case(*case)
    row = next((row for row in report["rows"] if tuple(row["case"]) == tuple(case)), None)
    if row is None:
        model, size = model_of(made)
        tokens = model.tokens(size) if model.tokens else None
        row = {"case": list(case), **made._asdict(), "title": model.title, "size": dict(size),
               "unit": "tokens" if tokens else "samples", "units": made.batch * (tokens or 1)}  # fmt: skip
        report["rows"].append(row)
    if "seconds" in found:
        found = found | {"rate": row["units"] / found["seconds"]["median"]}
    row[side] = found
