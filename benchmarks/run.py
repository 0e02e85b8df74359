"""Run the benchmarks: `python -m benchmarks.run [NAME ...] [--rounds N] [--quick] [--out DIR]`."""

import json
import pkgutil
import sys
import warnings
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import jax
import torch
import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from benchmarks import machine, report
from benchmarks.harness import Case, Result, measure
from fnlearn import files

HERE = Path(__file__).parent
RESULTS = HERE / "results"
INTERRUPTED = 130  # as a shell reports a process that Ctrl-C ended

Names = Annotated[tuple[str, ...], tyro.conf.Positional]


def main(names: Names = (), /, rounds: int | None = None, quick: bool = False, out: Path | None = None) -> int:
    """Measure PyTorch eager, torch.compile and fnlearn in turn, and keep the results.

    Args:
        names: Cases (lesson_d_minibatch) or what their names begin with (lesson_d, ops_conv), else all.
        rounds: How often each side is timed; 15 for lessons and 5 for ops when left out.
        quick: A hundredth of the work, to see that it runs; without --out nothing is written.
        out: Where the results go, benchmarks/results when left out.
    """
    console = Console(stderr=True)
    try:
        cases = select(names)
        if rounds is not None and rounds < 1:
            raise ValueError(f"--rounds must be at least 1, got {rounds}")
    except ValueError as error:
        console.print(f"benchmarks: {error}", markup=False)
        return 2
    directory = out or (None if quick else RESULTS)
    prepare()
    results, status = run(cases, rounds, quick, directory, console)
    terminal = Console()
    wide = terminal if terminal.is_terminal else Console(width=160)
    wide.print(report.rich_table(results))
    for result in results:
        for failure in result["failures"]:
            console.print(f"{result['case']}: {failure}", markup=False)
    return status or int(not all(result["ok"] for result in results))


def run(
    cases: list[Case], rounds: int | None, quick: bool, directory: Path | None, console: Console
) -> tuple[list[Result], int]:
    """The results, each written as soon as it is there, and 130 when an interrupt ended it early."""
    results: list[Result] = []
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=len(cases))
        for done, case in enumerate(cases):

            def tick(stage: str, share: float, done: int = done) -> None:
                bar.update(task, completed=done + share, description=stage)

            try:
                results.append(measure(case, rounds, quick, tick))
                if directory is not None:
                    save(results[-1], directory)
            except KeyboardInterrupt:
                return results, INTERRUPTED
            if not results[-1]["complete"] and results[-1]["rounds"]:
                return results, INTERRUPTED
        bar.update(task, completed=len(cases), description="done")
    return results, 0


def prepare() -> None:
    """One process's settings and one precision for all sides, compile times without caches, and compilers loaded."""
    machine.configured()
    jax.config.update("jax_default_matmul_precision", "highest")
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.compiler.config.force_disable_caches = True
    warnings.filterwarnings("ignore", message="dynamo_pgo force disabled")  # by the line above
    jax.jit(lambda x: x + 1)(1.0).block_until_ready()
    try:
        torch.compile(lambda x: x + 1)(torch.ones(1))
    except Exception as error:  # every case records the reason for itself and goes on with eager
        print(f"torch.compile doesn't work here: {type(error).__name__}", file=sys.stderr)


def families() -> dict[str, tuple[Case, ...]]:
    """The cases of each folder beside this file, by the folder's name."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(HERE)]) if module.ispkg)
    return {name: import_module(f"benchmarks.{name}").CASES for name in names}


def select(names: Iterable[str]) -> list[Case]:
    """The cases of these names, or whose names begin with them; all when none is named, a ValueError when none fits."""
    cases = [case for family in families().values() for case in family]
    chosen: dict[str, Case] = {}
    for name in names or [""]:
        meant = {case.name: case for case in cases if not name or f"{case.name}_".startswith(f"{name}_")}
        if not meant:
            begin = dict.fromkeys("_".join(case.name.split("_")[:2]) for case in cases)
            raise ValueError(f"there is no case {name}; there are {', '.join(begin)}, and what begins so")
        chosen |= meant
    return list(chosen.values())


def save(result: Result, directory: Path) -> Path | None:
    """Written to the file that its case has or shares; a run that was interrupted never replaces one that was not."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{result['file']}.json"
    kept = {other["case"]: other for other in report.read(path)} if path.exists() else {}
    if not result["complete"] and result["case"] in kept:
        return None
    if result["file"] == result["case"]:
        text = json.dumps(result, indent=1, allow_nan=False)
    else:  # a line each
        lines = (json.dumps(each, allow_nan=False) for each in {**kept, result["case"]: result}.values())
        text = "[\n" + ",\n".join(lines) + "\n]"
    with files.replacing(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.run"))
