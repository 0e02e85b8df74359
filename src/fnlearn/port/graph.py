"""What a traced model is made of: values, operations, and calls of modules, as plain data."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = [
    "NORMS",
    "RECURRENT",
    "Call",
    "Inst",
    "Limit",
    "Op",
    "Opaque",
    "Sym",
    "Val",
    "Where",
    "inlined",
    "mapped",
    "of_torch",
    "tracked",
    "values",
]

NORMS = (  # they keep running statistics, which torch changes out of sight
    torch.nn.BatchNorm1d,
    torch.nn.BatchNorm2d,
    torch.nn.BatchNorm3d,
    torch.nn.SyncBatchNorm,
    torch.nn.InstanceNorm1d,
    torch.nn.InstanceNorm2d,
    torch.nn.InstanceNorm3d,
)
RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")  # functions of torch's that run a whole network
FUNCTIONS = (  # torch's own modules that are functions of their own in the source
    *NORMS,
    torch.nn.MultiheadAttention,
    torch.nn.Transformer,
    torch.nn.TransformerEncoder,
    torch.nn.TransformerDecoder,
    torch.nn.TransformerEncoderLayer,
    torch.nn.TransformerDecoderLayer,
)


@dataclass(eq=False)
class Val:
    """One tensor at one time: what changes it in place makes another.

    shape: numbers and `Sym`. kind: "value" for what is computed or given; "param", "buffer" or "constant" for what the
    model holds under `path`. A value with a path is a newer one of that buffer. names: how the source calls it, by the
    module whose code that is. others: what else it does, in order. zeros: whether it was made by `torch.zeros`.
    instead: what evaluation gives back untouched, where this is what comes out in either mode.
    """

    shape: tuple[Any, ...]
    dtype: str
    kind: str = "value"
    path: str = ""
    names: dict[int, str] = field(default_factory=dict)
    others: dict[int, list[str]] = field(default_factory=dict)
    zeros: bool = False
    instead: "Val | None" = None

    def __deepcopy__(self, _: Any) -> "Val":
        """Itself: an expression that is copied reads the same values."""
        return self


@dataclass(frozen=True)
class Sym:
    """A number that follows from the shapes of the inputs: an expression in their symbols, to be reckoned with."""

    text: str

    def _with(self, sign: str, other: Any, turned: bool = False) -> "Sym":
        one, two = f"({self.text})", f"({other.text})" if isinstance(other, Sym) else str(other)
        return Sym(f"{two} {sign} {one}" if turned else f"{one} {sign} {two}")

    def __add__(self, other: Any) -> "Sym":
        return self._with("+", other)

    def __radd__(self, other: Any) -> "Sym":
        return self if other == 0 else self._with("+", other, True)

    def __sub__(self, other: Any) -> "Sym":
        return self._with("-", other)

    def __rsub__(self, other: Any) -> "Sym":
        return self._with("-", other, True)

    def __mul__(self, other: Any) -> "Sym":
        return self._with("*", other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> "Sym":
        return self._with("//", other)

    def __neg__(self) -> "Sym":
        return self * -1


class Limit(float):
    """A number that a dtype decides, as `torch.finfo(dtype).min`.

    dtype, name: which of which. itself: whether the source names the dtype, and not that of a value.
    """

    dtype: str
    name: str
    itself: bool


@dataclass(frozen=True)
class Opaque:
    """Something that is neither a tensor nor a plain value, such as a cache; it comes back as None."""

    kind: str


@dataclass(frozen=True)
class Where:
    """A place in the user's code; file is empty where there is none."""

    file: str = ""
    line: int = 0
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else "code without a file"


@dataclass(eq=False)
class Op:
    """A call of torch's public API. args and kwargs hold Val and Sym where the call held tensors and sizes."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: Any
    where: Where
    module: str
    stopped: bool = False  # under `no_grad`: no gradient passes


@dataclass(eq=False)
class Inst:
    """A call of a module: what went in, what came out, and what it did on the way.

    writes: the values that buffers have in the end, by path. scopes: under which numbers values are named as this
    module's code names them; its own where none are given.
    """

    path: str
    kind: type
    module: Any
    args: dict[str, Any]
    where: Where
    body: list["Op | Inst"] = field(default_factory=list)
    outs: Any = None
    writes: dict[str, Val] = field(default_factory=dict)
    scopes: tuple[int, ...] = ()


Call = Op | Inst


def values(structure: Any) -> Iterator[Any]:
    """Every Val and Sym in a structure of lists, tuples, dicts and slices, in order."""
    if isinstance(structure, Val | Sym):
        yield structure
    elif isinstance(structure, dict):
        for part in structure.values():
            yield from values(part)
    elif isinstance(structure, list | tuple | set | frozenset):
        for part in structure:
            yield from values(part)
    elif isinstance(structure, slice):
        yield from values((structure.start, structure.stop, structure.step))


def mapped(change: Callable[[Any], Any], structure: Any) -> Any:
    """The structure with every leaf changed; named tuples become tuples, and mappings of other libraries dicts."""
    if isinstance(structure, Mapping):
        return {key: mapped(change, part) for key, part in structure.items()}
    if isinstance(structure, list):
        return [mapped(change, part) for part in structure]
    if isinstance(structure, tuple):
        return tuple(mapped(change, part) for part in structure)
    if isinstance(structure, slice):
        return slice(*(mapped(change, part) for part in (structure.start, structure.stop, structure.step)))
    return change(structure)


def tracked(inst: Inst) -> bool:
    """Whether a call is one of a batch normalisation that keeps running statistics: one call of ours does all of it."""
    return inst.kind in NORMS and "Batch" in inst.kind.__name__ and bool(inst.writes)


def of_torch(kind: type) -> bool:
    """Whether a module is one of torch's own layers and containers, and no function of its own in the source."""
    return kind.__module__.startswith("torch.nn.") and kind not in FUNCTIONS


def inlined(inst: Inst) -> bool:
    """Whether a call stands in its caller's function: torch's own layers and containers do, and what does nothing.

    A Sequential of several blocks that change buffers doesn't: its function gives back what became of all of them.
    """
    blocks = [call for call in inst.body if isinstance(call, Inst) and not tracked(call) and not inlined(call)]
    several = inst.kind is torch.nn.Sequential and sum(map(_changes, blocks)) > 1
    return not several if of_torch(inst.kind) else bool(inst.path) and not inst.body and not inst.writes


def _changes(inst: Inst) -> bool:
    """Whether a call changes buffers."""
    return bool(inst.writes) or any(_changes(call) for call in inst.body if isinstance(call, Inst))
