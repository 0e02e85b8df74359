"""Runs of equal blocks as one loop.

A run is a number of calls, or of groups of calls, that are the same but for the parameters they are given and the value
that goes from each to the next.
"""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fnlearn.port.expression import Replaced, below, hole, set_key, vals
from fnlearn.port.graph import Val, values
from fnlearn.port.merge import operations
from fnlearn.port.model import Function, Model, Statement

__all__ = ["LEAST", "reads", "scanned"]

LEAST = 8  # blocks: with fewer, the loop's own cost is more than what it saves (measured)
PERIODS = (1, 2, 3)
INDEX = re.compile(r"(.*?)(\d+)")  # of a block's name: what all have in common, and the number


@dataclass(frozen=True)
class Place:
    """Where a block's parameters are: parts of the path, one of which is a text and a number."""

    parts: tuple[str, ...]
    varies: int
    head: str
    index: int


def scanned(statements: list[Statement], read: Counter[int], body: Any, model: Model) -> list[Statement]:
    """The statements, with a loop for each run of at least `model.scan` blocks; read: how often each value is."""
    done: list[Statement] = []
    i = 0
    while i < len(statements):
        found = [run for period in PERIODS if (run := _run(statements[i:], period, read, body))]
        count, period, loop = max(found, key=lambda run: (run[0] * run[1], -run[1]), default=(0, 0, None))
        pays = model.scan < LEAST or not any(_convolves(s.callee) for s in statements[i : i + period])
        if loop is not None and count >= model.scan and pays:
            done.append(loop)
            i += count * period
        else:
            done.append(statements[i])
            i += 1
    return done


def _convolves(function: Function | None) -> bool:
    """Whether a block has a convolution, which XLA's loops on a CPU make slower without compiling sooner (measured)."""
    return function is not None and any("conv" in op.name for op in operations(function.inst))


def _run(rest: list[Statement], period: int, read: Counter[int], body: Any) -> tuple[int, int, Statement] | None:
    """How many blocks of a number of calls follow each other, and the loop that stands for them."""
    first, second = rest[:period], rest[period : 2 * period]
    if len(second) < period or not all(_plain(s) for s in (*first, *second)) or not _alike(first, second):
        return None
    carried = _carried(first, second)
    if carried is None:
        return None
    blocks = [first]
    places = [[_places(s, body)] for s in first]
    while True:
        block = rest[len(blocks) * period : (len(blocks) + 1) * period]
        out = blocks[-1][-1].outs
        whole = len(block) == period and all(_plain(s) for s in block)
        if not whole or not _alike(first, block) or not _same_wiring(first, carried, block, out, read):
            break
        for kept, statement in zip(places, block, strict=True):
            kept.append(_places(statement, body))
        if any(_index(kept) is None for kept in places):
            for kept in places:
                kept.pop()
            break
        blocks.append(block)
    if len(blocks) < 2 or not _inside_only(blocks, read):
        return None
    loop = _loop(first, carried, [_index(kept) for kept in places], len(blocks), body)
    return None if loop is None else (len(blocks), period, Statement(blocks[-1][-1].outs, first[0].where, loop))


def _plain(statement: Statement) -> bool:
    function = statement.callee
    return function is not None and function.params and not function.writes and isinstance(statement.outs, Val)


def _alike(first: Sequence[Statement], other: Sequence[Statement]) -> bool:
    """Whether they call the same functions with the same constants, on parameters of the same shapes."""
    return all(
        a.callee is not None
        and b.callee is not None
        and (a.callee.name, a.callee.slots) == (b.callee.name, b.callee.slots)
        and _shapes(a) == _shapes(b)
        and (a.outs.shape, a.outs.dtype) == (b.outs.shape, b.outs.dtype)
        for a, b in zip(first, other, strict=True)
    )


