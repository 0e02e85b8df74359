"""Which name stands for which value in a function's text."""

import ast
import copy
import re
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any

from fnlearn.port import sizes
from fnlearn.port.errors import PortError
from fnlearn.port.expression import below, hole, node, symbols, vals, worked_out
from fnlearn.port.graph import Inst, Sym, Val, Where, values
from fnlearn.port.model import Model
from fnlearn.port.names import identifier

__all__ = ["STOP", "DtypesOfArguments", "Named", "Names", "Sizes", "behind", "beside", "looked_up"]

SHORT = 12  # characters of a size that needs no name
OF_RECURRENT = re.compile(r"(weight|bias)_[ih][hr]_l\d+(_reverse)?")  # names of a recurrent network's weights


class Named(ast.NodeTransformer):
    """Every value of an expression by its name, or by where the model holds it."""

    def __init__(self, body: Any, names: "Names"):
        self.body, self.names = body, names

    def visit_Name(self, name: ast.Name) -> ast.expr:
        """A value's name, or a size's."""
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
        if val.path in self.body.model.literals:
            return ast.Name(self.body.model.literals[val.path], ast.Load())
        if val.kind in ("param", "params", "buffers"):
            return self.body.tree("buffers" if val.kind == "buffers" else "params", val.path)
        if val.kind in ("buffer", "constant"):
            parent = next((p for p in self.body.state if val.path.startswith(f"{p}.")), None)
            if parent is not None:
                expression: ast.expr = self._value(self.body.state[parent])
                for part in val.path[len(parent) + 1 :].split("."):
                    expression = ast.Subscript(expression, ast.Constant(part), ast.Load())
                return expression
            return self.body.tree("buffers", val.path)
        raise PortError(f"a value that {self.body.base or 'the model'} uses comes from nowhere: shape {val.shape}")

    def visit_Lambda(self, function: ast.Lambda) -> ast.expr:
        """A function of a layer and what goes from one to the next, by names that nothing else in it has."""
        others = {self.names.known(val) for val in vals(function.body)} | self.names.kept
        for argument, val in zip(function.args.args, function.bound, strict=False):  # type: ignore[attr-defined]
            base = identifier(self.names.named(val) or argument.arg)
            argument.arg = next(n for n in (base, *(f"{base}_{i}" for i in range(1, 99))) if n not in others)
            self.names.of[id(val)] = argument.arg
            others.add(argument.arg)
        return self.generic_visit(function)  # type: ignore[return-value]

    def visit_List(self, items: ast.List) -> ast.expr:
        """A list, or the module whose weights it holds."""
        held: list[Val] = [item.val for item in items.elts if hasattr(item, "val")] if hasattr(items, "weights") else []
        if not held or any(val.kind != "param" or self.names.known(val) for val in held):
            return self.generic_visit(items)  # type: ignore[return-value]
        parent, dot, _ = held[0].path.rpartition(".")
        names = [path.removeprefix(parent + dot) for path in self.body.model.params if path.startswith(parent + dot)]
        known = all(OF_RECURRENT.fullmatch(name) for name in names)
        if not known or [val.path for val in held] != [parent + dot + name for name in names]:
            return self.generic_visit(items)  # type: ignore[return-value]
        if self.body.relative(parent) is None:
            return self.generic_visit(items)  # type: ignore[return-value]
        return self.body.tree("params", parent)

    def visit_Call(self, call: ast.Call) -> ast.expr:
        """A call, with a module's weights by two stars."""
        if ast.unparse(call.func) == STOP:  # what is inside of one needs none of its own
            call = ast.Call(call.func, [_unstopped(arg) for arg in call.args], [])
        merged = self._by_stars(call)
        if merged is not None:
            call = merged
        return self.generic_visit(call)  # type: ignore[return-value]

    def _by_stars(self, call: ast.Call) -> ast.Call | None:
        """Weight=params["fc"]["weight"], bias=… as **params["fc"], where that is all there is."""
        given = {id(k): getattr(k.value, "val", None) for k in call.keywords}
        params = {i: v for i, v in given.items() if v is not None and v.kind == "param" and not self.names.known(v)}
        held = [k for k in call.keywords if id(k) in params]
        parents = {val.path.rpartition(".")[0] for val in params.values()}
        if len(parents) != 1:
            return None
        (parent,) = parents
        leaves = {val.path.rpartition(".")[2] for val in params.values()}
        if leaves != {k.arg for k in held} or leaves != below(self.body.model.params, parent):
            return None
        if self.body.relative(parent) is None:
            return None
        star = ast.keyword(None, self.body.tree("params", parent))
        keywords: list[ast.keyword] = []
        for keyword in call.keywords:
            if keyword not in held:
                keywords.append(keyword)
            elif star not in keywords:
                keywords.append(star)
        return ast.Call(call.func, call.args, keywords)


