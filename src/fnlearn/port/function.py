"""The function that stands for a module: its statements, its arguments and its names."""

import ast
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fnlearn.port.errors import PortError
from fnlearn.port.expression import hole, node, written
from fnlearn.port.graph import Inst, Op, Sym, Val, Where, inlined, values
from fnlearn.port.merge import Fork, Mode
from fnlearn.port.names import identifier
from fnlearn.port.ops import row_of

__all__ = ["Function", "Statement", "build"]

LONGEST = 100  # characters of an expression, above which a value without a name gets one


@dataclass(eq=False)
class Function:
    """A module's function.

    arguments: names of what it is given, in order, with the values they are. foreign: the same for what it needs from
    outside its own part of the model. lines: its statements, each with the place in the user's source it came from. slots: the
    constants in which the calls of one function differ, by the names of the arguments that take them.
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
    symbol. roots: an input of the model that has a symbol among its sizes, and where. params, buffers: all paths.
    trees: stand-ins for the parameters or buffers of modules that are used from elsewhere in the model.
    """

    sizes: dict[tuple[int, str], str]
    roots: dict[str, tuple[Val, int]]
    params: list[str]
    buffers: list[str]
    functions: dict[int, Function] = field(default_factory=dict)
    trees: dict[tuple[str, str], Val] = field(default_factory=dict)


