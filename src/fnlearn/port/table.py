"""What a row of the table of operations is.

A row is torch's signature and a template, an expression over the signature's names; a function that returns one where
it depends on the arguments. A keyword whose value is the signature's default is left out.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from fnlearn.port.errors import PortError
from fnlearn.port.graph import Op, Val

__all__ = [
    "IRRELEVANT",
    "ONLY",
    "ROWS",
    "Dtype",
    "Row",
    "Template",
    "Weights",
    "along",
    "bound",
    "column",
    "dropping",
    "ndim",
    "row",
    "sizes",
    "with_",
]

Template = str | list[str] | Callable[[Any], str | list[str]]


@dataclass(frozen=True)
class Row:
    """How one operation is written.

    signature: torch's. template: an expression, a list with one for each output, or a function of the arguments that
    returns either. random: whether it takes a key.
    """

    signature: inspect.Signature
    template: Template
    random: bool = False


ROWS: dict[str, Row] = {}
ONLY = ["input", "jnp.zeros((), int)"]  # of an array without dimensions: the number itself, at place 0

IRRELEVANT = {  # arguments that change where or how something is worked out, not what comes out
    "_stacklevel",
    "check_errors",
    "compute_mode",
    "cudnn_enable",
    "cudnn_enabled",
    "device",
    "driver",
    "generator",
    "inplace",
    "layout",
    "memory_format",
    "names",
    "out",
    "output_size",
    "pin_memory",
    "requires_grad",
    "sorted",  # an order that torch leaves open may be the sorted one
    "stable",
}


AS_NUMPY = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
NO_ARGUMENTS = {"out", "generator", "dtype_of"}  # dtype_of: the value whose dtype was asked for


def row(names: str, signature: str, template: Template, random: bool = False) -> None:
    """Enter a row under each of its names."""
    parsed = inspect.signature(eval(f"lambda {signature}: 0", {"inf": math.inf}))  # our own text, never a model's
    for name in names.split():
        if name in ROWS:
            raise ValueError(f"{name!r} has a row already")
        ROWS[name] = Row(parsed, template, random)


class Arguments(SimpleNamespace):
    """A call's arguments by the row's names, which keep in mind which of them were looked at."""

    def __getattribute__(self, name: str) -> Any:
        """An argument, which counts as read from now on."""
        if not name.startswith("_"):
            super().__getattribute__("__dict__").setdefault("_read", set()).add(name)
        return super().__getattribute__(name)


def bound(op: Op, row: Row) -> Arguments:
    """The call's arguments by the row's names, with defaults."""
    args, kwargs = op.args, {key: value for key, value in op.kwargs.items() if key not in NO_ARGUMENTS}
    several = [p.name for p in row.signature.parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL]
    for name in several:
        if name in kwargs:  # flip(x, dims=(0, 1))
            args = (*args, kwargs.pop(name))
    for name, ours in AS_NUMPY.items():
        if name in kwargs and ours in row.signature.parameters and name not in row.signature.parameters:
            kwargs[ours] = kwargs.pop(name)
    if "self" in kwargs:
        args = (kwargs.pop("self"), *args)
    by_position = [p.name for p in row.signature.parameters.values() if p.kind is inspect.Parameter.POSITIONAL_ONLY]
    for name in by_position[len(args) :]:  # attention's: torch calls the keys key, which is the random one here
        given_as = "key" if name == "keys" else name
        if given_as in kwargs:
            args = (*args, kwargs.pop(given_as))
    try:
        given = row.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise PortError(f"{op.where}: {op.name} with these arguments is not ported: {error}") from None
    given.apply_defaults()
    return Arguments(**given.arguments)


def ndim(value: Any) -> int:
    """How many dimensions a value has; 0 for a number."""
    return len(value.shape) if isinstance(value, Val) else 0


def along(value: Val, dim: int, index: Any) -> tuple[Any, ...]:
    """What indexes one dimension of a value, all of those before it."""
    return (slice(None),) * (dim % max(ndim(value), 1)) + (index,)


def column(value: Val, dim: int) -> tuple[int, ...]:
    """The shape in which a row of numbers lies along one dimension of a value."""
    return tuple(-1 if i == dim % ndim(value) else 1 for i in range(ndim(value)))


@dataclass(frozen=True)
class Dtype:
    """A dtype by its name, to be written `jnp.float32`; as_given: or as that of an argument that has it.

    needless: whether the cast to it is left out where no argument has it. of: the value that it is asked of.
    """

    name: str
    as_given: bool = False
    needless: bool = False
    of: Val | None = None


class Weights(list[Any]):
    """All weights of a module in torch's order, which may be given by their names as well."""


def dropping(text: str, mode: str) -> Callable[[Any], str]:
    """The template of a dropout; one of nothing is nothing in either mode."""
    return lambda a: "input" if a.p == 0 and getattr(a, mode) is not None else text


def sizes(values: Any) -> tuple[Any, ...]:
    """Sizes given one by one or as one sequence."""
    return tuple(values[0]) if len(values) == 1 and isinstance(values[0], tuple | list) else tuple(values)


def with_(a: Any, then: Any, **values: Any) -> Any:
    """The template, after values were entered under new names."""
    for name, value in values.items():
        setattr(a, name, value)
    return then
