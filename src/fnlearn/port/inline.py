"""What has no name in the source stands where it is used, as long as a person could read it there."""

import ast
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from fnlearn.port.expression import Replaced, repeated, vals
from fnlearn.port.frames import Lent
from fnlearn.port.graph import Val, values
from fnlearn.port.model import Statement
from fnlearn.port.source import start

__all__ = ["inline"]

LONGEST = 100  # characters of an expression, above which a value without a name gets one
WIDEST = 110  # characters of a statement, above which what is worked out inside of it gets a line of its own
LEAST = 24  # characters that are worth a line
NAMELESS = 6  # characters of a name to be

Named = Callable[[Val], str]
Width = Callable[[Any], int]


def inline(
    statements: list[Statement], ends: list[ast.expr], uses: Counter[int], written: set[int], named: Named, base: str
) -> tuple[list[Statement], list[ast.expr]]:
    """The statements that are left, and the expressions at the end, with all others inside of them.

    uses: how often a value is read. written: values that a buffer has in the end. named: what the source calls one.
    base: the path of the module.
    """
    width = partial(_width, named=named, base=base)
    uses.update(id(v) for s in statements for v in repeated(s.whole))  # worked out before the loop
    consumers = {id(v): s for s in statements for v in vals(s.whole)}
    defined: dict[int, Statement] = {}
    kept: list[Statement] = []
    for statement in statements:
        assert statement.whole is not None
        statement.whole = _filled(statement.whole, defined, kept, width(statement.outs), width)
        out = statement.outs
        once = isinstance(out, Val) and uses[id(out)] == 1 and id(out) not in written
        has_name = isinstance(out, Val) and named(out) and not isinstance(named(out), Lent)
        rest = once and has_name and bool(kept) and _is_rest(statement, kept[-1], named)
        if rest:  # x, bn = …; x = F.conv2d(F.relu(x), …), where the source has x = self.relu(self.bn(…))
            kept[-1].outs[0].names |= out.names
        if once and (rest or not has_name) and _fits(statement, consumers, named):
            defined[id(out)] = statement
        else:
            kept.append(statement)
    finished = []
    for i, expression in enumerate(ends):
        beside = sum(width(other) for other in ends[i + 1 :])
        finished.append(_filled(expression, defined, kept, beside if beside < WIDEST else 0, width))
    return kept, finished


def _filled(
    expression: ast.expr, defined: dict[int, Statement], kept: list[Statement], beside: int, width: Width
) -> ast.expr:
    """The expression with what has no name in it; what makes it too wide gets a statement of its own first."""
    inside = {id(v): width(defined[id(v)].whole) for v in vals(expression) if id(v) in defined}
    needed = beside + width(expression) + sum(inside.values())
    for key, saved in sorted(inside.items(), key=lambda pair: -pair[1]):
        if needed <= WIDEST or saved < LEAST:
            break
        needed -= saved
        kept.append(defined.pop(key))
    return Replaced(lambda val: defined[id(val)].whole if id(val) in defined else None).visit(expression)


def _width(part: Any, named: Named, base: str) -> int:
    """About the characters of an expression's text, or of the names of outputs."""
    if not isinstance(part, ast.expr):
        return sum(len(named(val)) or NAMELESS for val in values(part) if isinstance(val, Val))
    width = len(ast.unparse(part)) + sum(len(named(val)) for val in vals(part))
    held = [val.path.rpartition(".")[0] for val in vals(part) if val.kind == "param"]
    for module in set(held):  # **params["fc"] in the place of weight=_, bias=_
        inside = module.removeprefix(base).strip(".")
        width += 8 + len(inside) + 4 * (inside.count(".") + 1) - 10 * held.count(module)
    for n in ast.walk(part):
        if isinstance(n, ast.keyword) and getattr(n, "default", False):
            width -= len(ast.unparse(n)) + 2
        elif isinstance(n, ast.List) and hasattr(n, "weights"):  # one name for all of them
            width -= 3 * len(n.elts) - 12
    return width


def _is_rest(statement: Statement, before: Statement, named: Named) -> bool:
    """Whether a statement is the short end of one of the source, all but which is in the statement before."""
    assert statement.whole is not None
    first = before.outs[0] if isinstance(before.outs, tuple) and before.outs else None
    follows = isinstance(first, Val) and not named(first) and any(val is first for val in vals(statement.whole))
    return follows and start(before.where) == start(statement.where) and _small(statement.whole)


def _fits(statement: Statement, consumers: dict[int, Statement], named: Named) -> bool:
    """Whether a value can stand where it is used: in the same statement of the source, or short."""
    assert statement.whole is not None
    consumer = consumers.get(id(statement.outs))
    near = consumer is None or start(consumer.where) == start(statement.where) or _small(statement.whole)
    near = near or isinstance(named(statement.outs), Lent)
    return near and len(ast.dump(statement.whole)) // 12 < LONGEST  # about the characters of its text


def _small(expression: ast.expr) -> bool:
    return len(list(ast.walk(expression))) < 12
