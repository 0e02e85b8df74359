"""The functions of a model, as plain data."""

import ast
from dataclasses import dataclass, field
from typing import Any

from fnlearn.port.graph import Inst, Val, Where

__all__ = ["Function", "Model", "Statement", "arguments_of"]


@dataclass(eq=False)
class Function:
    """A module's function.

    arguments: names of what it is given, in order, with the values they are. foreign: the same for what it needs from
    outside its own part of the model. lines: its statements, each with the place in the user's source it came from.
    slots: the constants in which the calls of one function differ, by the names of the arguments that take them.
    """

    inst: Inst
    name: str = ""
    arguments: list[tuple[str, Val]] = field(default_factory=list)
    foreign: list[tuple[str, Val]] = field(default_factory=list)
    lines: list[tuple[ast.stmt, Where]] = field(default_factory=list)
    params: bool = False
    buffers: bool = False
    writes: bool = False
    train: bool = False
    key: bool = False
    slots: dict[str, Any] = field(default_factory=dict)

    def calls_it(self, val: Val, call: Any) -> str:
        """What the function calls a value that a call passes to it; nothing if it passes none."""
        given = [getattr(arg, "val", None) for arg in getattr(call, "args", ())][self.params + self.buffers :]
        return next((name for (name, _), passed in zip(self.arguments, given, strict=False) if passed is val), "")


@dataclass(eq=False)
class Statement:
    """One assignment to be. parts: an expression for each output, or None when `whole` gives them all at once."""

    outs: Any
    where: Where
    whole: ast.expr | None = None
    parts: list[ast.expr] | None = None
    callee: Function | None = None


@dataclass(frozen=True)
class Model:
    """What every function of a model is built with.

    functions: those of the calls of modules, by the call's id. sizes: how the source calls symbolic sizes, by scope and
    symbol. expressions: sizes as sympy has them, by their text. defined: those that have a symbol of their own, by its
    name. texts: these texts, by how Python itself would lay them out. roots: an input of the model that has a symbol
    among its sizes, and where. params, buffers: all paths. literals: constants that stand in the text itself, the name
    of each by its path. trees: stand-ins for the parameters or buffers of modules that are used from elsewhere in the
    model. scan: how many equal blocks become a loop. stacked: the containers whose layers a loop goes through; opened:
    which module uses the parameters under which path.
    """

    sizes: dict[tuple[int, str], str]
    expressions: dict[str, Any]
    defined: dict[str, Any]
    texts: dict[str, str]
    roots: dict[str, tuple[Val, int]]
    params: list[str]
    buffers: list[str]
    literals: dict[str, str]
    scan: float
    functions: dict[int, Function] = field(default_factory=dict)
    trees: dict[tuple[str, str], Val] = field(default_factory=dict)
    stacked: set[str] = field(default_factory=set)
    opened: set[tuple[str, str]] = field(default_factory=set)


def arguments_of(inst: Inst) -> list[tuple[str, Val]]:
    """What a call is given, flat, each value once."""
    found: list[tuple[str, Val]] = []

    def enter(name: str, value: Any) -> None:
        if isinstance(value, Val):
            if all(val is not value for _, val in found):
                found.append((name, value))
        elif isinstance(value, dict):
            for key, part in value.items():
                enter(f"{name}_{key}", part)
        elif isinstance(value, list | tuple):
            for i, part in enumerate(value):
                enter(f"{name}_{i}", part)

    for name, value in inst.args.items():
        enter(name, value)
    return found
