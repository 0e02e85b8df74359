"""Writes `docs/support.md`, the table of what is here, from the docstrings: `python docs/support.py`."""

import inspect
import re
from pathlib import Path

from fnlearn import functional, nn, optim

PAGE = Path(__file__).with_suffix(".md")
ROOMS = {"functional": functional, "nn": nn, "nn.init": nn.init, "optim": optim}


IN_PLACE = "JAX arrays never change: use the name without the underscore"
PLUMBING = "torch's own plumbing, no function on numbers"
ABSENT = {
    **{
        f"{name}_": IN_PLACE for name in ("celu", "elu", "hardtanh", "leaky_relu", "relu", "rrelu", "selu", "threshold")
    },
    **dict.fromkeys(("assert_int_or_pair", "boolean_dispatch", "handle_torch_function"), PLUMBING),
    **dict.fromkeys(("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"), PLUMBING),
    "grouped_mm": "bfloat16 products for a GPU; `jax.lax.ragged_dot` is JAX's",
    "scaled_mm": "scaled float8 products for a GPU; `jax.nn.scaled_matmul` is JAX's",
    "scaled_grouped_mm": "scaled float8 products for a GPU; `jax.nn.scaled_matmul` is JAX's",
}


def page() -> str:
    """The whole page."""
    lines = [
        "# What is here, and how it differs from torch",
        "",
        "Written by `python docs/support.py` from the docstrings, and checked by a test. Functions are tested in",
        "float64, float32, bfloat16 and float16, their gradients in float64 and float32.",
    ]
    for room, module in ROOMS.items():
        lines += ["", f"## fnlearn.{room}", "", "| name | torch | differs |", "|---|---|---|"]
        lines += [_row(name, getattr(module, name)) for name in module.__all__ if _is_ported(getattr(module, name))]
    lines += ["", "## Names of torch.nn.functional that are not here", "", "| name | why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in sorted(ABSENT.items())]
    return "\n".join(lines) + "\n"


def field(value: object, name: str) -> str:
    """One field of a docstring, on one line."""
    found = re.search(rf"^{name}: (.*?)(?=^\w+: |\Z)", inspect.getdoc(value) or "", re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()).rstrip(".") if found else ""


def _is_ported(value: object) -> bool:
    return bool(field(value, "Torch"))


def _row(name: str, value: object) -> str:
    return f"| `{name}` | {field(value, 'Torch')} | {field(value, 'Differs')} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
