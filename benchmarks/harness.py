"""What a benchmark case is, and how its sides are measured.

A case is plain data. Each of its sides (PyTorch eager, torch.compile, fnlearn) does the same work from the same start
and returns what it computed, so that a fast wrong answer shows. A side may be written in several forms and, in PyTorch,
run with several thread counts: all are tried, and the fastest stands for the side.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import torch

from benchmarks import machine
from fnlearn.equivalence import compare
from fnlearn.tree import as_numpy

Run = Callable[[int], Any]  # so many units of work, from the same start each time → all losses (or other outputs)
Prepare = Callable[[], Run]  # everything that is done once: data, weights, jax.jit, torch.compile
Result = dict[str, Any]  # plain data, as it is written to JSON

PATIENCE = 3.0  # seconds after which a trial that is slow is measured no more
MAY_FAIL = "compiled"  # torch.compile needs a compiler, which not every machine has
TRIALS = 3  # measurements of each form before the fastest is kept


class Side(NamedTuple):
    """One way to do a case's work.

    Args: name: "eager", "compiled", "fnlearn", or another that is timed beside them. forms: how it may be written; the
        fastest is kept. units: of work in one call, few where each is launched from Python, many where one call does
        them all. compiles: whether the first call compiles. answers: whether its outputs must be those of the
        reference.
    """

    name: str
    forms: Mapping[str, Prepare]
    units: int
    compiles: bool = True
    answers: bool = True

    @property
    def in_torch(self) -> bool:
        """Whether the number of PyTorch's threads matters to it."""
        return self.name in ("eager", "compiled")


def everything(outputs: Any) -> Any:
    """What most cases compare."""
    return outputs


class Case(NamedTuple):
    """Work that all sides do.

    Args: name: of its file in `results`. title: for the table. unit: of work: "epoch", "step", "call". target: how many
        times faster than the faster PyTorch side fnlearn should be. sides: "eager" first, the reference for outputs.
        reference: eager in float64, the yardstick for rounding. compared: units after which outputs are compared.
        rounds: how often each side is timed. shortest: seconds a measurement lasts at least, so that the clock and the
        scheduler don't matter. seen: what of the outputs is compared. file: of `results`, which cases may share.
    """

    name: str
    title: str
    unit: str
    target: float | None
    sides: tuple[Side, ...]
    reference: Prepare | None = None
    compared: int = 20
    rounds: int = 15
    shortest: float = 0.1
    seen: Callable[[Any], Any] = everything
    file: str = ""


class Trial(NamedTuple):
    """A form of a side that ran: `seconds` are per unit of work, `first` is the first call's, with so many units."""

    form: str
    threads: int
    run: Run
    units: int
    calls: int
    first: float
    seconds: float


Tick = Callable[[str, float], None]  # what is going on, and the share that is done