def _shapes(statement: Statement) -> list[Any]:
    assert statement.callee is not None
    module = statement.callee.inst.module
    held: list[tuple[str, Any]] = list(module.named_parameters())
    if statement.callee.buffers:
        held += module.named_buffers()
        held += [(name, x) for part in module.modules() for name, x in vars(part).items() if isinstance(x, Tensor)]
    return [(name, x.shape, x.dtype) for name, x in held]


def _read(block: Sequence[Statement]) -> list[Val]:
    return [val for statement in block for val in vals(statement.whole)]


def _carried(first: Sequence[Statement], second: Sequence[Statement]) -> Val | None:
    """What the first block is given where the second is given what came out of the first."""
    out = first[-1].outs
    met = {id(a): a for a, b in zip(_read(first), _read(second), strict=True) if b is out and a is not out}
    carried = next(iter(met.values()), None)
    if len(met) != 1 or carried is None or (carried.shape, carried.dtype) != (out.shape, out.dtype):
        return None
    return carried


def _same_wiring(
    first: Sequence[Statement], carried: Val, block: Sequence[Statement], entered: Val, read: Counter[int]
) -> bool:
    """Whether a block reads what corresponds to what the first reads, and it alone reads what it is handed on."""
    same = {id(carried): entered} | {id(a.outs): b.outs for a, b in zip(first, block, strict=True)}
    mine = _read(block)
    if any(same.get(id(a), a) is not b for a, b in zip(_read(first), mine, strict=True)):
        return False
    return read[id(entered)] == sum(val is entered for val in mine)


def _inside_only(blocks: list[list[Statement]], read: Counter[int]) -> bool:
    """Whether what a block works out on its way is read once, by the block itself."""
    return all(
        read[id(statement.outs)] == 1 and sum(v is statement.outs for v in _read(block)) == 1
        for block in blocks
        for statement in block[:-1]
    )


# parameters


def _places(statement: Statement, body: Any) -> tuple[str, ...] | None:
    assert statement.callee is not None
    parts = body.relative(statement.callee.inst.path)
    return None if parts is None else tuple(parts)


def _index(paths: list[tuple[str, ...] | None]) -> tuple[Place, int] | None:
    """The first block's place and the step to the next one's, where one number grows from block to block."""
    if any(parts is None or len(parts) != len(paths[0] or ()) for parts in paths):
        return None
    known = [parts for parts in paths if parts is not None]
    varying = [i for i in range(len(known[0])) if len({parts[i] for parts in known}) > 1]
    if len(varying) != 1:
        return None
    (at,) = varying
    met = [INDEX.fullmatch(parts[at]) for parts in known]
    if any(m is None or str(int(m[2])) != m[2] for m in met) or len({m[1] for m in met if m}) != 1:
        return None
    numbers = [int(m[2]) for m in met if m]
    step = numbers[1] - numbers[0]
    if step < 1 or numbers != list(range(numbers[0], numbers[-1] + 1, step)):
        return None
    return Place(known[0], at, met[0][1] if met[0] else "", numbers[0]), step


def _layers(first: Sequence[Statement], places: list[tuple[Place, int]], count: int, body: Any) -> ast.expr | None:
    """The parameters of all blocks, and their buffers where they need them: the containers, or a list of blocks."""
    place, step = places[0]
    kinds = [_kinds(statement) for statement in first]
    above = ".".join([*([body.base] if body.base else []), *place.parts[: place.varies]])
    alone = len(places) == 1 and place.varies == len(place.parts) - 1 and not place.head and place.index == 0
    names = {str(i) for i in range(count)}
    if alone and step == 1 and all(below(getattr(body.model, kind), above) == names for kind in kinds[0]):
        containers = [body.tree(kind, above) for kind in kinds[0]]
        containers[0].container = above
        return _together(containers)
    if len({step for _, step in places}) != 1:
        return None
    each = [
        _together([_element(kind, p, p.index - place.index, body) for kind in own])
        for (p, _), own in zip(places, kinds, strict=True)
    ]
    start = f"{place.index}, " if place.index or step > 1 else ""
    span = f"range({start}{place.index + count * step}{f', {step}' if step > 1 else ''})"
    made = ast.parse(f"[_ for i in {span}]", mode="eval").body
    assert isinstance(made, ast.ListComp)
    made.elt = _together(each)
    made.path = f"{above}."  # type: ignore[attr-defined]
    return made


