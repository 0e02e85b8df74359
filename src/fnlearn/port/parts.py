"""A call without a row, as the core operations of ATen that torch makes of it."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch._decomp import core_aten_decompositions
from torch.utils._python_dispatch import TorchDispatchMode

from fnlearn.port.calls import functional
from fnlearn.port.ops import row_of

__all__ = ["Parts", "changed"]


class Parts(TorchDispatchMode):
    """While it is on, each operation that has a row is recorded, and any other is taken apart further.

    Args: record: called with an operation's name, the operation and its arguments; returns what it gives. missing: the
        names of operations that have neither a row nor parts.
    """

    def __init__(self, record: Callable[[str, Any, Any, Any], Any]):
        super().__init__()
        self.record = record
        self.missing: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What the operation gives, recorded."""
        kwargs = kwargs or {}
        name = func._schema.name.replace("::", ".")
        if not any("Tensor" in str(result.type) for result in func._schema.returns):
            return func(*args, **kwargs)
        if row_of(functional(name)) is None:
            with self:
                parts = _table().get(func, func.decompose)(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
            self.missing.append(name)
        return self.record(name, func, args, kwargs)


def changed(func: Any, args: Any, kwargs: Any) -> list[torch.Tensor]:
    """The arguments that an operation of ATen changes in place."""
    arguments = func._schema.arguments
    given = {argument.name: value for argument, value in zip(arguments, args, strict=False)} | kwargs
    written = [
        argument.name for argument in arguments if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return [given[name] for name in written if name in given]


@cache
def _table() -> dict[Any, Any]:
    return dict(core_aten_decompositions().items())  # its own `get` misses what it has not loaded yet
