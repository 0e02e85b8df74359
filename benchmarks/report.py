"""Turn the results into the READMEs' tables and the charts beside the results: `python -m benchmarks.report`."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import figures, steps_page
from benchmarks.figures import times
from benchmarks.harness import Result
from benchmarks.ops import page
from benchmarks.optim import page as optim_page
from fnlearn import files

HERE = Path(__file__).parent
RESULTS = HERE / "results"
BEGIN, END = "<!-- results: written by benchmarks.report -->", "<!-- results: end -->"
COLUMNS = (
    "case", "PyTorch eager", "torch.compile", "fnlearn", "faster than the faster PyTorch", "than eager", "target",
    "last loss: eager, fnlearn", "compile: torch, fnlearn",
)  # fmt: skip


def main() -> None:
    """Write the tables and the charts for `results` and each folder in it, one machine each."""
    parts, details = [], []
    for directory in [RESULTS, *sorted(path for path in RESULTS.iterdir() if path.is_dir())]:
        results = load(directory)
        single = [result for result in results if result["case"].startswith("ops_")]
        updates = [result for result in results if result["case"].startswith("optim_")]
        steps = [
            result
            for result in results
            if result["case"].startswith(("port_", "torchax_", "train_")) and result["case"] != "train_epochs"
        ]
        whole = [result for result in results if result not in (*single, *updates, *steps)]
        parts += [machine_line(results)] if results else []
        if whole:
            picture = chart(whole, directory / "ratios.svg").relative_to(HERE).as_posix()
            alt = f"How many times faster fnlearn is, case by case, in {directory.relative_to(HERE).as_posix()}"
            parts += [table(whole), f"![{alt}]({picture})"]
        if steps:
            parts.append(steps_page.tables(steps))
        if updates:
            parts.append(optim_page.tables(updates))
        if single:
            parts.append(page.summary(single))
            details += [machine_line(single), *page.tables(single)]
    for path, content in ((HERE / "README.md", parts), (HERE / "ops" / "README.md", details)):
        if content:
            write(path, insert(path.read_text(encoding="utf-8"), "\n\n".join(content)).encode())


def load(directory: Path) -> list[Result]:
    """The results in one folder by the name of their case."""
    return [result for path in sorted(directory.glob("*.json")) for result in read(path)]


def read(path: Path) -> list[Result]:
    """The results in one file, which holds one or a list."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, list) else [content]


def table(results: list[Result]) -> str:
    """Markdown, a row for each case."""
    return figures.table(COLUMNS, map(cells, results))


def rich_table(results: list[Result]) -> Table:
    """The heart of it for a terminal."""
    drawn = Table("case", "µs per", "eager", "compiled", "fnlearn", "faster", "target", "last losses", "apart")
    for result in results:
        drawn.add_row(*_short(result))
    return drawn


def _short(result: Result) -> tuple[str, ...]:
    sides, ratio = result["sides"], result["ratio"]
    found = [sides.get(name, {}) for name in ("eager", "compiled", "fnlearn")]
    medians = [f"{side['seconds']['median'] * 1e6:.4g}" if "seconds" in side else "–" for side in found]
    last = [_number(side["last"], ".4g") if "last" in side else "–" for side in found]
    apart = _number(found[2]["max_abs"], ".1e") if "max_abs" in found[2] else "–"
    faster = "–" if ratio is None else f"{times(ratio['median'])}×"
    return result["case"], result["unit"], *medians, faster, _target(result).replace("*", ""), " ".join(last), apart


def cells(result: Result) -> tuple[str, ...]:
    """What the table says of one case, in the order of `COLUMNS`."""
    sides, ratio = result["sides"], result["ratio"]
    spans = [_time(sides.get(name), result["unit"]) for name in ("eager", "compiled", "fnlearn")]
    title = result["title"] if result["complete"] else f"{result['title']} (only {result['rounds']} rounds)"
    faster = "–" if ratio is None else f"**{times(ratio['median'])}×** ({times(ratio['min'])}–{times(ratio['max'])})"
    compiled = [_seconds(sides.get(name, {}).get("compile_seconds")) for name in ("compiled", "fnlearn")]
    return title, *spans, faster, _against_eager(sides), _target(result), _losses(result), ", ".join(compiled)


