"""A process that measures one side, so that its memory is its own and a case that kills it ends nothing else.

It reads a request from its standard input and writes one JSON object a line: the machine with the cases to come, and
then each case as it begins and as it ends.
"""

import gc
import json
import os
import statistics
import sys
import time
from typing import Any

from fnlearn import cpu
from fnlearn.bench.case import Case, Result, cases

WINDOWS = 5  # measurements, of whose times the median is told
COMPARED = 3  # steps after which the losses of both sides are told


def main() -> None:
    """Measure what the request asks for."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print goes to the errors

    def tell(**event: Any) -> None:
        print(json.dumps(event), file=lines, flush=True)

    request = json.loads(sys.stdin.read())
    settings = str(cpu.configure_cpu())  # before JAX's backend starts; this process is the benchmark's own
    side = _side(request["side"])
    machine = side.describe() | ({"settings": settings} if request["side"] == "jax" else {})
    if request["cases"] is None:
        scale = request["scale"] or ("cpu" if machine["platform"] == "cpu" else "accelerator")
        todo = cases(scale, *map(tuple, request["options"]))
    else:
        todo = [Case(*case) for case in request["cases"]]
    tell(machine=machine, cases=todo)
    for case in todo:
        tell(begin=case)
        tell(result=attempt(side, case, request["seconds"]))
        gc.collect()


def _side(name: str) -> Any:
    if name == "torch":
        from fnlearn.bench import torch_side

        return torch_side
    from fnlearn.bench import jax_side

    return jax_side


def attempt(side: Any, case: Case, seconds: float) -> Result:
    """A case measured, or why it could not be.

    Args: side: `jax_side` or `torch_side`. case: what to compute. seconds: how long it is measured, about.
    Returns: what was found, or "error" with the reason and "out_of_memory".
    Raises: nothing but what ends the process.
    """
    try:
        return measure(side, case, seconds)
    except Exception as error:  # one case that fails leaves the others to be measured
        lines = str(error).strip().splitlines() or [""]
        full = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
        full = full or type(error).__name__ == "OutOfMemoryError"
        return {"error": f"{type(error).__name__}: {lines[0][:200]}", "out_of_memory": full}


def measure(side: Any, case: Case, seconds: float) -> Result:
    """Compile a step, run it some times, and time it; with the number of threads that is fastest.

    Args: side: `jax_side` or `torch_side`. case: what to compute. seconds: how long it is measured, about.
    Returns: seconds a step (median, least, greatest), the loss after three, and what the side tells of it.
    Raises: what the side raises; MemoryError where a CPU has less than the step is known to need.
    """
    tried = []
    for threads in (choices := side.threads()):
        run, told = side.prepare(case, threads)
        _check(told.get("memory_bytes"), side.describe()["platform"])
        tried.append(told | _timed(side, run, seconds / len(choices)))
        tried[-1] |= side.afterwards(case, tried[-1])
    return min(tried, key=lambda found: found["seconds"]["median"])


def _timed(side: Any, run: Any, seconds: float) -> Result:
    losses: list[float] = []
    once = 0.0
    while len(losses) < COMPARED:
        begin = time.perf_counter()
        losses.append(side.wait(run()))
        once = time.perf_counter() - begin
    count = max(1, round(seconds / WINDOWS / once))
    windows = 2 if once > seconds else WINDOWS
    times = [_window(side, run, count) for _ in range(windows)]
    spread = {"median": statistics.median(times), "min": min(times), "max": max(times)}
    return {"seconds": spread, "loss": losses[-1]}


def _window(side: Any, run: Any, count: int) -> float:
    """Seconds a step, of so many one after the other."""
    begin = time.perf_counter()
    for _ in range(count):
        loss = run()
    side.wait(loss)
    return (time.perf_counter() - begin) / count


def _check(needed: int | None, platform: str) -> None:
    """A CPU that has less memory would end the process, and others with it."""
    if platform != "cpu" or needed is None:
        return
    try:
        there = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return
    if needed > there:
        raise MemoryError(f"the step needs {needed / 2**30:.1f} GiB, {there / 2**30:.1f} GiB are free")


if __name__ == "__main__":
    main()
