"""The table of operations: for each name of torch's public API, the JAX expression that a person would write.

What is in `fnlearn.functional` needs no row: it has torch's names, arguments and defaults.
"""

import inspect
from functools import cache

import fnlearn.functional
from fnlearn.port import (  # noqa: F401 - each enters its rows
    ops_core,
    ops_elementwise,
    ops_index,
    ops_linalg,
    ops_make,
    ops_network,
    ops_reduce,
    ops_shape,
)
from fnlearn.port.table import ROWS, Row, Template, dropping, with_

__all__ = ["row_of"]


def row_of(name: str) -> Row | None:
    """The row of an API name, or that of the function of `fnlearn.functional` with the same name."""
    if name.startswith("aten."):  # torch.ops.aten.add.Tensor
        name = ".".join(name.split(".")[:2])
        if name in ROWS:  # its arguments are not the public function's
            return ROWS[name]
        name = name.removeprefix("aten.")
        for group in ("special", "linalg", "fft"):
            name = name.replace(f"{group}_", f"{group}.", 1) if name.startswith(f"{group}_") else name
    for found in (name, name.removesuffix("_copy"), name.removeprefix("special."), name.removeprefix("unsafe_")):
        if found in ROWS:
            return ROWS[found]
    return _functional_row(name.removeprefix("F."))


@cache
def _functional_row(name: str) -> Row | None:
    if name not in fnlearn.functional.__all__:
        return None
    signature = inspect.signature(getattr(fnlearn.functional, name))
    given = [p for p in signature.parameters.values() if p.name not in ("key", "inplace", "_stacklevel")]
    short = [p.name for p in given[:3]] == ["input", "p", "training"]  # dropout(x, 0.1, train), as everybody writes it
    arguments = ", ".join(p.name if short or p.default is p.empty else f"{p.name}={p.name}" for p in given)
    text = f"F.{name}({arguments})"
    template: Template = dropping(text, "training") if short else text
    if {"dropout_p", "training"} <= {p.name for p in given}:  # attention that drops nothing is the same in either mode
        template = lambda a: with_(a, training=a.dropout_p == 0 or a.training, then=text)  # noqa: E731
    return Row(signature, template, "key" in signature.parameters)