def build(inst: Inst, model: Model) -> Function:
    """The function of a module's call, given those of the calls inside it."""
    function = Function(inst)
    if len(inst.body) == 1 and isinstance(inst.body[0], Fork):
        fork = inst.body[0]
        writes = bool(fork.train.writes or fork.evaluation.writes)
        train = _Body(Function(fork.train), inst, model, writes).built()
        evaluation = _Body(Function(fork.evaluation), inst, model, writes).built()
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
        self.arguments = _arguments(named)
        self.given = {id(val) for _, val in self.arguments}
        self.statements: list[Statement] = []
        self.state: dict[str, Val] = {}  # what a module's call made of its buffers, by the module's path

    def built(self) -> Function:
        self._walk(self.inst.body)
        self.outs = self._resolved_structure(self.inst.outs)
        self._drop_unused()
        self._inline()
        self._name_all()
        return self.function

    # what is done, in order

    def _walk(self, body: list[Any]) -> None:
        for call in body:
            if isinstance(call, Op):
                self._op(call)
            elif inlined(call.kind):
                self._walk(call.body)
                self.writes |= call.writes
            else:
                self._call(call)

    def _op(self, op: Op) -> None:
        row = row_of(op.name)
        if row is None:
            raise PortError(f"{op.where}: {op.name} has no row in the table of operations")
        expression = written(op, row)
        if isinstance(expression, ast.Name) and hasattr(expression, "val") and isinstance(op.outs, Val):
            if not op.stopped:
                self._alias(op.outs, expression.val)
                return
        if op.stopped:
            expression = _stopped(expression)
        if row.random and _draws(op):
            _with_key(expression)
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
        if not _flat(inst.outs):
            statement.outs = result = Val((), "")
            self._take_apart(inst.outs, hole(result), inst.where)
        if function.writes:
            name = identifier("_".join(self._relative(inst.path) or ["buffers"]))
            self.state[inst.path] = new = Val((), "", names=dict.fromkeys(self.scopes, name))
            statement.outs = (statement.outs, new)

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
            args.append(self._tree("params", inst.path))
        if function.buffers:
            args.append(self._tree("buffers", inst.path))
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
                old.names.setdefault(scope, name)

    def _of(self, val: Val) -> Val:
        while id(val) in self.same:
            val = self.same[id(val)]
        return val

    def _resolved(self, expression: ast.expr) -> ast.expr:
        return _Replaced(lambda val: None if self._of(val) is val else hole(self._of(val))).visit(expression)

    def _resolved_structure(self, structure: Any) -> Any:
        from fnlearn.port.graph import mapped

        return mapped(lambda leaf: self._of(leaf) if isinstance(leaf, Val) else leaf, structure)

    def _tree(self, kind: str, path: str) -> ast.expr:
        """The parameters or buffers under a path, as they are by now."""
        if kind == "buffers" and path in self.state:
            return hole(self.state[path])
        rest = self._relative(path)
        if rest is None:
            return hole(self.model.trees.setdefault((kind, path), Val((), "", kind, path)))
        setattr(self.function, kind, True)
        expression: ast.expr = ast.Name(kind, ast.Load())
        for part in rest:
            expression = ast.Subscript(expression, ast.Constant(part), ast.Load())
        return expression

    def _relative(self, path: str) -> list[str] | None:
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
                flat = list(statement.outs)
                pairs = [(o, e) for o, e in zip(flat, statement.parts, strict=True) if id(o) in needed]
                for out, part in reversed(pairs):
                    kept.append(Statement(out, statement.where, whole=part))
                    needed |= {id(v) for v in _vals(part)}
                continue
            assert statement.whole is not None
            needed |= {id(v) for v in _vals(statement.whole)}
            statement.outs = _unused_out(statement.outs, needed)
            kept.append(statement)
        self.statements = kept[::-1]

    # what has no name of its own stands where it is used

    def _inline(self) -> None:
        defined: dict[int, Statement] = {}
        uses = Counter(id(v) for s in self.statements for v in _vals(s.whole))
        uses.update(id(v) for v in values(self.outs) if isinstance(v, Val))
        uses.update(id(self._of(v)) for v in (*self.writes.values(), *self.state.values()))
        kept: list[Statement] = []
        consumers = {id(v): s for s in self.statements for v in _vals(s.whole)}

        def put(val: Val) -> ast.expr | None:
            return defined[id(val)].whole if id(val) in defined else None

        for statement in self.statements:
            assert statement.whole is not None
            statement.whole = _Replaced(put).visit(statement.whole)
            out = statement.outs
            consumer = consumers.get(id(out))
            if isinstance(out, Val) and uses[id(out)] == 1 and not self._named(out) and (
                consumer is None or consumer.where == statement.where or _small(statement.whole)
            ) and _length(statement.whole) < LONGEST:  # fmt: skip
                defined[id(out)] = statement
            else:
                kept.append(statement)
        self.statements = kept
        self.inlined = put

    def _named(self, val: Val) -> str:
        return next((val.names[scope] for scope in self.scopes if scope in val.names), "")

    # names

    def _name_all(self) -> None:
        self._returned = _Replaced(self.inlined).visit(node(self.outs) if self.outs is not None else ast.Constant(None))
        self._new_buffers = self._buffers_after()
        function = self.function
        expressions = [s.whole for s in self.statements] + [self._returned]
        if self._new_buffers is not None:
            self._new_buffers = _Replaced(self.inlined).visit(self._new_buffers)
            expressions.append(self._new_buffers)
            function.writes = True
        expressions = [e for e in expressions if e is not None]
        heads = self._size_heads(expressions)
        used = {id(v) for e in expressions for v in _vals(e)} | {id(v) for _, v in heads}
        function.arguments = [(name, val) for name, val in self.arguments if id(val) in used]
        self._find_foreign(expressions)
        self._last_uses(expressions)
        names = _Names(function, self._named, {f.name for f in self.model.functions.values()})
        lines: list[tuple[ast.stmt, Where]] = []
        lines += self._head_lines(heads, names)
        lines += self._key_lines(expressions, names)
        for i, statement in enumerate(self.statements):
            value = self._finished(statement.whole, names)
            target = names.target(statement.outs, i, self.last, lambda out, i=i: self._hint(out, i))
            lines.append((ast.Assign([target], value, lineno=0), statement.where))
        returned = self._finished(self._returned, names)
        if self._new_buffers is not None or self.always_writes:
            new = self._finished(self._new_buffers, names) if self._new_buffers is not None else self._all_buffers()
            returned = ast.Tuple([returned, new], ast.Load())
            function.writes = True
        lines.append((ast.Return(returned), Where()))
        function.lines = lines
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
            parts = self._relative(path)
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
        if set(tree) != _below(self.model.buffers, full):
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
        known = self.given | {id(v) for s in self.statements for v in values(s.outs) if isinstance(v, Val)}
        for expression in expressions:
            for val in _vals(expression):
                if id(val) in known:
                    continue
                if val.kind != "value" and self._relative(val.path) is not None:
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
        shapes = [self.size_at[s][0] for s in _symbols(expression) if s not in self.size_names]
        return [*_vals(expression), *shapes]

    def _hint(self, out: Val, index: int) -> str:
        """A name for what the source doesn't name: that of what it ends up in, else that of what it came from."""
        if out.path:
            return out.path.rpartition(".")[2]
        current = out
        for later in self.statements[index + 1 :]:
            if isinstance(later.outs, Val) and any(v is current for v in _vals(later.whole)):
                current = later.outs
                if self._named(current):
                    return self._named(current)
        first = next((v for v in _vals(self.statements[index].whole) if v.kind == "value"), None)
        return (self._named(first) if first is not None else "") or "x"

    # sizes

    def _size_heads(self, expressions: list[ast.expr]) -> list[tuple[str, Val]]:
        symbols = list(dict.fromkeys(s for e in expressions for s in _symbols(e)))
        self.size_names: dict[str, str] = {}
        self.size_at: dict[str, tuple[Val, int]] = {}
        heads: list[tuple[str, Val]] = []
        for symbol in symbols:
            place = self._place_of(symbol)
            self.size_at[symbol] = place
            name = next((self.model.sizes[(s, symbol)] for s in self.scopes if (s, symbol) in self.model.sizes), "")
            if name:
                self.size_names[symbol] = identifier(name)
            heads.append((symbol, place[0]))
        return heads

    def _place_of(self, symbol: str) -> tuple[Val, int]:
        """The first argument that has the size, else the input of the model that brought it."""
        for _, val in self.arguments:
            for i, size in enumerate(val.shape):
                if isinstance(size, Sym) and size.text == symbol:
                    return val, i
        return self.model.roots[symbol]

    def _head_lines(self, heads: list[tuple[str, Val]], names: "_Names") -> list[tuple[ast.stmt, Where]]:
        lines: list[tuple[ast.stmt, Where]] = []
        groups: dict[int, list[tuple[int, str]]] = {}
        for symbol, name in list(self.size_names.items()):
            val, dim = self.size_at[symbol]
            self.size_names[symbol] = names.fixed(name)
            groups.setdefault(id(val), []).append((dim, self.size_names[symbol]))
        by_id = {id(v): v for v, _ in self.size_at.values()}
        for key, dims in groups.items():
            val = by_id[key]
            source = names.load(val)
            known = dict(dims)
            last = max(known)
            if len(known) == 1:
                text = f"{known[last]} = {source}.shape[{last}]"
            else:
                targets = ", ".join(known.get(i, "_") for i in range(last + 1))
                whole = last + 1 == len(val.shape)
                text = f"{targets} = {source}.shape" + ("" if whole else f"[:{last + 1}]")
            lines.append((ast.parse(text).body[0], Where()))
        return lines

    def _key_lines(self, expressions: list[ast.expr], names: "_Names") -> list[tuple[ast.stmt, Where]]:
        calls = [c for e in expressions for c in _keyed(e)]
        if not calls:
            return []
        self.function.key = True
        if len(calls) == 1:
            return []
        keys = [names.fixed(f"key_{i}") for i in range(len(calls))]
        for call, name in zip(calls, keys, strict=True):
            _set_key(call, name)
        text = f"{', '.join(keys)} = F.split_key(key, {len(keys)})"
        return [(ast.parse(text).body[0], Where())]

    # the text

    def _finished(self, expression: ast.expr | None, names: "_Names") -> ast.expr:
        """The expression with every value by its name."""
        assert expression is not None
        return _Named(self, names).visit(expression)


