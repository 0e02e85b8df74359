"""The operations' results in Markdown: a table a family for `ops/README.md`, and a mean a family for `README.md`."""

from benchmarks import figures
from benchmarks.harness import Result
from benchmarks.ops import DIRECTIONS, name
from benchmarks.ops.argument import shapes
from benchmarks.ops.table import OPS, Op

HEADER = ("operation", "size", "arguments", "forward", "forward + backward")
MEANS = ("family", "small, forward", "small, forward + backward", "large, forward", "large, forward + backward")
MEAN_TARGETS = {("conv", "large", "gradient"): 1 / 1.3}  # of the ten convolutions together
FAMILIES = tuple(dict.fromkeys(op.family for op in OPS))


def tables(results: list[Result]) -> list[str]:
    """A heading and a table for each family of which there are results."""
    found = {result["case"]: result for result in results}
    parts: list[str] = []
    for family in FAMILIES:
        measured = [op for op in OPS if op.family == family and any(name(op, way) in found for way in DIRECTIONS)]
        if measured:
            parts += [f"### {family}", figures.table(HEADER, (_row(op, found) for op in measured))]
    return parts


def summary(results: list[Result]) -> str:
    """The geometric mean of each family's ratios."""
    found = {result["case"]: result for result in results}
    columns = [(size, way) for size in ("small", "large") for way in DIRECTIONS]
    rows = ((family, *(_mean(family, size, way, found) for size, way in columns)) for family in FAMILIES)
    note = (
        "Single operations ([all](ops/README.md)): PyTorch eager's time over fnlearn's, the geometric mean of a family."
    )
    return f"{note}\n\n{figures.table(MEANS, (row for row in rows if set(row[1:]) != {'–'}))}"


def _mean(family: str, size: str, way: str, found: dict[str, Result]) -> str:
    """With how many operations are in it where some failed or are missing, and the target where there is one."""
    names = [name(op, way) for op in OPS if (op.family, op.size) == (family, size)]
    ratios = [found[each]["ratio"]["median"] for each in names if each in found and found[each]["ok"]]
    if not ratios:
        return "–"
    mean, target = figures.geometric_mean(ratios), MEAN_TARGETS.get((family, size, way))
    some = f" ({len(ratios)} of {len(names)})" if len(ratios) < len(names) else ""
    aim = "" if target is None else f" (target {figures.times(target)}× {'met' if mean >= target else '**missed**'})"
    return f"{figures.times(mean)}×{some}{aim}"


def _row(op: Op, found: dict[str, Result]) -> tuple[str, ...]:
    sizes = ["×".join(map(str, shape)) for shape in shapes(op.args)]
    arguments = ", ".join(sizes[:4]) + (", …" if len(sizes) > 4 else "")
    return op.title, op.size, arguments, *(_cell(found.get(name(op, way))) for way in DIRECTIONS)


def _cell(result: Result | None) -> str:
    """The ratio with its spread, and both times."""
    if result is None:
        return "–"
    if not result["ok"]:
        return f"**failed**: {'; '.join(result['failures'])}"
    ratio, sides = result["ratio"], result["sides"]
    low, high = figures.times(ratio["min"]), figures.times(ratio["max"])
    spans = " → ".join(figures.duration(sides[side]["seconds"]["median"]) for side in ("eager", "fnlearn"))
    missed = f", **missed** {figures.times(result['target'])}×" if result["met"] is False else ""
    return f"**{figures.times(ratio['median'])}×** ({low}–{high}){missed}, {spans}"
