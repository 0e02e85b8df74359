"""The results of whole training steps in Markdown: models by everybody's means, side by side."""

from benchmarks import figures
from benchmarks.harness import Result

TORCH, OTHERS = ("eager", "compiled"), ("torchax", "nnx", "equinox")
KINDS = "port_small", "port", "train"  # what the names of cases begin with
NAMES = {"eager": "PyTorch eager", "compiled": "torch.compile", "nnx": "flax nnx"}


def tables(results: list[Result]) -> str:
    """A table for each kind of model, with the geometric means: how many times faster fnlearn is than each side."""
    by_kind: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        name = result["case"].removeprefix("torchax_")
        kind = next(kind for kind in KINDS if name.startswith(kind))
        by_kind.setdefault((result["file"], kind), []).append(result)
    return "\n\n".join(_table(each) for each in by_kind.values())


def _table(results: list[Result]) -> str:
    sides = [name for name in (*TORCH, *OTHERS) if any(_median(result, name) for result in results)]
    rivals, called = (TORCH, "the faster PyTorch") if {*sides} & {*TORCH} else (OTHERS, " or ".join(sides))
    header = ("step", *(NAMES.get(name, name) for name in sides), "fnlearn", f"faster than {called}")
    rows = [_row(result, sides, rivals) for result in results]
    faster = [figures.mean_times(_ratios(results, (name,))) for name in sides]
    best = f"**{figures.mean_times(_ratios(results, rivals))}**"
    mean = ("fnlearn faster, geometric mean", *faster, "", best, "")
    return figures.table((*header, "compiled in: torch, fnlearn"), [*rows, mean])


def _row(result: Result, sides: list[str], rivals: tuple[str, ...]) -> tuple[str, ...]:
    if not result["ok"]:
        return result["title"], *("–",) * (len(sides) + 1), f"**failed**: {'; '.join(result['failures'])}", "–"
    spans = [_duration(_median(result, name)) for name in (*sides, "fnlearn")]
    compiled = [result["sides"].get(name, {}).get("compile_seconds") for name in ("compiled", "fnlearn")]
    seconds = ", ".join("–" if value is None else f"{value:.2g} s" for value in compiled)
    return result["title"], *spans, f"**{figures.mean_times(_ratios([result], rivals))}**", seconds


def _ratios(results: list[Result], names: tuple[str, ...]) -> list[float]:
    """How many times faster fnlearn is than the fastest of these sides, where there are any."""
    found = []
    for result in results:
        there = [seconds for name in names if (seconds := _median(result, name))]
        ours = _median(result, "fnlearn")
        if there and ours:
            found.append(min(there) / ours)
    return found


def _median(result: Result, side: str) -> float | None:
    return result["sides"].get(side, {}).get("seconds", {}).get("median")


def _duration(seconds: float | None) -> str:
    return "–" if seconds is None else figures.duration(seconds)
