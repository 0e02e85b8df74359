"""The optimizers' results in Markdown."""

from benchmarks import figures
from benchmarks.harness import Result

HEADER = ("optimizer", "torch.optim", "optax", "fnlearn", "faster than the faster of both", "compiled in")


def tables(results: list[Result]) -> str:
    """A row an optimizer, and the geometric means of all: how many times faster than each side, and than the faster."""
    well = [result for result in results if result["ok"]]
    against_torch, against_optax = (
        figures.mean_times(_against(result, side) for result in well) for side in ("eager", "optax")
    )
    against_faster = f"**{figures.mean_times(result['ratio']['median'] for result in well)}**"
    rows = [_row(result) for result in results]
    mean = ("fnlearn faster, geometric mean", against_torch, against_optax, "", against_faster, "") if well else ()
    note = "One update of 10 million float32 parameters in 100 arrays (Muon: 800,000 in 4), in one jitted call."
    return f"{note}\n\n{figures.table(HEADER, [*rows, mean] if mean else rows)}"


def _against(result: Result, side: str) -> float | None:
    """How many times faster fnlearn is than a side, None where there is none."""
    seconds = {name: found["seconds"]["median"] for name, found in result["sides"].items()}
    return seconds[side] / seconds["fnlearn"] if side in seconds else None


def _row(result: Result) -> tuple[str, ...]:
    sides, title = result["sides"], f"`{result['title']}`"
    if not result["ok"]:
        return title, *("–",) * 3, f"**failed**: {'; '.join(result['failures'])}", "–"
    eager, optax, ours = (sides.get(name) for name in ("eager", "optax", "fnlearn"))
    spans = [
        f"{figures.duration(side['seconds']['median'])} ({side['form']})" if side else "–"
        for side in (eager, optax, ours)
    ]
    ratio = result["ratio"]
    low, high = figures.times(ratio["min"]), figures.times(ratio["max"])
    faster = f"**{figures.times(ratio['median'])}×** ({low}–{high})"
    return title, *spans, faster, f"{ours['compile_seconds']:.2g} s"
