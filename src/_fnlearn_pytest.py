"""The pytest plugin: fixtures to compare a port with its torch module, a summary of the worst ratios, and a report.

Nothing but pytest is imported until a fixture is used, so that other test runs don't notice it.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ASKED = pytest.StashKey[list[Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, all of which begin with --fnlearn-."""
    group = parser.getgroup("fnlearn", "equivalence of PyTorch and JAX")
    group.addoption("--fnlearn-report", metavar="FILE", type=Path, help="write all comparisons to one HTML file")
    group.addoption(
        "--fnlearn-golden",
        metavar="DIR",
        type=Path,
        help="record torch's answers there, a file for each test; where there is one, torch isn't needed",
    )
    group.addoption(
        "--fnlearn-torch",
        metavar="FILE.py:NAME",
        help="what makes the PyTorch model, without arguments, for the test that lies beside a saved port",
    )


@pytest.fixture
def equivalence(request: pytest.FixtureRequest) -> Callable[..., None]:
    """A function of answers that fails the test if one is no, and keeps them for the summary and the report."""
    from fnlearn.equivalence import first

    asked = request.node.stash.setdefault(ASKED, [])

    def expect(*answers: Any) -> None:
        if not answers:
            raise TypeError("equivalence(...) takes answers, such as those of fnlearn.equivalence.check")
        asked.extend(answers)
        if place := first(answers):
            pytest.fail("\n".join([f"the two sides part at {place}", *_lines(answers)]), pytrace=False)

    return expect


@pytest.fixture
def torch_reference(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A function (make, inputs, **options of `record`) → torch's side of a pair: the module, or its recording."""

    def reference(make: Callable[[], Any], inputs: Any, **options: Any) -> Any:
        from fnlearn.equivalence import load, record

        folder = request.config.getoption("--fnlearn-golden")
        if folder is None:
            pytest.importorskip("torch", reason="PyTorch is not installed, and there is no --fnlearn-golden")
            return make()
        path = folder / (re.sub(r"[^\w.-]+", "_", request.node.nodeid) + ".safetensors")
        if not path.exists():
            pytest.importorskip("torch", reason=f"PyTorch is not installed, and there is no {path}")
            folder.mkdir(parents=True, exist_ok=True)
            record(path, make(), inputs, **options)
        return load(path)

    return reference


@pytest.fixture
def torch_original(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A function (folder of a saved port, what makes its torch module) → the module, with the port's weights.

    `--fnlearn-torch` comes before what is given, which is looked for from the folder. Where neither can be had, the
    test is skipped, and says why.
    """

    def original(folder: Path, made_by: str = "", why: str = "") -> Any:
        pytest.importorskip("torch", reason="PyTorch is not installed")
        from fnlearn.equivalence import load, named, torch_side
        from fnlearn.tree import load as arrays

        told = request.config.getoption("--fnlearn-torch")
        how = "name what makes the model: --fnlearn-torch=path.py:name"
        if not told and not made_by:
            pytest.skip(f"{why}; {how}")
        try:
            module = named.module(told or (str(folder / made_by) if ".py:" in made_by else made_by))
        except (ImportError, ValueError) as error:
            if told:
                raise
            pytest.skip(f"{made_by} is not there: {error}; {how}")
        frozen = load(folder / "golden.safetensors").facts.frozen
        return torch_side.loaded(module, arrays(folder / "weights.safetensors"), frozen)

    return original


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """The answers go with the test's report, as plain data, so that they come from other processes too."""
    report: Any = yield
    if report.when == "call" and (asked := item.stash.get(ASKED, None)):
        report.fnlearn = [
            {**answer._asdict(), "leaves": [tuple(leaf) for leaf in answer.leaves], "curves": dict(answer.curves)}
            for answer in asked
        ]
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The worst ratio of each test, and the report."""
    reports = [report for each in terminalreporter.stats.values() for report in each if hasattr(report, "fnlearn")]
    if not reports:
        return
    from fnlearn.equivalence import Answer, Leaf, first, html, worst_ratio

    comparisons = {
        report.nodeid: [
            Answer(**{**kept, "leaves": tuple(Leaf(*leaf) for leaf in kept["leaves"])}) for kept in report.fnlearn
        ]
        for report in reports
    }
    terminalreporter.section("fnlearn: JAX's error in units of PyTorch's")
    rows = [
        (max((worst_ratio(a) for a in answers), key=_known), answers, name) for name, answers in comparisons.items()
    ]
    for ratio, answers, name in sorted(rows, key=lambda row: -_known(row[0])):
        place = first(answers)
        told = f"{ratio:8.3g}  {name}" if ratio == ratio else f"       -  {name}"
        terminalreporter.write_line(f"{told}: parts at {place}" if place else told, red=bool(place))
    if path := config.getoption("--fnlearn-report"):
        html(comparisons, path)
        terminalreporter.write_line(f"wrote {path}")


def _known(ratio: float) -> float:
    return ratio if ratio == ratio else -1.0


def _lines(answers: Any) -> list[str]:
    """What is wrong, shortly."""
    told = []
    for answer in answers:
        told += [f"{answer.question}: {problem}" for problem in answer.problems]
        told += [
            f"{answer.question}: {leaf.name}: {leaf.verdict}, max abs {leaf.max_abs:.3g}; error against float64: "
            f"PyTorch {leaf.torch_error:.3g}, JAX {leaf.jax_error:.3g}"
            for leaf in answer.wrong[:5]
        ]
    return told
