"""Sizes of one: whether what was recorded for more than one is what torch does with one as well.

Torch has no symbol for a size of one, and models ask for it where nothing depends on it: `if n != 1: x = x.expand(n,
-1)`. Two recordings are the same program if they are the same calls, but for those that change nothing at that size.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import sympy  # type: ignore[import-untyped]

from fnlearn.port.graph import Inst, Op, Sym, Val, mapped
from fnlearn.port.sizes import symbol_named
from fnlearn.port.traced import Trace

__all__ = ["Places", "same_at_one", "taking_one"]

REPEATING = {"expand", "expand_as", "broadcast_to", "repeat", "tile", "reshape", "view"}  # nothing, if the shape stays

Places = frozenset[tuple[int, int]]  # tensors among the inputs, and dimensions of them


def taking_one(recorded: Trace, record: Callable[[Places], Trace], raised: Places) -> Trace:
    """The recording without the conditions that a size is more than one, where it is the same program then.

    record: makes a recording like it that has a size of one in some places. raised: where the example has one itself.
    """
    found: list[Places] = [raised] if raised else []
    for places in dict.fromkeys(_as_large(recorded, c.beyond_one) for c in recorded.conditions if c.beyond_one):
        among = [places.union(*others) for n in range(len(found) + 1) for others in itertools.combinations(found, n)]
        if places and all(_agrees(recorded, record, ones) for ones in among):
            found.append(places)
    return _without(recorded, frozenset().union(*found))


def same_at_one(more: Trace, one: Trace, places: Places) -> bool:
    """Whether the recording of an example with a batch of more is that with a batch of one, where it is one."""
    return more.like_the_example and _same(more, one, places)


def _without(recorded: Trace, places: Places) -> Trace:
    return dataclasses.replace(recorded, conditions=[c for c in recorded.conditions if c.beyond_one not in places])


def _as_large(recorded: Trace, place: tuple[int, int]) -> Places:
    """All that is of the same symbolic size as this dimension of an input; nothing where that is a number."""
    size = recorded.inputs[place[0]].shape[place[1]]
    shapes = enumerate(val.shape for val in recorded.inputs)
    alike = ((i, dim) for i, shape in shapes for dim, other in enumerate(shape) if other == size)
    return frozenset(alike if isinstance(size, Sym) else ())


def _agrees(recorded: Trace, record: Callable[[Places], Trace], ones: Places) -> bool:
    try:
        one = record(ones)
    except Exception:  # torch says by many kinds of error that it takes no size of one
        return False
    return _same(recorded, one, ones)


def _same(more: Trace, one: Trace, places: Places) -> bool:
    """Whether two recordings are the same program where these places have a size of one."""
    known = {c.holds for c in more.conditions}
    try:
        return all(c.holds in known for c in one.conditions) and _told(more, places) == _told(one, places)
    except ZeroDivisionError:  # of a size less one
        return False


def _told(recorded: Trace, places: Places) -> list[str]:
    """The calls of a recording, with a number for each size."""
    numbers: dict[Any, Any] = {}
    at = [(i, dim, size) for i, val in enumerate(recorded.inputs) for dim, size in enumerate(val.shape)]
    for i, dim, size in at:
        symbol = recorded.expressions.get(size.text) if isinstance(size, Sym) else None
        if symbol is not None and symbol.is_Symbol:
            numbers.setdefault(symbol, sympy.Integer(1 if (i, dim) in places else 1009 + 100 * i + 10 * dim))
    for name, meant in recorded.defined.items():
        numbers[symbol_named(name)] = meant.xreplace(numbers)
    known: dict[int, Any] = {}
    counted = itertools.count()

    def number(n: Any) -> Any:
        return recorded.expressions[n.text].xreplace(numbers) if isinstance(n, Sym) else n

    def shape(val: Val) -> tuple[Any, ...]:
        return tuple(map(number, val.shape))

    def leaf(value: Any) -> Any:
        if not isinstance(value, Val):
            return number(value)
        if id(value) not in known:
            known[id(value)] = next(counted), value.dtype, value.kind, value.path
        return known[id(value)], shape(value)

    def unchanged(op: Op) -> bool:
        given = op.args[0] if op.name in REPEATING and op.args else None
        return isinstance(given, Val) and isinstance(op.outs, Val) and shape(given) == shape(op.outs)

    def calls(inst: Inst) -> Iterator[str]:
        yield repr((inst.path, mapped(leaf, inst.args)))
        for call in inst.body:
            if isinstance(call, Inst):
                yield from calls(call)
            elif unchanged(call):
                known[id(call.outs)] = leaf(call.args[0])[0]
            else:
                yield repr((call.name, call.stopped, *(mapped(leaf, x) for x in (call.args, call.kwargs, call.outs))))
        yield repr((mapped(leaf, inst.outs), mapped(leaf, inst.writes)))

    return list(calls(recorded.root))