STOP = "jax.lax.stop_gradient"


def _unstopped(expression: ast.expr) -> ast.expr:
    class Without(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.expr:
            inner = self.generic_visit(call)
            stops = isinstance(inner, ast.Call) and ast.unparse(inner.func) == STOP
            return inner.args[0] if stops else inner  # type: ignore[attr-defined,return-value]

    return Without().visit(expression)


class Names:
    """Which name stands for which value, from statement to statement."""

    def __init__(self, function: Any, named: Callable[[Val], str], also: Callable[[Val], list[str]], kept: set[str]):
        self.named, self.also, self.kept = named, also, kept
        self.of: dict[int, str] = {}
        self.holder: dict[str, Val] = {}
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
        self.holder[free] = val
        return free

    def fixed(self, name: str) -> str:
        """A name that is never given to another value."""
        free, i = name, 1
        while free in self.holder or free in self.kept:
            free, i = f"{name}_{i}", i + 1
        self.kept.add(free)
        return free

    def known(self, val: Val) -> str:
        """The name of a value, or nothing."""
        return self.of.get(id(val), "")

    def load(self, val: Val) -> str:
        """The name of a value that has one."""
        return self.of[id(val)]

    def handed_on(self, outs: Any, index: int, last: dict[int, int]) -> list[ast.stmt]:
        """Lines as `residual = x`, for values that are needed longer than they have their name, and have another.

        Names whose value is not used any more are free again.
        """
        lines: list[ast.stmt] = []
        for name, holder in list(self.holder.items()):
            if last.get(id(holder), -1) <= index:
                del self.holder[name]
        for out in values(outs):
            name = identifier(self.named(out)) if isinstance(out, Val) and self.named(out) else ""
            if name not in self.holder:
                continue
            others = [identifier(other) for other in self.also(self.holder[name])]
            free = [other for other in others if other not in self.holder and other not in self.kept]
            if free:
                self._take(free[0], self.holder.pop(name))
                lines.append(ast.parse(f"{free[0]} = {name}").body[0])
        return lines

    def target(self, outs: Any, hint: Callable[[Val], str]) -> ast.expr:
        """What is assigned to; hint: a name for what the source has none for."""
        if isinstance(outs, Val):
            name = identifier(self.named(outs) or hint(outs))
            return ast.Name(self._take(name, outs), ast.Store())
        if isinstance(outs, tuple | list):
            return ast.Tuple([self.target(part, hint) for part in outs], ast.Store())
        return ast.Name("_", ast.Store())


class Sizes(ast.NodeTransformer):
    """Sizes that no argument has, by those that arguments have, and by what the source calls parts of them.

    local: what the source has names for, in the order in which one follows from another.
    """

    def __init__(self, arguments: list[tuple[str, Val]], model: Model, named: Callable[[str], str]):
        self.there = {size.text for _, val in arguments for size in val.shape if isinstance(size, Sym)}
        self.expressions, self.defined = model.expressions | model.defined, model.defined
        self.texts, self.named = model.texts, named
        self.local: dict[str, ast.expr] = {}
        self.done: dict[str, ast.expr] = {}
        self.near: dict[str, tuple[Val, int]] = {}
        self.close: dict[str, ast.expr] = {}

    def of(self, expression: ast.expr) -> ast.expr:
        """An expression with its sizes; those that the values it reads have are looked up there."""
        loops = any(isinstance(part, ast.Lambda) for part in ast.walk(expression))
        read = [] if loops else [val for val in vals(expression) if val.kind == "value"]
        sizes = {size.text: (val, i) for val in reversed(read) for i, size in enumerate(val.shape)
                 if isinstance(size, Sym) and not self._is_there(size.text)}  # fmt: skip
        self.near = {text: at for text, at in sizes.items() if not self.named(text)}
        self.close = {}
        made: ast.expr = self.visit(expression)
        self.near = {}
        return made

    def visit_Name(self, name: ast.Name) -> ast.expr:
        """A size as it is, or worked out."""
        text = getattr(name, "sym", None)
        if text is None or self._is_there(text):
            return name
        return self._worked_out(ast.parse(text, mode="eval").body)

    def _is_there(self, text: str) -> bool:
        """Whether an argument has a size, or an input of the model."""
        return text in self.there or (text.isidentifier() and text not in self.defined)

    def _worked_out(self, tree: ast.expr) -> ast.expr:
        """What sympy knows of a text, and of the parts of what was reckoned with it."""
        text = self.texts.get(ast.unparse(tree))
        if text is not None:
            return self._known(text)
        for field, part in ast.iter_fields(tree):
            if isinstance(part, ast.expr):
                setattr(tree, field, self._worked_out(part))
            elif isinstance(part, list):
                setattr(tree, field, [self._worked_out(p) if isinstance(p, ast.expr) else p for p in part])
        return tree

    def _known(self, text: str) -> ast.expr:
        if self._is_there(text):
            return node(Sym(text))
        if self.near and self.named(text):  # at the function's head, where there is nothing near
            near, self.near = self.near, {}
            found = self._known(text)
            self.near = near
            return found
        done = self.close if self.near else self.done
        if text not in done:
            made = self._by_others(text)
            if text in self.near and len(ast.unparse(made)) > SHORT:
                val, dim = self.near[text]
                made = ast.Subscript(ast.Attribute(hole(val), "shape", ast.Load()), ast.Constant(dim), ast.Load())
            if self.named(text) and len(ast.unparse(made)) > SHORT:
                self.local[text] = made
                made = node(Sym(text))
            done[text] = made
        return copy.deepcopy(done[text])

    def parts(self) -> list[tuple[str, int]]:
        """The sizes that others may be written by, the largest first, each with how large it is."""
        near = [(text, self.expressions[text]) for text in self.near if text in self.expressions]
        return sorted([*self._known_parts, *_counted(near)], key=lambda part: -part[1])

    @cached_property
    def _known_parts(self) -> list[tuple[str, int]]:
        return _counted([(t, e) for t, e in self.expressions.items() if t in self.there or self.named(t)])

    def _by_others(self, text: str) -> ast.expr:
        """A size by those there are that it holds, the largest first."""
        whole = self.expressions[text]
        most = whole.count_ops()
        stand_ins: dict[str, str] = {}
        for other, count in self.parts():
            if count >= most:
                continue
            stand_in = sizes.symbol_named(f"z{len(stand_ins)}")
            changed = whole.subs(self.expressions[other], stand_in)
            if changed != whole:
                whole, stand_ins[stand_in.name] = changed, other
        tree = worked_out(sizes.text(whole))
        stand_ins |= {symbol.name: symbol.name for symbol in whole.free_symbols if symbol.name in self.defined}
        return _StandIns({name: self._known(other) for name, other in stand_ins.items()}).visit(tree)


def _counted(known: list[tuple[str, Any]]) -> list[tuple[str, int]]:
    return [(text, expression.count_ops()) for text, expression in known if not expression.is_Symbol]


def beside(symbol: str, expressions: list[ast.expr], but: set[int]) -> tuple[Val, int] | None:
    """The value that has a size, and where, next to the size's only use; none of those that only a lambda has."""
    readers = [e for e in expressions if symbol in symbols(e)]
    there = [val for val in vals(readers[0]) if val.kind == "value" and id(val) not in but]
    found = [(val, i) for val in there for i, size in enumerate(val.shape) if size == Sym(symbol)]
    return found[0] if found and len(readers) == 1 else None


def behind(local: dict[str, ast.expr], expressions: list[ast.expr], made: list[Any]) -> dict[str, tuple[int, Val, int]]:
    """Sizes that a value has before they are used: which statement makes it, the value, and the dimension.

    They leave `local`, the sizes that are worked out at the function's head. made: what each statement assigns to.
    """
    found: dict[str, tuple[int, Val, int]] = {}
    for symbol in reversed(list(local)):
        first = next((i for i, e in enumerate(expressions) if symbol in symbols(e)), 0)
        there = ((i, val) for i, outs in enumerate(made[:first]) for val in values(outs) if isinstance(val, Val))
        at = [(i, val, dim) for i, val in there for dim, size in enumerate(val.shape) if size == Sym(symbol)]
        if at and not any(symbol in symbols(size) for other, size in local.items() if other != symbol):
            found[symbol] = at[0]
            del local[symbol]
    return found


def looked_up(sizes: list[tuple[str, Val, int]], names: Names) -> list[tuple[ast.stmt, Where]]:
    """Lines that give sizes their names, one for each value that has them."""
    groups: dict[str, dict[int, str]] = {}
    dims: dict[str, int] = {}
    for name, val, dim in sizes:
        groups.setdefault(names.load(val), {})[dim] = name
        dims[names.load(val)] = len(val.shape)
    lines = []
    for source, known in groups.items():
        last = max(known)
        text = f"{known[last]} = {source}.shape[{last}]"
        if len(known) > 1:
            whole = "" if last + 1 == dims[source] else f"[:{last + 1}]"
            text = f"{', '.join(known.get(i, '_') for i in range(last + 1))} = {source}.shape{whole}"
        lines.append((ast.parse(text).body[0], Where()))
    return lines


class _StandIns(ast.NodeTransformer):
    def __init__(self, known: dict[str, ast.expr]):
        self.known = known

    def visit_Name(self, name: ast.Name) -> ast.expr:
        return copy.deepcopy(self.known.get(name.id, name))


class DtypesOfArguments(ast.NodeTransformer):
    """A dtype that the source gives, as that of the first argument that has it, or else of the first parameter."""

    def __init__(self, arguments: list[tuple[str, Val]], inst: Inst, params: Collection[str]):
        start = f"{inst.path}." if inst.path else ""
        held = [(str(p.dtype).removeprefix("torch."), start + name) for name, p in inst.module.named_parameters()]
        self.of = {dtype: Val((), dtype, "param", path) for dtype, path in reversed(held) if path in params}
        self.of |= {val.dtype: val for _, val in reversed(arguments) if val.kind in ("value", "param")}

    def visit_Call(self, call: ast.Call) -> ast.expr:
        """A call as it is, without a cast to the dtype that a value has anyway."""
        dtype = call.args[0] if call.args else None
        if getattr(dtype, "needless", False) and isinstance(call.func, ast.Attribute):
            given = self.of.get(dtype.as_given)  # type: ignore[union-attr]
            if given is None or given is getattr(call.func.value, "val", None):
                return self.visit(call.func.value)
        return self.generic_visit(call)  # type: ignore[return-value]

    def visit_Attribute(self, attribute: ast.Attribute) -> ast.expr:
        """A dtype as it is, or that of an argument."""
        name = getattr(attribute, "as_given", None)
        if name in self.of:
            return ast.Attribute(hole(self.of[name]), "dtype", ast.Load())
        return self.generic_visit(attribute)  # type: ignore[return-value]
