"""Memory, and the share of the peak: `python -m benchmarks.train [NAME ...] [--threads N ...] [--quick] [--out FILE]`.

Each side of each model has a process of its own, whose greatest resident memory before and after the steps is told; on
a GPU that of the device instead. The share of the peak is stated where it is published, with the operations of the
products that the model has, counted once for all sides.
"""

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import jax
import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.run import prepare
from benchmarks.train import case, jax_side
from benchmarks.train.models import ROWS, SWEEPS, Row, weights
from fnlearn import files
from fnlearn.train import device

STEPS = 5
Names = Annotated[tuple[str, ...], tyro.conf.Positional]


def main(names: Names = (), /, threads: tuple[int, ...] = (), quick: bool = False, out: Path | None = None) -> int:
    """Measure each side of each model in a process of its own.

    Args:
        names: Models (train_mlp), else all.
        threads: How many a processor computes with, each number measured apart; one a core when left out.
        quick: One step, to see that it runs; without --out nothing is written.
        out: The file of results, benchmarks/train/memory.json when left out.
    """
    log, found = Console(stderr=True), []
    rows = [row for row in (*ROWS, *SWEEPS) if not names or row.name in names]
    if not rows:
        log.print(f"benchmarks: there is no model {names[0]}; there are {', '.join(row.name for row in ROWS + SWEEPS)}")
        return 2
    path = out or (None if quick else Path(__file__).with_name("memory.json"))
    machine.configured()  # as each of the processes does, so that the description is theirs
    try:
        for row, count in itertools.product(rows, threads or (machine.cores(),)):
            for side in case(row, others=row in ROWS).sides:
                log.print(f"{row.name}: {side.name}, {count} threads")
                about = {"case": row.name, "title": row.title, "side": side.name, "threads": count}
                found.append(about | _apart(row, side.name, count, quick))
                if path is not None:
                    with files.replacing(path) as temporary:
                        told = {"machine": machine.description(), "rows": found}
                        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    except KeyboardInterrupt:
        log.print("interrupted: what was measured follows")
    Console(width=120).print(table(found))
    return int(any("error" in each for each in found))


def _apart(row: Row, side: str, threads: int, quick: bool) -> dict[str, Any]:
    """What a process of its own finds."""
    call = f"one({row.name!r}, {side!r}, {threads}, {quick})"
    command = [sys.executable, "-c", f"from benchmarks.train.__main__ import one; {call}"]
    pool = os.environ | {"PJRT_NPROC": str(threads)}  # XLA's, which it starts with the process
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=pool)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:200]}
    return json.loads(done.stdout.splitlines()[-1])


def one(name: str, side_name: str, threads: int, quick: bool) -> None:
    """Measure here, and print what was found as JSON."""
    row = next(row for row in (*ROWS, *SWEEPS) if row.name == name)
    side = next(side for side in case(row, others=row in ROWS).sides if side.name == side_name)
    prepare()
    torch.set_num_threads(threads)
    weights(row)
    before = _resident()
    run = next(iter(side.forms.values()))()
    first = _seconds(run, 1)
    steps = 1 if quick else STEPS
    seconds = statistics.median(_seconds(run, steps) for _ in range(3)) / steps
    found: dict[str, Any] = {"first_seconds": first, "step_seconds": seconds, "resident_bytes": _resident() - before}
    found["device_bytes"] = _device_bytes(side.in_torch)
    flops = device.product_flops(jax_side.prepared(row)[0], jax_side.begin(weights(row)), jax_side.prepared(row)[1])
    print(json.dumps(found | {"mfu": device.mfu(flops, seconds)}))


def _seconds(run: Any, steps: int) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(run(steps))
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _resident() -> int:
    """The most so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _device_bytes(in_torch: bool) -> int | None:
    if in_torch:
        return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def table(found: list[dict[str, Any]]) -> Table:
    """What was found, a row for each side."""
    made = Table()
    for name in ("model", "side", "threads", "first step", "step", "memory", "of peak"):
        made.add_column(name)
    for each in found:
        if "error" in each:
            made.add_row(each["title"], each["side"], str(each["threads"]), each["error"])
            continue
        memory = each["device_bytes"] or each["resident_bytes"]
        share = "–" if each["mfu"] is None else f"{each['mfu']:.1%}"
        times = f"{each['first_seconds']:.2f} s", f"{each['step_seconds'] * 1e3:.1f} ms"
        made.add_row(each["title"], each["side"], str(each["threads"]), *times, f"{memory / 2**20:.0f} MiB", share)
    return made


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.train"))