def measure(
    case: Case, rounds: int | None = None, quick: bool = False, tick: Tick = lambda stage, share: None
) -> Result:
    """Try every form, compare the outputs of the fastest, and time them in turn, round by round.

    Args: case: what to measure. rounds: how often each side is timed, the case's own number when left out. quick: a
        hundredth of the work, to see that it runs. tick: told of the progress.
    Returns: all that was found; "complete" is False when an interrupt ended it after some rounds.
    Raises: KeyboardInterrupt when interrupted before the first round was over.
    """
    rounds = rounds or case.rounds
    torch.compiler.reset()  # else cases that share code count as recompilations of it, of which there may be eight
    chosen: dict[str, Trial] = {}
    found: dict[str, Result] = {}
    for side in case.sides:
        tick(f"{case.name}: trying {side.name}", 0.0)
        side = side._replace(units=max(1, side.units // 100)) if quick else side
        best, tried = _fastest(side, 0.0 if quick else case.shortest)
        found[side.name] = {"units": side.units, "tried": tried}
        if best is not None:
            chosen[side.name] = best
            found[side.name] |= _description(side, best)
    tick(f"{case.name}: comparing", 0.0)
    for name, agreement in _agreement(case, chosen).items():
        found[name] |= agreement
    times = _interleaved(chosen, rounds, case.name, tick)
    for name, seconds in times.items():
        found[name] |= _summary(seconds)
    result: Result = {"case": case.name, "title": case.title, "unit": case.unit, "target": case.target, "quick": quick}
    result |= {"file": case.file or case.name, "compared": case.compared}
    result |= {"rounds": min(map(len, times.values()), default=0)}
    result |= {"complete": result["rounds"] == rounds, "machine": machine.description(), "sides": found}
    return result | _verdict(case, found, times)


def _fastest(side: Side, shortest: float) -> tuple[Trial | None, list[Result]]:
    """The fastest of all forms and thread counts, and a record of each, with the reason where one fails."""
    trials: list[Trial] = []
    tried: list[Result] = []
    for form, prepare in side.forms.items():
        for threads in machine.thread_counts() if side.in_torch else [machine.cores()]:
            record: Result = {"form": form, "threads": threads}
            try:
                trial = _trial(side, form, prepare, threads, shortest)
            except Exception as error:  # any failure of one form leaves the others to be measured
                tried.append(record | {"error": _reason(error)})
                continue
            trials.append(trial)
            tried.append(record | {"seconds": trial.seconds, "first_call_seconds": trial.first})
    return min(trials, key=lambda trial: trial.seconds, default=None), tried


def _trial(side: Side, form: str, prepare: Prepare, threads: int, shortest: float) -> Trial:
    begin = time.perf_counter()
    _use(threads, side.in_torch)
    run = prepare()
    first, steady = _seconds(run, side.units), _seconds(run, side.units)
    calls = max(1, round(shortest / max(steady, 1e-9)))
    times: list[float] = []
    while len(times) < TRIALS and (not times or time.perf_counter() - begin - first < PATIENCE):
        times.append(_seconds(run, side.units, calls) / side.units)
    return Trial(form, threads, run, side.units, calls, first, statistics.median(times))


def _interleaved(chosen: dict[str, Trial], rounds: int, name: str, tick: Tick) -> dict[str, list[float]]:
    """Seconds per unit of every side in every round; an interrupt keeps the rounds that are over."""
    times: dict[str, list[float]] = {side: [] for side in chosen}
    for done in range(rounds):
        tick(f"{name}: round {done + 1} of {rounds}", done / rounds)
        latest = {}
        try:
            for side, trial in chosen.items():
                _use(trial.threads, side in ("eager", "compiled"))
                latest[side] = _seconds(trial.run, trial.units, trial.calls) / trial.units
        except KeyboardInterrupt:
            if not done:
                raise
            break
        for side, seconds in latest.items():
            times[side].append(seconds)
    return times


def _seconds(run: Run, count: int, calls: int = 1) -> float:
    """Of one call, from its start until its result is there."""
    begin = time.perf_counter()
    for _ in range(calls):
        jax.block_until_ready(run(count))
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) / calls


def _use(threads: int, in_torch: bool) -> None:
    if in_torch and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _agreement(case: Case, chosen: dict[str, Trial]) -> dict[str, Result]:
    """Every side's outputs after the same work from the same start, next to eager's."""
    answering = [side.name for side in case.sides if side.answers and side.name in chosen]
    outputs = {name: case.seen(chosen[name].run(case.compared)) for name in answering}
    expected = outputs.get(case.sides[0].name)
    if expected is None:
        return {}
    wide = None if case.reference is None else case.seen(case.reference()(case.compared))
    return {name: _compared(expected, output, wide) for name, output in outputs.items()}


def _compared(expected: Any, output: Any, wide: Any) -> Result:
    try:
        leaves = compare(expected, output, wide)
    except ValueError as error:  # not even the same arrays
        return {"same": False, "verdict": _reason(error), "max_abs": "inf", "last": _finite(_last(output))}
    worst = max(leaves, key=lambda leaf: (not leaf.ok, leaf.max_abs))
    record = {"same": worst.ok, "verdict": worst.verdict, "max_abs": _finite(worst.max_abs)}
    return record | {"last": _finite(_last(output))}


def _last(output: Any) -> float:
    """The last number of the last array, for the eye."""
    array = jax.tree.leaves(output)[-1]
    return float(np.ravel(as_numpy(array))[-1])


def _description(side: Side, trial: Trial) -> Result:
    compiling = max(0.0, trial.first - trial.seconds * trial.units) if side.compiles else None
    return {"form": trial.form, "threads": trial.threads, "calls": trial.calls, "compile_seconds": compiling}


def _summary(seconds: list[float]) -> Result:
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    summary = {"min": min(seconds), "quartile1": low, "median": median, "quartile3": high, "max": max(seconds)}
    return {"seconds": summary, "rounds": seconds}


def _verdict(case: Case, found: dict[str, Result], times: dict[str, list[float]]) -> Result:
    """How many times faster fnlearn is than the faster PyTorch side, and whether all is well."""
    failed = [side.name for side in case.sides if side.name not in times and side.name != MAY_FAIL]
    failures = [f"{name}: {found[name]['tried'][-1]['error']}" for name in failed]
    failures += [
        f"{name}: outputs {record['verdict']}" for name, record in found.items() if not record.get("same", True)
    ]
    rivals = {name: found[name]["seconds"]["median"] for name in times if name != "fnlearn" and times[name]}
    ratio: Result | None = None
    if rivals and times.get("fnlearn"):
        against = min(rivals, key=rivals.__getitem__)
        ratio = {"against": against} | _ratio(times[against], times["fnlearn"])
    met = None if ratio is None or case.target is None else ratio["median"] >= case.target
    return {"ratio": ratio, "met": met, "ok": not failures, "failures": failures}


def _ratio(slow: list[float], fast: list[float]) -> Result:
    """Of the medians, and the least and greatest of one round."""
    each = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"median": statistics.median(slow) / statistics.median(fast), "min": min(each), "max": max(each)}


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _finite(number: float) -> float | str:
    """JSON has no infinity and no NaN."""
    return number if np.isfinite(number) else str(number)
