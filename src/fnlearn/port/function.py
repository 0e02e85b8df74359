"""The function that stands for a module: its statements, its arguments and its names."""

import ast
from collections import Counter
from functools import partial
from typing import Any

from fnlearn.port import frames
from fnlearn.port.drawing import draws, with_key
from fnlearn.port.errors import PortError
from fnlearn.port.expression import (
    Replaced,
    below,
    flat,
    hole,
    keyed,
    node,
    set_key,
    symbols,
    vals,
    written,
)
from fnlearn.port.graph import Inst, Op, Sym, Val, Where, inlined, mapped, tracked, values
from fnlearn.port.inline import inline
from fnlearn.port.merge import Fork
from fnlearn.port.model import Function, Model, Statement, arguments_of
from fnlearn.port.names import identifier
from fnlearn.port.naming import STOP, DtypesOfArguments, Named, Names, Sizes, behind, beside, looked_up
from fnlearn.port.ops import row_of
from fnlearn.port.scan import reads, scanned

__all__ = ["build"]

LETTERS = {2: "nt", 3: "ntc", 4: "nchw", 5: "ncdhw"}  # of sizes that the source does not name


def build(inst: Inst, model: Model) -> Function:
    """The function of a module's call, given those of the calls inside it."""
    function = Function(inst)
    if len(inst.body) == 1 and isinstance(inst.body[0], Fork):
        bodies = inst.body[0].train, inst.body[0].evaluation
        train, evaluation = (_Body(Function(body), inst, model, False).built() for body in bodies)
        if train.writes != evaluation.writes:  # the buffers come out of both
            train, evaluation = (_Body(Function(body), inst, model, True).built() for body in bodies)
        return _forked(function, train, evaluation)
    return _Body(function, inst, model, False).built()


def _forked(function: Function, train: Function, evaluation: Function) -> Function:
    for name in ("params", "buffers", "writes", "key"):
        setattr(function, name, getattr(train, name) or getattr(evaluation, name))
    function.train = True
    given = {id(v): (n, v) for part in (evaluation, train) for n, v in part.arguments}
    function.arguments = list(given.values())
    function.foreign = list({id(v): (n, v) for part in (train, evaluation) for n, v in part.foreign}.values())
    body = [line for line, _ in train.lines]
    branch = ast.If(ast.Name("train", ast.Load()), body, [])
    function.lines = [(branch, Where()), *evaluation.lines]
    return function