def _kinds(statement: Statement) -> tuple[str, ...]:
    assert statement.callee is not None
    return ("params", "buffers") if statement.callee.buffers else ("params",)


def _together(parts: list[ast.expr]) -> ast.expr:
    return parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())


def _element(kind: str, place: Place, offset: int, body: Any) -> ast.expr:
    expression: ast.expr = body.tree(kind, body.base)
    number = f"i + {offset}" if offset > 0 else f"i - {-offset}" if offset < 0 else "i"
    for at, part in enumerate(place.parts):
        if at == place.varies:
            counted = ast.parse(number, mode="eval").body
            named = ast.JoinedStr([ast.Constant(place.head), ast.FormattedValue(counted, -1)])
            key: ast.expr = named if place.head else ast.parse(f"str({number})", mode="eval").body
        else:
            key = ast.Constant(part)
        expression = ast.Subscript(expression, key, ast.Load())
    return expression


# the loop


def _loop(first: Sequence[Statement], carried: Val, places: list[Any], count: int, body: Any) -> ast.expr | None:
    layers = _layers(first, places, count, body)
    calls = [statement.whole for statement in first]
    random = [call for call in calls if getattr(call, "random", False)]
    if layers is None:
        return None
    layer, inner = (
        Val((), "", names=dict.fromkeys(body.scopes, "layer")),
        Val((), "", names=carried.names | first[-1].outs.names),
    )
    made: dict[int, ast.expr] = {id(carried): hole(inner)}
    for i, (statement, call) in enumerate(zip(first, calls, strict=True)):
        assert isinstance(call, ast.Call)
        tree: ast.expr = hole(layer)
        if len(first) > 1:
            tree = ast.Subscript(tree, ast.Constant(i), ast.Load())
        own = len(_kinds(statement))
        tree = ast.Starred(tree, ast.Load()) if own > 1 else tree
        keywords = [ast.keyword(k.arg, Replaced(lambda val: made.get(id(val))).visit(k.value)) for k in call.keywords]
        args = [Replaced(lambda val: made.get(id(val))).visit(arg) for arg in call.args[own:]]
        made[id(statement.outs)] = own_call = ast.Call(call.func, [tree, *args], keywords)
        if len(random) > 1 and call in random:
            key = f"F.split_key(key, {len(random)})[{random.index(call)}]"
            set_key(own_call, ast.parse(key, mode="eval").body)
    block = made[id(first[-1].outs)]
    assert isinstance(block, ast.Call)
    fn: ast.expr = block.func
    bare = [getattr(arg, "val", None) for arg in block.args] == [layer, inner] and not block.keywords
    if not bare:
        names = ["layer", "x", *(["key"] if random else [])]
        arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
        fn = ast.Lambda(arguments, block)
        fn.bound = [layer, inner]  # type: ignore[attr-defined]
        body.bound |= {id(layer), id(inner)}
    call = ast.Call(ast.parse("F.scan_layers", mode="eval").body, [fn, layers, hole(carried)], [])
    if random:
        call.keywords.append(ast.keyword("key", ast.Name("key", ast.Load())))
        call.random = True  # type: ignore[attr-defined]
    return call


def reads(statements: list[Statement], *others: Any) -> Counter[int]:
    """How often each value is read, by statements and by what is returned."""
    count = Counter(id(v) for s in statements for v in vals(s.whole))
    for structure in others:
        count.update(id(v) for v in values(structure) if isinstance(v, Val))
    return count