def machine_line(results: list[Result]) -> str:
    """The machines and versions, one line each; more than one means that cases were measured apart."""
    return "\n".join(dict.fromkeys(_machine(result["machine"]) for result in results))


def chart(results: list[Result], path: Path) -> Path:
    """The ratios with their spread and targets, the same bytes for the same results."""
    import matplotlib  # late: it takes half a second, and only the report needs it
    from matplotlib.figure import Figure

    shown = [result for result in results if result["ratio"]]
    with matplotlib.rc_context({"svg.hashsalt": "fnlearn", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 1.2 + 0.5 * len(shown)), layout="constrained")
        _bars(figure.subplots(), shown)
        with files.replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
    return path


def insert(text: str, content: str) -> str:
    """The text with what stands between the two markers replaced; a ValueError when they aren't there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the text must hold {BEGIN} and, after it, {END}")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def write(path: Path, content: bytes) -> None:
    """All of it or nothing."""
    with files.replacing(path) as temporary:
        temporary.write_bytes(content)


def _bars(axis: Any, results: list[Result]) -> None:
    for height, result in enumerate(reversed(results)):
        ratio = result["ratio"]
        low, high = ratio["median"] - ratio["min"], ratio["max"] - ratio["median"]
        spread = [[max(0.0, low)], [max(0.0, high)]]
        axis.barh(height, ratio["median"], xerr=spread, color="#4c72b0", error_kw={"ecolor": "#222222", "capsize": 3})
        if result["target"]:
            axis.plot([result["target"]] * 2, [height - 0.4, height + 0.4], color="#c44e52", linewidth=2)
    axis.set_yticks(range(len(results)), [result["title"] for result in reversed(results)])
    axis.set_xscale("log")
    axis.axvline(1, color="#222222", linewidth=0.8)
    axis.set_xlabel("times faster than the faster PyTorch side; red: the target")
    axis.grid(axis="x", alpha=0.3)


def _machine(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "jax", "jaxlib", "torch", "numpy"))
    threads = " or ".join(map(str, machine["torch_threads_tried"]))
    return (
        f"{machine['cpu']}, {machine['cores']} cores; JAX on {', '.join(machine['jax_devices'])} with a pool of "
        f"{machine['jax_threads']} threads; PyTorch on {machine['torch_device']} with {threads} threads, the faster; "
        f"{versions}; XLA_FLAGS `{machine['xla_flags'] or '(none)'}`{_settings(machine)}."
    )


def _settings(machine: dict[str, Any]) -> str:
    told = f"; memory by `{machine['allocator']}` on all sides" if machine.get("allocator") else ""
    return told + (f"; `configure_cpu` on all sides: {machine['settings']}" if machine.get("settings") else "")


def _time(side: Result | None, unit: str) -> str:
    if not side or "seconds" not in side:
        return "–"
    median, spread = side["seconds"]["median"], side["seconds"]
    factor, name = figures.unit(median)
    threads = "1 thread" if side["threads"] == 1 else f"{side['threads']} threads"
    quartiles = f"{spread['quartile1'] * factor:.3g}–{spread['quartile3'] * factor:.3g}"
    return f"{median * factor:.3g} {name}/{unit} ({quartiles}; {side['form']}, {threads})"


def _against_eager(sides: dict[str, Result]) -> str:
    medians = [sides.get(name, {}).get("seconds", {}).get("median") for name in ("eager", "fnlearn")]
    return "–" if None in medians else f"{times(medians[0] / medians[1])}×"


def _target(result: Result) -> str:
    if not result["ok"]:
        return "**failed**"
    if result["target"] is None:
        return "–"
    return f"{result['target']:g}× {'met' if result['met'] else '**missed**'}"


def _losses(result: Result) -> str:
    eager, ours = (result["sides"].get(name, {}) for name in ("eager", "fnlearn"))
    if "last" not in eager or "last" not in ours:
        return "–"
    same = f"max abs difference {_number(ours['max_abs'], '.1e')}: {ours['verdict']}"
    return f"{_number(eager['last'], '.7g')}, {_number(ours['last'], '.7g')} ({same})"


def _number(value: float | str, form: str) -> str:
    return value if isinstance(value, str) else format(value, form)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g} s"


if __name__ == "__main__":
    main()
