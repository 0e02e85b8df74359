"""Writes `docs/support.md`, the table of what is here, from the docstrings and the tests' results.

`python docs/support.py` writes the page anew. `python docs/support.py results.xml` first takes the results in, those of
`pytest --junitxml=results.xml` with any tests, which are kept in `docs/support.json`; what has no result in the file
stays as it is there.
"""

import inspect
import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from fnlearn import functional, nn, optim

PAGE = Path(__file__).with_suffix(".md")
RESULTS = Path(__file__).with_suffix(".json")
ROOMS = {"functional": functional, "nn": nn, "nn.init": nn.init, "optim": optim, "optim.schedules": optim.schedules}
DTYPES = ("float64", "float32", "bfloat16", "float16", "complex64", "complex128", "int64")


IN_PLACE = "JAX arrays never change: use the name without the underscore"
PLUMBING = "torch's own plumbing, no function on numbers"
ABSENT = {
    **{
        f"{name}_": IN_PLACE for name in ("celu", "elu", "hardtanh", "leaky_relu", "relu", "rrelu", "selu", "threshold")
    },
    **dict.fromkeys(("assert_int_or_pair", "boolean_dispatch", "handle_torch_function"), PLUMBING),
    **dict.fromkeys(("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"), PLUMBING),
    "scaled_mm": "scaled float8 products for a GPU; `jax.nn.scaled_matmul` is JAX's",
    "scaled_grouped_mm": "scaled float8 products for a GPU; `jax.nn.scaled_matmul` is JAX's",
}

INTRODUCTION = """# What is here, and how it differs from torch

Written by `python docs/support.py` from the docstrings and the results of the tests, and checked by a test.

`status` says what a name is tested by: samples of torch's own **database** (`op_db`, `module_db`, `optim_db`),
**cases** of this project, or **tests** that are not one to a name and a dtype. **fails** says that one of them does.
`dtypes` are those in which all of them pass: outputs, and in float64 and float32 gradients too.
Where torch has no kernel for bfloat16 or float16 on a CPU, ours is compared with its own float32 answer, to a tenth."""


def page() -> str:
    """The whole page."""
    results, lines = recorded(), [INTRODUCTION]
    for room, module in ROOMS.items():
        lines += ["", f"## fnlearn.{room}", "", "| name | torch | status | dtypes | differs |", "|---|---|---|---|---|"]
        lines += [_row(name, getattr(module, name), results.get(room, {}).get(name, {})) for name in ported(room)]
    lines += ["", "## Names of torch.nn.functional that are not here", "", "| name | why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in sorted(ABSENT.items())]
    return "\n".join(lines) + "\n"


def recorded() -> dict[str, Any]:
    """Whether the tests pass: {room: {name: {file of tests: {dtype: passed}}}}."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def ported(room: str) -> list[str]:
    """The names of a room that have a counterpart in torch."""
    return [name for name in ROOMS[room].__all__ if field(getattr(ROOMS[room], name), "Torch")]


def field(value: object, name: str) -> str:
    """One field of a docstring, on one line."""
    found = re.search(rf"^{name}: (.*?)(?=^\w+: |\Z)", inspect.getdoc(value) or "", re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()).rstrip(".") if found else ""


def take_in(xml: Path) -> None:
    """Write down the results of those tests that have a name of ours and a dtype in brackets."""
    fresh: dict[tuple[str, str, str], dict[str, bool]] = {}
    for case in ET.parse(xml).iter("testcase"):
        source = case.get("classname", "").removeprefix("tests.")
        room = {"nn.test_init": "nn.init"}.get(source, source.partition(".")[0])
        asked = re.search(rf"\[(\w+)\b.*\b({'|'.join(DTYPES)})\b", case.get("name", ""))
        if asked and room in ROOMS and asked[1] in ROOMS[room].__all__:
            passed = fresh.setdefault((room, asked[1], source.rpartition(".test_")[2]), {})
            wrong = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            passed[asked[2]] = not wrong and passed.get(asked[2], True)
    results = recorded()
    for (room, name, file), passed in fresh.items():
        results.setdefault(room, {}).setdefault(name, {}).setdefault(file, {}).update(passed)
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _row(name: str, value: object, results: dict[str, dict[str, bool]]) -> str:
    asked = {dtype for passed in results.values() for dtype in passed}
    good = [d for d in DTYPES if d in asked and all(passed.get(d, True) for passed in results.values())]
    cells = (f"`{name}`", field(value, "Torch"), _status(results), ", ".join(good), field(value, "Differs"))
    return f"| {' | '.join(cells)} |"


def _status(results: dict[str, dict[str, bool]]) -> str:
    if not all(passed for source in results.values() for passed in source.values()):
        return "fails"
    if any(source.endswith("_db") for source in results):
        return "database"
    return "cases" if results else "tests"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        take_in(Path(argument))
    PAGE.write_text(page(), encoding="utf-8")