class _Named(ast.NodeTransformer):
    def __init__(self, body: _Body, names: "_Names"):
        self.body, self.names = body, names

    def visit_Name(self, name: ast.Name) -> ast.expr:
        if hasattr(name, "val"):
            return self._value(name.val)
        if hasattr(name, "sym"):
            if name.sym in self.body.size_names:
                return ast.Name(self.body.size_names[name.sym], ast.Load())
            val, dim = self.body.size_at[name.sym]
            return ast.parse(f"{self.names.load(val)}.shape[{dim}]", mode="eval").body
        return name

    def _value(self, val: Val) -> ast.expr:
        known = self.names.known(val)
        if known:
            return ast.Name(known, ast.Load())
        if val.kind in ("param", "params", "buffers"):
            return self.body._tree("buffers" if val.kind == "buffers" else "params", val.path)
        if val.kind in ("buffer", "constant"):
            parent = next((p for p in self.body.state if val.path.startswith(f"{p}.")), None)
            if parent is not None:
                expression: ast.expr = self._value(self.body.state[parent])
                for part in val.path[len(parent) + 1 :].split("."):
                    expression = ast.Subscript(expression, ast.Constant(part), ast.Load())
                return expression
            return self.body._tree("buffers", val.path)
        raise PortError(f"a value that {self.body.base or 'the model'} uses comes from nowhere: shape {val.shape}")

    def visit_Call(self, call: ast.Call) -> ast.expr:
        merged = self._by_stars(call)
        if merged is not None:
            call = merged
        return self.generic_visit(call)  # type: ignore[return-value]

    def _by_stars(self, call: ast.Call) -> ast.Call | None:
        """Weight=params["fc"]["weight"], bias=… as **params["fc"], where that is all there is."""
        held = [k for k in call.keywords if isinstance(getattr(k.value, "val", None), Val) and k.value.val.kind == "param"]  # type: ignore[attr-defined]
        held = [k for k in held if not self.names.known(k.value.val)]  # type: ignore[attr-defined]
        parents = {k.value.val.path.rpartition(".")[0] for k in held}  # type: ignore[attr-defined]
        if len(parents) != 1:
            return None
        (parent,) = parents
        leaves = {k.value.val.path.rpartition(".")[2] for k in held}  # type: ignore[attr-defined]
        if leaves != {k.arg for k in held} or leaves != _below(self.body.model.params, parent):
            return None
        if self.body._relative(parent) is None:
            return None
        star = ast.keyword(None, self.body._tree("params", parent))
        keywords: list[ast.keyword] = []
        for keyword in call.keywords:
            if keyword not in held:
                keywords.append(keyword)
            elif star not in keywords:
                keywords.append(star)
        return ast.Call(call.func, call.args, keywords)


