"""What is told of a run while it goes: a bar, a line of JSON for every epoch, TensorBoard, a profile."""

import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fnlearn.train.turns import Turn

__all__ = ["jsonl", "tensorboard"]

Record = dict[str, Any]
Sink = Callable[[Record], Any]
Tell = Callable[..., None]

OFTEN = 1.0  # seconds between two records, and
QUICK = 0.1  # between two moves of the bar, within an epoch
PROFILED = 10  # turns


def jsonl(path: str | os.PathLike[str]) -> Sink:
    """A log of one JSON object a line, to be read while the run goes on, as by `pandas.read_json(path, lines=True)`.

    Args: path: the file; its folder is made. What it holds stays, but for a last line that is not whole.
    Returns: a function that appends a record; numbers that are not finite are null.
    Raises: OSError when the file can't be written.
    Source: this project.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and not (held := file.read_bytes()).endswith(b"\n"):
        os.truncate(file, held.rfind(b"\n") + 1)

    def write(record: Record) -> None:
        with file.open("a") as lines:  # opened for each, so that there is nothing to close
            lines.write(json.dumps(_finite(record)) + "\n")

    return write


@contextmanager
def tensorboard(directory: str | os.PathLike[str]) -> Iterator[Sink]:
    """The scalars of a run for TensorBoard. It needs the extra `fnlearn[tensorboard]`.

        with log.tensorboard("run/tensorboard") as board:
            state, history = fit(state, step, data, epochs=10, log=board)

    Args: directory: of the run, made if it is not there.
    Returns: a context manager that gives a function, which writes a record's numbers by its step; the file is whole
        at its end, and some seconds behind before.
    Raises: ModuleNotFoundError without the extra.
    Source: `torch.utils.tensorboard.SummaryWriter`.
    """
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("TensorBoard needs an extra: pip install 'fnlearn[tensorboard]'") from error
    writer = SummaryWriter(os.fspath(directory), flush_secs=5)

    def write(record: Record) -> None:
        for name, value in record.items():
            if name not in ("time", "step") and isinstance(value, int | float):
                writer.add_scalar(name, value, record["step"], walltime=record["time"])

    try:
        yield write
    finally:
        writer.close()


@contextmanager
def watching(
    shown: bool,
    epochs: int,
    length: int | None,
    sinks: Sequence[Sink],
    tokens_per_row: int | None,
    at_peak: Callable[[Turn], float | None],
) -> Iterator[Tell]:
    """What shows and logs every look at a run.

    Args: shown: whether there is a bar. epochs: in all. length: batches of an epoch, where it is known. sinks: where
        records go. tokens_per_row: of a sequence. at_peak: (turn) → the seconds of a row at the devices' peak, where it
        is known.
    Returns: a context manager that gives tell(turn, metrics, step): its metrics, or those of the whole epoch where it
        ends, and how many steps were taken by then.
    """
    if not shown and not sinks:
        yield lambda *_: None
        return
    done = {"steps": 0, "rows": 0}  # since the last record
    gathered: list[Mapping[str, np.ndarray]] = []
    since = moved = time.monotonic()
    ideal: list[float | None] = []  # asked for once

    def tell(turn: Turn, metrics: Mapping[str, np.ndarray], step: int) -> None:
        nonlocal since, moved
        if sinks and turn.rows and not ideal:
            ideal.append(at_peak(turn))
        now = time.monotonic()
        done["steps"], done["rows"] = done["steps"] + turn.steps, done["rows"] + turn.rows
        gathered.append(metrics)
        if turn.ends or now - moved >= QUICK:
            reached = round(turn.epoch + (turn.batch / length if length else 0), 1)
            rate = _rates(done, now - since, tokens_per_row)
            shown_rate = next((f"{x:.4g} {name.removesuffix('_per_s')}/s" for name, x in reversed(rate.items())), "")
            bar.update(task, completed=reached, loss=_last(metrics["loss"]), rate=shown_rate)
            moved = now
        if turn.ends or now - since >= OFTEN:
            record = {"time": round(time.time(), 3), "step": step}
            record |= {"epoch": turn.epoch - 1} if turn.ends else {"epoch": turn.epoch, "batch": turn.batch}
            record |= _means([metrics] if turn.ends else gathered) | _rates(done, now - since, tokens_per_row)
            if ideal and ideal[0] is not None and now > since:
                record["mfu"] = done["rows"] * ideal[0] / (now - since)
            for sink in sinks:
                sink(record)
            done.update(steps=0, rows=0)
            gathered.clear()
            since = now

    with _bar(shown) as bar:
        task = bar.add_task("training", total=epochs, loss=math.nan, rate="")
        yield tell


@contextmanager
def profiled(directory: str | os.PathLike[str] | None, alone: bool) -> Iterator[Callable[[], None]]:
    """A trace of some turns of a run, without the first, which compiles, unless it is alone.

    Args: directory: where the trace goes; none is made without. alone: whether there is only one turn.
    Returns: a context manager that gives a function, to be called before each turn.
    """
    first, number, state = 0 if alone else 1, -1, "before"

    def turn() -> None:
        nonlocal number, state
        number += 1
        if directory is not None and state == "before" and number >= first:
            jax.profiler.start_trace(os.fspath(directory))
            state = "on"
        elif state == "on" and number >= first + PROFILED:
            jax.profiler.stop_trace()
            state = "after"

    try:
        yield turn
    finally:
        if state == "on":
            jax.profiler.stop_trace()
        elif directory is not None and state == "before":
            warnings.warn("there is no profile: the run ended with its first batch, which compiles", stacklevel=4)


def _bar(shown: bool) -> Progress:
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.10g}/{task.total}"),
    ]
    columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    told = TextColumn("loss {task.fields[loss]:.4g}  {task.fields[rate]}")
    return Progress(*columns, told, disable=not shown)


def _rates(done: Mapping[str, int], seconds: float, tokens_per_row: int | None) -> dict[str, float]:
    """The most telling one last."""
    counts = {**done, **({} if tokens_per_row is None else {"tokens": done["rows"] * tokens_per_row})}
    return {f"{name}_per_s": count / seconds for name, count in counts.items() if count and seconds > 0}


def _last(losses: np.ndarray) -> float:
    """The last epoch's mean, or a step's loss."""
    return float(np.mean(losses[-1] if losses.ndim == 2 else losses))


def _means(metrics: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Of every metric that is one number a step."""
    scalars = [name for name, x in metrics[0].items() if np.ndim(x) == np.ndim(metrics[0]["loss"])]
    return {name: float(np.mean([np.mean(m[name]) for m in metrics])) for name in scalars}


def _finite(record: Record) -> Record:
    return {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in record.items()}
