"""Answers as tables for a terminal, as JSON for a program, and as one HTML file to look at."""

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from fnlearn import files
from fnlearn.equivalence.answer import Answer
from fnlearn.equivalence.check import first
from fnlearn.equivalence.compare import Leaf

PACKAGES = ("fnlearn", "torch", "jax", "jaxlib", "numpy", "optax", "flax")
WORST = 15  # leaves in the table of the worst
LAYER = re.compile(r"(?P<at>(?:eval|train)\.\w+(?:\[\d+\])?)\.(?P<path>.+)\.out(?:\.\d+)?")
QUESTIONS = {
    "setup": "the same weights, dtypes, modes and precision",
    "layers": "the same output of every layer",
    "forward": "the same outputs and buffers",
    "backward": "the same gradients",
    "optimizer": "the same steps from the same gradients",
    "training": "the same run",
}


def tables(answers: Sequence[Answer]) -> RenderableType:
    """A line for each question, and the leaves that differ or come nearest to it.

    Args: answers: of one pair, in the order of the questions.
    Returns: something for `rich` to print.
    """
    asked = Table("question", "answer", "leaves", "worst ratio", "first place that differs")
    for answer in answers:
        verdict = Text("yes", "green") if answer.ok else Text("no", "bold red")
        asked.add_row(answer.question, verdict, str(len(answer.leaves)), _number(worst_ratio(answer)), answer.first)
    lines = [Text(f"{a.question}: {text}", style) for a in answers for text, style in _sentences(a)]
    leaves = Table(
        Column("leaf", overflow="fold"), "verdict", "max abs", "ulp", "torch's\nerror", "JAX's\nerror", "ratio"
    )
    for name, leaf in worst(answers):
        numbers = (leaf.max_abs, leaf.ulp, leaf.torch_error, leaf.jax_error, leaf.ratio)
        leaves.add_row(Text(name), Text(leaf.verdict, "" if leaf.ok else "red"), *map(_number, numbers))
    return Group(asked, *lines, leaves)


def as_json(answers: Sequence[Answer]) -> str:
    """Every number, as one JSON object.

    Args: answers: as for `tables`.
    Returns: JSON; a number that is not finite is null.
    """
    told = {
        "ok": all(answer.ok for answer in answers),
        "first": first(answers),
        "answers": [
            {
                **answer._asdict(),
                "ok": answer.ok,
                "leaves": [{**leaf._asdict(), "ok": leaf.ok} for leaf in answer.leaves],
                "curves": dict(answer.curves),
            }
            for answer in answers
        ],
        "environment": environment(),
    }
    return json.dumps(_finite(told), ensure_ascii=False)


def html(comparisons: Mapping[str, Sequence[Answer]], path: str | os.PathLike[str]) -> None:
    """One file that needs no other: the verdict, the error by layer, the worst leaves, the losses, the environment.

    Args: comparisons: answers as for `tables`, by what was compared. path: the file to be.
    Raises: OSError when it can't be written, and then an old one stays.
    """
    import jinja2

    loader = jinja2.PackageLoader("fnlearn.equivalence", ".")
    pages = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    page = pages.get_template("report.html").render(
        comparisons=[_comparison(title, answers) for title, answers in comparisons.items()],
        questions=QUESTIONS,
        number=_number,
        worst_ratio=worst_ratio,
        environment=environment(),
    )
    with files.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _comparison(title: str, answers: Sequence[Answer]) -> dict[str, Any]:
    """What the page shows of one pair."""
    wrong = next((answer for answer in answers if not answer.ok), None)
    return {
        "title": title,
        "answers": answers,
        "wrong": wrong,
        "worst": worst(answers),
        "layers": [_by_layer(at, rows, wrong) for at, rows in _layers(answers).items()],
        "losses": [_losses(name, *both) for answer in answers for name, both in answer.curves.items()],
    }


def worst_ratio(answer: Answer) -> float:
    """The largest error of JAX's in units of torch's own.

    Args: answer: to any question.
    Returns: the largest ratio among leaves that float64 judges, NaN where there is none.
    """
    return max((leaf.ratio for leaf in answer.leaves if not np.isnan(leaf.ratio)), default=np.nan)