class _Names:
    """Which name stands for which value, from statement to statement."""

    def __init__(self, function: Function, named: Any, kept: set[str]):
        self.named, self.kept = named, kept
        self.of: dict[int, str] = {}
        self.holder: dict[str, int] = {}
        arguments = []
        for name, val in function.arguments:
            arguments.append((self._take(identifier(name), val), val))
        function.arguments = arguments
        foreign = []
        for _, val in function.foreign:
            base = val.path.rpartition(".")[2] if val.path else named(val) or next(iter(val.names.values()), "value")
            foreign.append((self._take(identifier(base), val), val))
        function.foreign = foreign

    def _take(self, name: str, val: Val) -> str:
        free, i = name, 1
        while free in self.holder or free in self.kept:
            free, i = f"{name}_{i}", i + 1
        self.of[id(val)] = free
        self.holder[free] = id(val)
        return free

    def fixed(self, name: str) -> str:
        """A name that is never given to another value."""
        free, i = name, 1
        while free in self.holder or free in self.kept:
            free, i = f"{name}_{i}", i + 1
        self.kept.add(free)
        return free

    def known(self, val: Val) -> str:
        return self.of.get(id(val), "")

    def load(self, val: Val) -> str:
        return self.of[id(val)]

    def target(self, outs: Any, index: int, last: dict[int, int], hint: Any) -> ast.expr:
        """What is assigned to; names whose value is not used any more are free again."""
        for name, holder in list(self.holder.items()):
            if last.get(holder, -1) <= index:
                del self.holder[name]
        return self._target(outs, hint)

    def _target(self, outs: Any, hint: Any) -> ast.expr:
        if isinstance(outs, Val):
            name = identifier(self.named(outs) or hint(outs))
            return ast.Name(self._take(name, outs), ast.Store())
        if isinstance(outs, tuple | list):
            return ast.Tuple([self._target(part, hint) for part in outs], ast.Store())
        return ast.Name("_", ast.Store())