class _Body:
    """The statements of one body while they are worked out."""

    def __init__(self, function: Function, named: Inst, model: Model, always_writes: bool):
        self.function, self.inst, self.model = function, function.inst, model
        self.scopes = [*(self.inst.scopes or (id(self.inst),)), *(named.scopes or (id(named),))]
        self.base = self.inst.path
        self.writes = dict(self.inst.writes)
        self.always_writes = always_writes
        self.same: dict[int, Val] = {}
        self.arguments = arguments_of(named)
        self.dtypes = DtypesOfArguments(self.arguments, self.inst, model.params)
        self.given = {id(val) for _, val in self.arguments}
        self.statements: list[Statement] = []
        self.bound: set[int] = set()  # what has its value inside a lambda alone
        self.state: dict[str, Val] = {}  # what a module's call made of its buffers, by the module's path

    def built(self) -> Function:
        self._walk(self.inst.body)
        self.outs = self._resolved_structure(self.inst.outs)
        self._drop_unused()
        self.statements = scanned(self.statements, self._reads(), self, self.model)
        self._inline()
        self._name_all()
        return self.function

    # what is done, in order

    def _walk(self, body: list[Any]) -> None:
        for call in body:
            if isinstance(call, Op):
                self._op(call)
            elif inlined(call):
                self._walk(call.body)
                self.writes |= call.writes
            elif tracked(call):
                self._norm(call)
            else:
                self._call(call)

    def _op(self, op: Op) -> None:
        row = row_of(op.name)
        if row is None:
            raise PortError(f"{op.where}: {op.name} has no row in the table of operations")
        expression = written(op, row)
        if hasattr(expression, "val") and isinstance(op.outs, Val) and not op.stopped:
            self._alias(op.outs, expression.val)
            return
        if op.stopped:
            expression = _stopped(expression)
        if isinstance(expression, ast.expr):
            expression = self.dtypes.visit(expression)
        if row.random and draws(op):
            with_key(expression)
        statement = Statement(op.outs, op.where)
        if isinstance(expression, list):
            statement.parts = [self._resolved(part) for part in expression]
        else:
            statement.whole = self._resolved(expression)
        self.statements.append(statement)

    def _call(self, inst: Inst) -> None:
        function = self.model.functions[id(inst)]
        statement = Statement(inst.outs, inst.where, self._resolved(self._call_of(function, inst)), callee=function)
        self.statements.append(statement)
        if not flat(inst.outs):
            statement.outs = result = Val((), "")
            self._take_apart(inst.outs, hole(result), inst.where)
        if function.writes:
            statement.outs = (statement.outs, self._new_state(inst.path))

    def _norm(self, inst: Inst) -> None:
        """A normalisation that keeps running statistics: its buffers go in and come out, unless it is never trained."""
        update = next(op for op in inst.body if isinstance(op, Op) and op.name == "F.batch_norm_update")
        x, mean, var, weight, bias, training, _, eps = update.args
        called = partial(Op, where=inst.where, module=inst.path, stopped=update.stopped)
        if training is False:
            for new, old in zip(update.outs[1:], (mean, var), strict=True):
                self._alias(new, old)
            self._op(called("F.batch_norm", (x, mean, var, weight, bias), {"eps": eps}, inst.outs))
            return
        buffers, before = Val((), ""), self.tree("buffers", inst.path)
        outs = (inst.outs, self._new_state(inst.path))
        options = {"training": training, "momentum": inst.module.momentum, "eps": eps}
        self._op(called("F.batch_norm_tracked", (x, buffers, weight, bias), options, outs))
        statement = self.statements[-1]
        assert statement.whole is not None
        statement.whole = Replaced(lambda val: before if val is buffers else None).visit(statement.whole)

    def _new_state(self, path: str) -> Val:
        """What a call made of the buffers under a path."""
        name = "_".join(self.relative(path) or ["buffers"])
        name = f"buffers_{name}" if name[0].isdigit() else identifier(name)
        self.state[path] = new = Val((), "", names=dict.fromkeys(self.scopes, name))
        return new

    def _take_apart(self, structure: Any, result: ast.expr, where: Where) -> None:
        """What is in a result of dicts and the like, each by where it is."""
        parts = structure.items() if isinstance(structure, dict) else enumerate(structure)
        for key, part in parts:
            inner = ast.Subscript(result, ast.Constant(key), ast.Load())
            if isinstance(part, Val):
                self.statements.append(Statement(part, where, inner))
            elif isinstance(part, dict | list | tuple):
                self._take_apart(part, inner, where)

    def _call_of(self, function: Function, inst: Inst) -> ast.expr:
        args: list[ast.expr] = []
        if function.params:
            args.append(self.tree("params", inst.path))
        if function.buffers:
            args.append(self.tree("buffers", inst.path))
        args += [hole(val) for _, val in (*function.arguments, *function.foreign)]
        keywords = [ast.keyword(name, node(value)) for name, value in function.slots.items()]
        if function.train:
            keywords.append(ast.keyword("train", ast.Name("train", ast.Load())))
        if function.key:
            keywords.append(ast.keyword("key", ast.Name("key", ast.Load())))
        call = ast.Call(ast.Name(function.name, ast.Load()), args, keywords)
        call.random = function.key  # type: ignore[attr-defined]
        return call

    # values that are others, and what the model holds

    def _alias(self, new: Val, old: Val) -> None:
        old = self._of(old)
        self.same[id(new)] = old
        if old.kind == "value":
            for scope, name in new.names.items():
                for called in (name, *new.others.get(scope, [])):
                    frames.name(old, scope, called)

    def _of(self, val: Val) -> Val:
        while id(val) in self.same:
            val = self.same[id(val)]
        return val

    def _resolved(self, expression: ast.expr) -> ast.expr:
        return Replaced(lambda val: None if self._of(val) is val else hole(self._of(val))).visit(expression)

    def _resolved_structure(self, structure: Any) -> Any:
        return mapped(lambda leaf: self._of(leaf) if isinstance(leaf, Val) else leaf, structure)

    def tree(self, kind: str, path: str) -> ast.expr:
        """The parameters or buffers under a path, as they are by now."""
        if kind == "buffers" and path in self.state:
            return hole(self.state[path])
        rest = self.relative(path)
        if rest is None:
            return hole(self.model.trees.setdefault((kind, path), Val((), "", kind, path)))
        setattr(self.function, kind, True)
        expression: ast.expr = ast.Name(kind, ast.Load())
        for part in rest:
            expression = ast.Subscript(expression, ast.Constant(part), ast.Load())
        if kind == "params":
            expression.path = path  # type: ignore[attr-defined]
        return expression

    def relative(self, path: str) -> list[str] | None:
        if not self.base:
            return path.split(".") if path else []
        if path == self.base:
            return []
        return path[len(self.base) + 1 :].split(".") if path.startswith(f"{self.base}.") else None

    # what is needed

    def _drop_unused(self) -> None:
        needed = {id(v) for v in values(self.outs) if isinstance(v, Val)}
        needed |= {id(self._of(v)) for v in (*self.writes.values(), *self.state.values())}
        kept = []
        for statement in reversed(self.statements):
            outs = [v for v in values(statement.outs) if isinstance(v, Val)]
            writes = statement.callee is not None and statement.callee.writes
            if not writes and not any(id(out) in needed for out in outs):
                continue
            if statement.parts is not None:
                pairs = [(o, e) for o, e in zip(statement.outs, statement.parts, strict=True) if id(o) in needed]
                for out, part in reversed(pairs):
                    kept.append(Statement(out, statement.where, whole=part))
                    needed |= {id(v) for v in vals(part)}
                continue
            assert statement.whole is not None
            needed |= {id(v) for v in vals(statement.whole)}
            statement.outs = _unused_out(statement.outs, needed)
            kept.append(statement)
        self.statements = kept[::-1]

    def _reads(self) -> Counter[int]:
        return reads(self.statements, self.outs, [self._of(v) for v in (*self.writes.values(), *self.state.values())])

    def _inline(self) -> None:
        outs = node(self.outs) if self.outs is not None else ast.Constant(None)
        ends = [end for end in (outs, self._buffers_after()) if end is not None]
        written = {id(self._of(v)) for v in self.writes.values()}
        self.statements, ends = inline(self.statements, ends, self._reads(), written, self._named, self.base)
        self._returned: ast.expr = ends[0]
        self._new_buffers: ast.expr | None = ends[1] if len(ends) > 1 else None

    def _named(self, val: Val) -> str:
        return next((val.names[scope] for scope in self.scopes if scope in val.names), "")

    def _also(self, val: Val) -> list[str]:
        """What else the source calls a value."""
        return [name for scope in self.scopes for name in val.others.get(scope, [])]

    # names

    def _name_all(self) -> None:
        function = self.function
        ends = (self._returned, self._new_buffers)
        function.writes = function.writes or self._new_buffers is not None
        expressions = [e for e in (*(s.whole for s in self.statements), *ends) if e is not None]
        sizes = Sizes(self.arguments, self.model, self._size_name)
        expressions = [sizes.of(e) for e in expressions]
        self.size_local = sizes.local
        self.size_behind = behind(sizes.local, expressions, [statement.outs for statement in self.statements])
        for statement, expression in zip(self.statements, expressions, strict=False):
            statement.whole = expression
        self._returned = expressions[len(self.statements)]
        if self._new_buffers is not None:
            self._new_buffers = expressions[-1]
        self._place_sizes([*expressions, *self.size_local.values()])
        used = {id(v) for e in expressions for v in vals(e)} | {id(v) for v, _ in self.size_at.values()}
        function.arguments = [(name, val) for name, val in self.arguments if id(val) in used]
        self._find_foreign(expressions)
        self._last_uses(expressions)
        names = Names(function, self._named, self._also, {f.name for f in self.model.functions.values()})
        lines: list[tuple[ast.stmt, Where]] = []
        lines += self._head_lines(names)
        lines += self._key_lines(expressions, names)
        for i, statement in enumerate(self.statements):
            value = self._finished(statement.whole, names)
            lines += [(line, Where()) for line in names.handed_on(statement.outs, i, self.last)]
            target = names.target(statement.outs, partial(self._hint, index=i))
            if (
                isinstance(target, ast.Tuple)
                and isinstance(value, ast.Tuple)
                and isinstance(value.elts[0], ast.Starred)
            ):
                value = value.elts[0].value  # q, k, v = qkv
            lines.append((ast.Assign([target], value, lineno=0), statement.where))
            lines += looked_up(self._places([s for s, at in self.size_behind.items() if at[0] == i]), names)
        returned = self._finished(self._returned, names)
        if self._new_buffers is not None or self.always_writes:
            new = self._finished(self._new_buffers, names) if self._new_buffers is not None else self._all_buffers()
            returned = ast.Tuple([returned, new], ast.Load())
            function.writes = True
        lines.append((ast.Return(returned), Where()))
        function.lines = lines
        parts = [n for line, _ in lines for n in ast.walk(line)]
        self.model.opened.update((self.base, n.path) for n in parts if hasattr(n, "path"))
        self.model.stacked.update(n.container for n in parts if hasattr(n, "container"))
        function.train = function.train or any(_mentions(line, "train") for line, _ in lines)

    def _all_buffers(self) -> ast.expr:
        self.function.buffers = True
        return ast.Name("buffers", ast.Load())

    def _buffers_after(self) -> ast.expr | None:
        new: dict[str, Any] = {}
        for path, val in self.writes.items():
            if not any(path == p or path.startswith(f"{p}.") for p in self.state):
                new[path] = hole(self._of(val))
        new |= {path: hole(val) for path, val in self.state.items()}
        if not new:
            return None
        self.function.buffers = True
        tree: dict[str, Any] = {}
        for path, expression in new.items():
            parts = self.relative(path)
            if parts is None:
                raise PortError(f"buffers of {path!r} are changed from {self.base!r}, which is not above it")
            branch = tree
            for part in parts[:-1]:
                branch = branch.setdefault(part, {})
            branch[parts[-1]] = expression
        return self._dict(tree, [])

    def _dict(self, tree: dict[str, Any], path: list[str]) -> ast.expr:
        full = ".".join([*([self.base] if self.base else []), *path])
        keys: list[ast.expr | None] = []
        parts: list[ast.expr] = []
        if set(tree) != below(self.model.buffers, full):
            old: ast.expr = ast.Name("buffers", ast.Load())
            for part in path:
                old = ast.Subscript(old, ast.Constant(part), ast.Load())
            keys.append(None)
            parts.append(old)
        for key, value in tree.items():
            keys.append(ast.Constant(key))
            parts.append(self._dict(value, [*path, key]) if isinstance(value, dict) else value)
        return ast.Dict(keys, parts)

    def _find_foreign(self, expressions: list[ast.expr]) -> None:
        known = self.bound | self.given | {id(v) for s in self.statements for v in values(s.outs) if isinstance(v, Val)}
        for expression in expressions:
            for val in vals(expression):
                if id(val) in known:
                    continue
                if val.path in self.model.literals or (val.kind != "value" and self.relative(val.path) is not None):
                    continue
                known.add(id(val))
                self.function.foreign.append(("", val))
        for val, _ in self.size_at.values():
            if id(val) not in known:
                known.add(id(val))
                self.function.foreign.append(("", val))

    def _last_uses(self, expressions: list[ast.expr]) -> None:
        self.last = {id(val): i for i, expression in enumerate(expressions) for val in self._read(expression)}

    def _read(self, expression: ast.expr) -> list[Val]:
        """The values an expression reads, those whose shape it looks up among them."""
        shapes = [self.size_at[s][0] for s in symbols(expression) if s not in self.size_names]
        return [*vals(expression), *shapes]

    def _hint(self, out: Val, index: int) -> str:
        """A name for what the source doesn't name: as it is passed on, or that of what it ends up in or came from."""
        if out.path:
            return out.path.rpartition(".")[2]
        current = out
        for later in self.statements[index + 1 :]:
            first = next((val for val in values(later.outs) if isinstance(val, Val)), None)
            if first is not None and any(v is current for v in vals(later.whole)):
                if later.callee is not None and (name := later.callee.calls_it(current, later.whole)):
                    return name
                current = first
                if self._named(current):
                    return self._named(current)
        first = next((v for v in vals(self.statements[index].whole) if v.kind == "value"), None)
        return (self._named(first) if first is not None else "") or "x"

    # sizes

    def _place_sizes(self, expressions: list[ast.expr]) -> None:
        """Where each size can be looked up, and the name it has at the function's head, if it has one."""
        found = list(dict.fromkeys(s for e in expressions for s in symbols(e)))
        self.size_names: dict[str, str] = {}
        self.size_at: dict[str, tuple[Val, int]] = {}
        for symbol in found:
            name = self._size_name(symbol)
            if symbol in self.size_local:
                self.size_names[symbol] = identifier(name)
                continue
            if symbol in self.size_behind:
                self.size_names[symbol], self.size_at[symbol] = identifier(name), self.size_behind[symbol][1:]
                continue
            place = self._place_of(symbol)
            if not name and self._rebound(place[0]):
                near = beside(symbol, expressions, self.bound)
                if near is None:
                    name = LETTERS.get(len(place[0].shape), "n")[place[1] : place[1] + 1] or f"size_{place[1]}"
                place = near or place
            self.size_at[symbol] = place
            if name:
                self.size_names[symbol] = identifier(name)

    def _size_name(self, symbol: str) -> str:
        """What the source calls a size."""
        return next((self.model.sizes[(s, symbol)] for s in self.scopes if (s, symbol) in self.model.sizes), "")

    def _rebound(self, argument: Val) -> bool:
        """Whether an argument's name is taken by another value on the way, and its shape out of reach from there on."""
        own = next((name for name, val in self.arguments if val is argument), "")
        outs = [v for s in self.statements for v in values(s.outs) if isinstance(v, Val)]
        return any(self._named(out) == own for out in outs)

    def _place_of(self, symbol: str) -> tuple[Val, int]:
        """The first argument that has the size, else the input of the model that brought it."""
        for _, val in self.arguments:
            for i, size in enumerate(val.shape):
                if isinstance(size, Sym) and size.text == symbol:
                    return val, i
        return self.model.roots[symbol]

    def _head_lines(self, names: Names) -> list[tuple[ast.stmt, Where]]:
        for symbol, name in list(self.size_names.items()):
            self.size_names[symbol] = names.fixed(name)
        here = [s for s in self.size_names if s not in self.size_local and s not in self.size_behind]
        lines = looked_up(self._places(here), names)
        for symbol, size in self.size_local.items():
            target = ast.Name(self.size_names[symbol], ast.Store())
            lines.append((ast.Assign([target], self._finished(size, names), lineno=0), Where()))
        return lines

    def _places(self, sizes: list[str]) -> list[tuple[str, Val, int]]:
        return [(self.size_names[symbol], *self.size_at[symbol]) for symbol in sizes]

    def _key_lines(self, expressions: list[ast.expr], names: Names) -> list[tuple[ast.stmt, Where]]:
        calls = [c for e in expressions for c in keyed(e)]
        if not calls:
            return []
        self.function.key = True
        if len(calls) == 1:
            return []
        keys = [names.fixed(f"key_{i}") for i in range(len(calls))]
        for call, name in zip(calls, keys, strict=True):
            set_key(call, ast.Name(name, ast.Load()))
        text = f"{', '.join(keys)} = F.split_key(key, {len(keys)})"
        return [(ast.parse(text).body[0], Where())]

    # the text

    def _finished(self, expression: ast.expr | None, names: Names) -> ast.expr:
        """The expression with every value by its name."""
        assert expression is not None
        return Named(self, names).visit(expression)


def _stopped(expression: Any) -> Any:
    if isinstance(expression, list):
        return [_stopped(part) for part in expression]
    return ast.Call(ast.parse(STOP, mode="eval").body, [expression], [])


def _unused_out(outs: Any, needed: set[int]) -> Any:
    """The outputs with None for those that nobody uses."""
    if isinstance(outs, tuple | list):
        return tuple(_unused_out(part, needed) for part in outs)
    return outs if isinstance(outs, Val) and id(outs) in needed else None


def _mentions(tree: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(tree))