def worst(answers: Sequence[Answer]) -> list[tuple[str, Leaf]]:
    """The leaves to look at, by name: those that differ in their order, then those with the largest ratios among
        those that float64 judges.

    Args: answers: as for `tables`.
    Returns: at most 15.
    """
    named = [(f"{answer.question} {leaf.name}", leaf) for answer in answers for leaf in answer.leaves]
    wrong = [item for item in named if not item[1].ok]
    judged = [item for item in named if item[1].ok and item[1].max_abs > 0 and not np.isnan(item[1].ratio)]
    return [*wrong, *sorted(judged, key=lambda item: -item[1].ratio)][:WORST]


def environment() -> dict[str, str]:
    """Versions, devices and switches that numbers depend on.

    Args: none.
    Returns: {what: value}.
    """
    found = {"python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["JAX's device"] = f"{jax.default_backend()}, {jax.devices()[0].device_kind}"
    found["jax_enable_x64"] = str(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
    found["jax_default_matmul_precision"] = str(jax.config.jax_default_matmul_precision)  # type: ignore[attr-defined]
    return found


def _sentences(answer: Answer) -> list[tuple[str, str]]:
    return [(text, "red") for text in answer.problems] + [(text, "dim") for text in answer.notes]


def _number(x: float) -> str:
    return "" if np.isnan(x) else f"{x:.2g}"


def _finite(tree: Any) -> Any:
    if isinstance(tree, float):
        return tree if np.isfinite(tree) else None
    if isinstance(tree, Mapping):
        return {key: _finite(value) for key, value in tree.items()}
    return [_finite(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _layers(answers: Sequence[Answer]) -> dict[str, list[tuple[str, Leaf]]]:
    """{mode.dtype: [(path, leaf)]}; float64 itself has no yardstick to be drawn against, unless it alone was asked."""
    found: dict[str, list[tuple[str, Leaf]]] = {}
    for answer in answers:
        for leaf in answer.leaves if answer.question == "layers" else ():
            if parts := LAYER.fullmatch(leaf.name):
                found.setdefault(parts["at"], []).append((parts["path"], leaf))
    narrow = {at: rows for at, rows in found.items() if ".float64" not in at}
    return narrow or found


def _by_layer(at: str, rows: list[tuple[str, Leaf]], wrong: Answer | None) -> str:
    """Both sides' errors against float64 over the layers, the first place marked."""
    names, places = [path for path, _ in rows], range(len(rows))
    floor = np.finfo("float64").eps
    figure, axis = _figure(min(14.0, 3 + 0.35 * len(names)), 4.4)
    for label, colour, errors in (
        ("PyTorch", "#3b6fb6", [leaf.torch_error for _, leaf in rows]),
        ("JAX", "#d1495b", [leaf.max_abs if np.isnan(leaf.jax_error) else leaf.jax_error for _, leaf in rows]),
    ):
        axis.plot(places, np.maximum(errors, floor), "o-", color=colour, label=label, markersize=4, linewidth=1.4)
    at_fault = next((i for i, (_, leaf) in enumerate(rows) if not leaf.ok), None)
    if at_fault is not None and wrong is not None:
        axis.axvline(at_fault, color="#b00020", linewidth=8, alpha=0.18)
        above = {"xycoords": ("data", "axes fraction"), "ha": "center", "color": "#b00020", "fontweight": "bold"}
        place = wrong.first if wrong.question == "layers" else names[at_fault]
        axis.annotate(f"first: {place}", (at_fault, 1.02), **above)
    axis.set_yscale("log")
    axis.set_ylabel("largest error against float64")
    axis.set_title(at, loc="left", pad=18)
    axis.set_xticks(places, names, rotation=60, ha="right", rotation_mode="anchor")
    axis.legend()
    return _svg(figure)


def _losses(name: str, theirs: Sequence[float], mine: Sequence[float]) -> str:
    figure, axis = _figure(7, 3.6)
    steps = range(1, len(theirs) + 1)
    axis.plot(steps, theirs, color="#3b6fb6", linewidth=4, alpha=0.5, label="PyTorch")
    axis.plot(steps, mine, color="#d1495b", linewidth=1.4, label="JAX")
    axis.set_xlabel("step")
    axis.set_title(name, loc="left")
    axis.legend()
    return _svg(figure)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    axis = figure.subplots()
    axis.grid(alpha=0.3)
    return figure, axis


def _svg(figure: Any) -> str:
    import io

    import matplotlib
    from markupsafe import Markup

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text stays text
        figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    return Markup(drawn[drawn.index("<svg") :])  # matplotlib escapes what it writes