class _Replaced(ast.NodeTransformer):
    """Names of values replaced by other expressions, where there is one."""

    def __init__(self, other: Any):
        self.other = other

    def visit_Name(self, name: ast.Name) -> ast.expr:
        if hasattr(name, "val"):
            new = self.other(name.val)
            return name if new is None else new
        return name


def _draws(op: Op) -> bool:
    """Whether a call of a random function draws in one mode at least."""
    given = {**op.kwargs, **{f"_{i}": arg for i, arg in enumerate(op.args)}}
    if any(op.kwargs.get(name) is False for name in ("training", "train")):
        return False
    rates = [op.kwargs[name] for name in ("p", "dropout_p", "dropout") if name in op.kwargs]
    if "scaled_dot_product_attention" in op.name or "multi_head_attention" in op.name or op.name in RECURRENT:
        rates = rates or [arg for arg in op.args if isinstance(arg, Mode | float)]
        return any(isinstance(rate, Mode) or rate != 0 for rate in rates)
    return bool(given) and not (rates and all(isinstance(rate, float | int) and rate == 0 for rate in rates))


RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def _with_key(expression: Any) -> None:
    """Marks the call that draws, and gives it a key where the template has none."""
    calls = [n for n in ast.walk(expression) if isinstance(n, ast.Call)]
    drawing = [c for c in calls if any(isinstance(a, ast.Name) and a.id == "key" for a in c.args)]
    call = drawing[0] if drawing else calls[0]
    if not drawing:
        call.keywords.append(ast.keyword("key", ast.Name("key", ast.Load())))
    call.random = True  # type: ignore[attr-defined]


def _flat(structure: Any) -> bool:
    """Whether a result can be assigned to names: one value, or lists of values in lists."""
    if isinstance(structure, dict):
        return False
    return not isinstance(structure, list | tuple) or all(_flat(part) for part in structure)


def _stopped(expression: Any) -> Any:
    if isinstance(expression, list):
        return [_stopped(part) for part in expression]
    return ast.Call(ast.parse("jax.lax.stop_gradient", mode="eval").body, [expression], [])


def _unused_out(outs: Any, needed: set[int]) -> Any:
    """The outputs with None for those that nobody uses."""
    if isinstance(outs, tuple | list):
        return tuple(_unused_out(part, needed) for part in outs)
    return outs if isinstance(outs, Val) and id(outs) in needed else None


def _arguments(inst: Inst) -> list[tuple[str, Val]]:
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


def _vals(expression: Any) -> list[Val]:
    return [n.val for n in ast.walk(expression) if hasattr(n, "val")] if expression is not None else []


def _symbols(expression: ast.AST) -> list[str]:
    return [n.sym for n in ast.walk(expression) if hasattr(n, "sym")]


def _keyed(expression: ast.AST) -> list[ast.Call]:
    """The calls that take a key, in order."""
    return [n for n in ast.walk(expression) if isinstance(n, ast.Call) and getattr(n, "random", False)]


def _set_key(call: ast.Call, name: str) -> None:
    for i, arg in enumerate(call.args):
        if isinstance(arg, ast.Name) and arg.id == "key":
            call.args[i] = ast.Name(name, ast.Load())
    for keyword in call.keywords:
        if keyword.arg == "key":
            keyword.value = ast.Name(name, ast.Load())


def _mentions(tree: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(tree))


def _length(expression: ast.expr) -> int:
    return len(ast.dump(expression)) // 12  # about the characters of its text


def _small(expression: ast.expr) -> bool:
    return len(list(ast.walk(expression))) < 12


def _below(paths: list[str], parent: str) -> set[str]:
    """The names that stand directly under a path."""
    start = f"{parent}." if parent else ""
    return {path[len(start) :].split(".")[0] for path in paths if path.startswith(start)}
