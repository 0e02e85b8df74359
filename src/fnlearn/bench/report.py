"""What a sweep found, as a table, as JSON and as a chart."""

import json
import math
from pathlib import Path
from typing import Any

from rich.table import Table

from fnlearn import files
from fnlearn.bench.case import Result

COLORS = {"jax": "#1f77b4", "torch": "#d62728"}
NAMES = {"jax": "JAX", "torch": "PyTorch"}


def table(report: Result) -> Table:
    """A row for each case: both sides' time, how often JAX's fits into PyTorch's, rate, memory, share of the peak.

    Args: report: as `run` returns it.
    Returns: a table for `rich`.
    Raises: nothing.
    """
    made = Table(
        title=_heading(report), title_justify="left", caption="\n".join(_remarks(report)), caption_justify="left"
    )
    for name in ("model", "dtype", "batch"):
        made.add_column(name, no_wrap=True)
    for name in ("compile", "step", "rate", "memory", "of peak", "PyTorch's step", "÷ JAX's", "loss, PyTorch's"):
        made.add_column(name, justify="right")
    for row in report["rows"]:
        if any(cell != "–" for cell in _cells(row)):  # the caption counts those that were not begun
            made.add_row(row["title"], row["dtype"], str(row["batch"]), *_cells(row))
    return made


def save(report: Result, folder: Path) -> list[Path]:
    """Write the report to a folder, as JSON and, once it has numbers, as a chart; files are replaced whole.

    Args: report: as `run` returns it. folder: made if it is not there.
    Returns: the files written: bench.json and bench.svg.
    Raises: OSError when it can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with files.replacing(folder / "bench.json") as path:
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    written = [folder / "bench.json"]
    if any("rate" in row["jax"] for row in report["rows"]):
        with files.replacing(folder / "bench.svg") as path:
            chart(report, path)
        written.append(folder / "bench.svg")
    return written


def chart(report: Result, path: Path) -> None:
    """Rates over batch sizes, a field for each model, as SVG.

    Args: report: as `run` returns it, with a number at least. path: the file.
    Raises: OSError when it can't be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    lines = _lines(report)
    models = list(dict.fromkeys(title for title, *_ in lines))
    columns = min(4, len(models))
    rows = math.ceil(len(models) / columns)
    with matplotlib.rc_context({"svg.hashsalt": "fnlearn", "font.size": 8}):
        figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
        for place, model in enumerate(models):
            axes = figure.add_subplot(rows, columns, place + 1)
            mine = {key: points for key, points in lines.items() if key[0] == model}
            for (_, unit, side, dtype), points in mine.items():
                x, y = zip(*sorted(points), strict=True)
                style = "-" if dtype == "float32" else "--" if dtype == "bfloat16" else ":"
                axes.plot(x, y, style, marker="o", color=COLORS[side], label=f"{NAMES[side]} {dtype}", markersize=3)
                axes.set(title=model, xlabel="batch", ylabel=f"{unit} a second", xscale="log", yscale="log")
            axes.grid(alpha=0.3)
            axes.legend(fontsize=6)
        figure.suptitle(_heading(report))
        figure.savefig(path, format="svg", metadata={"Date": None})


def line(row: Result) -> str:
    """What one row says, for a log.

    Args: row: of a report.
    Returns: one line of text.
    Raises: nothing.
    """
    cells = dict(zip(("compile", "step", "rate", "memory", "peak", "torch", "times", "loss"), _cells(row), strict=True))
    shown = [f"{name} {cells[name]}" for name in cells if cells[name] != "–"]
    return f"{row['title']}, batch {row['batch']}, {row['dtype']}: {', '.join(shown)}"


def _lines(report: Result) -> dict[tuple[str, str, str, str], list[tuple[int, float]]]:
    """Points of each model, side and dtype."""
    found: dict[tuple[str, str, str, str], list[tuple[int, float]]] = {}
    for row in report["rows"]:
        for side in ("jax", "torch"):
            if rate := row.get(side, {}).get("rate"):
                found.setdefault((row["title"], row["unit"], side, row["dtype"]), []).append((row["batch"], rate))
    return found


def _cells(row: Result) -> list[str]:
    ours, theirs = row.get("jax", {}), row.get("torch", {})
    compiling = ours.get("compile_seconds")
    both = "seconds" in ours and "seconds" in theirs
    ratio = f"{theirs['seconds']['median'] / ours['seconds']['median']:.2f}" if both else "–"
    losses = ", ".join(f"{found['loss']:.4g}" for found in (ours, theirs) if "loss" in found)
    rate = f"{_short(ours['rate'])} {row['unit']}/s" if "rate" in ours else "–"
    share = f"{ours['mfu']:.1%}" if ours.get("mfu") is not None else "–"
    memory = f"{_short(ours['memory_bytes'])}B" if ours.get("memory_bytes") else "–"
    first = "–" if compiling is None else f"{compiling:.1f} s"
    return [first, _time(ours), rate, memory, share, _time(theirs), ratio, losses or "–"]


def _time(found: Result) -> str:
    if "error" in found:
        return "out of memory" if found["out_of_memory"] else "–" if found["error"].startswith("not ") else "failed"
    if "seconds" not in found:
        return "–"
    median, low, high = (found["seconds"][name] for name in ("median", "min", "max"))
    factor, unit = next(((f, u) for f, u in ((1, "s"), (1e3, "ms")) if median * f >= 1), (1e6, "µs"))
    threads = f"; {found['threads']} threads" if found.get("threads") else ""
    return f"{median * factor:.3g} {unit} ({low * factor:.3g}–{high * factor:.3g}{threads})"


def _short(number: float) -> str:
    """Three digits and a letter for thousands."""
    factor, letter = next(
        ((f, x) for f, x in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= f), (1, "")
    )
    return f"{number / factor:.3g} {letter}".rstrip() if letter else f"{number:.3g}"


def _heading(report: Result) -> str:
    ours, theirs = (report["machine"].get(side, {}) for side in ("jax", "torch"))
    parts = [f"{ours.get('device', 'no device')}", f"JAX {ours.get('jax', '?')}"]
    return ", ".join(parts + ([f"PyTorch {theirs['torch']}"] if theirs else []))


def _remarks(report: Result) -> list[str]:
    """What went wrong and what was left out."""
    said: list[Any] = list(report["notes"])
    left: dict[str, int] = {}
    for row in report["rows"]:
        for side in ("jax", "torch"):
            error = row.get(side, {}).get("error")
            if error is None:
                continue
            if error.startswith("not "):
                left[f"{NAMES[side]}, {error}"] = left.get(f"{NAMES[side]}, {error}", 0) + 1
            else:
                said.append(f"{row['title']}, batch {row['batch']}, {row['dtype']}, {NAMES[side]}: {error}")
    said += [f"{reason} ({count} cases)" for reason, count in left.items()]
    return [*said, "interrupted: what was measured is above"] if report["interrupted"] else said
