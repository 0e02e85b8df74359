"""Expressions as syntax trees: a row's template with the call's arguments in the places of their names.

A tensor or a size is a name without a text yet: the node's attribute `val` holds the `Val`, `sym` the symbol.
"""

import ast
import functools
import inspect
import math
from types import SimpleNamespace
from typing import Any

import torch

from fnlearn.port.errors import PortError
from fnlearn.port.graph import Limit, Op, Opaque, Sym, Val
from fnlearn.port.merge import Mode
from fnlearn.port.table import IRRELEVANT, Arguments, Dtype, Row, Weights, bound, ndim

__all__ = [
    "Replaced",
    "below",
    "flat",
    "hole",
    "keyed",
    "node",
    "repeated",
    "set_key",
    "symbols",
    "vals",
    "worked_out",
    "written",
]

ONE_FOR_ALL = {"stride", "padding", "dilation", "kernel_size", "output_padding", "output_size", "scale_factor"}


def written(op: Op, row: Row) -> ast.expr | list[ast.expr]:
    """The expression of a call, or a list with one for each of its outputs."""
    values = bound(op, row)
    for name, value in vars(values).items():
        if isinstance(value, Opaque) or (isinstance(value, tuple | list) and any(isinstance(v, Opaque) for v in value)):
            raise PortError(f"{op.where}: {op.name} with {name} of a kind that is not ported: {value}")
    values._where, values._dtype_of, values._casts = op.where, op.kwargs.get("dtype_of"), {}
    if isinstance(values._dtype_of, Val) and isinstance(vars(values).get("dtype"), torch.dtype):
        values.dtype = Dtype(values._dtype_of.dtype, of=values._dtype_of)
    elif "dtype" in row.signature.parameters and "device" in row.signature.parameters:
        values.dtype = _made_dtype(op, values)
    template = row.template(values) if callable(row.template) else row.template
    texts = template if isinstance(template, list) else [template]
    _refuse_ignored(op, row, values, texts)
    kept = _as_torch_promotes(op, values)
    filled = [_filled(text, values, row) for text in texts]
    if kept is not None:
        filled[0] = _cast(filled[0], Dtype(kept.dtype, of=kept))
    return filled if isinstance(template, list) else filled[0]


ARITHMETIC = {"other", "end", "tensor1"}  # what second arguments are called that have to do with the first's numbers
KINDS = ("is_complex", "is_floating_point")


def _as_torch_promotes(op: Op, values: Arguments) -> Val | None:
    """Casts where JAX's dtype would be a wider one than torch's.

    To torch a value without dimensions is as a number, and what changes a value in place leaves it its dtype: that
    value is returned, since what is worked out has to be cast to its dtype.
    """
    given = {name: value for name, value in vars(values).items() if isinstance(value, Val) and name != "_dtype_of"}
    spread = [value for value in given.values() if value.shape]
    if not spread or not isinstance(op.outs, Val):
        return None
    whole = functools.reduce(torch.promote_types, (_of_torch(value) for value in spread))
    like = next((value for value in spread if _of_torch(value) == whole), None)
    out = _of_torch(op.outs)
    for name, value in given.items():
        own = _of_torch(value)
        if like is None or value.shape or out not in (whole, torch.bool) or torch.promote_types(whole, own) == whole:
            continue
        if [getattr(own, kind) for kind in KINDS] <= [getattr(whole, kind) for kind in KINDS]:
            values._casts[name] = Dtype(like.dtype, of=like)
    first = next(iter(given.values()))
    kept = ARITHMETIC & set(given) and out == _of_torch(first) and torch.promote_types(out, whole) != out
    return first if kept else None


def _of_torch(value: Val) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, value.dtype)
    return dtype


def _refuse_ignored(op: Op, row: Row, values: Arguments, texts: list[str]) -> None:
    """An argument that nothing reads must have its default; where it is a dtype, the first argument is cast to it."""
    read = {n.id for text in texts for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    read |= vars(values).get("_read", set()) | IRRELEVANT
    parameters = row.signature.parameters
    first = next(iter(parameters))
    if not ndim(vars(values)[first]):
        read |= {"dim", "keepdim"}  # of a number there is nothing else
    if "device" in parameters:
        read.add("dtype")  # of what is made
    for name, parameter in parameters.items():
        value, default = vars(values)[name], parameter.default
        if name in read or default is parameter.empty or value is default or _same(value, default):
            continue
        if name != "dtype" or not isinstance(vars(values)[first], Val):
            raise PortError(f"{op.where}: {op.name} with {name}={value!r} is not ported; only its default is")
        values._casts[first] = Dtype(str(value).removeprefix("torch."))


def hole(val: Val) -> ast.expr:
    """A name to be, for a value."""
    name = ast.Name("_", ast.Load())
    name.val = val  # type: ignore[attr-defined]
    return name


def node(value: Any) -> ast.expr:
    """A value as an expression."""
    if isinstance(value, Val):
        return hole(value)
    if isinstance(value, Sym):
        size = ast.Name("_", ast.Load())
        size.sym = value.text  # type: ignore[attr-defined]
        return size
    if isinstance(value, Mode):
        return _by_mode(value)
    if isinstance(value, Dtype) or str(value).startswith("torch."):
        if isinstance(value, Dtype) and value.of is not None:
            return ast.Attribute(hole(value.of), "dtype", ast.Load())
        made = _dtype(value.name if isinstance(value, Dtype) else str(value).removeprefix("torch."))
        if isinstance(value, Dtype) and value.as_given:
            made.as_given, made.needless = value.name, value.needless  # type: ignore[attr-defined]
        return made
    if isinstance(value, tuple | list):
        parts = [node(part) for part in value]
        if isinstance(value, Weights):
            weights = ast.List(parts, ast.Load())
            weights.weights = True  # type: ignore[attr-defined]
            return weights
        if isinstance(value, tuple) and all(_literal(part) for part in value):
            return ast.Constant(value)  # type: ignore[arg-type]
        return ast.Tuple(parts, ast.Load()) if isinstance(value, tuple) else ast.List(parts, ast.Load())
    if isinstance(value, dict):
        return ast.Dict([node(key) for key in value], [node(part) for part in value.values()])
    if isinstance(value, slice):
        return ast.Call(ast.Name("slice", ast.Load()), [node(p) for p in (value.start, value.stop, value.step)], [])
    if isinstance(value, Limit):
        finfo = ast.Call(ast.parse("jnp.finfo", mode="eval").body, [node(Dtype(value.dtype, not value.itself))], [])
        return ast.Call(ast.Name("float", ast.Load()), [ast.Attribute(finfo, value.name, ast.Load())], [])
    if isinstance(value, float) and not math.isfinite(value):
        return ast.parse("jnp.nan" if math.isnan(value) else "jnp.inf" if value > 0 else "-jnp.inf", mode="eval").body
    if value is None or isinstance(value, bool | int | float | complex | str):
        return ast.Constant(value)
    if value is Ellipsis:
        return ast.Constant(...)
    if isinstance(value, Opaque):
        return ast.Constant(None)
    raise TypeError(f"a {type(value).__name__} has no expression: {value!r}")


def _literal(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and not isinstance(value, Limit)
    return value is None or isinstance(value, bool | int | str)


def _by_mode(mode: Mode) -> ast.expr:
    train: ast.expr = ast.Name("train", ast.Load())
    if (mode.train, mode.evaluation) == (True, False):
        return train
    if (mode.train, mode.evaluation) == (False, True):
        return ast.UnaryOp(ast.Not(), train)
    return ast.IfExp(train, node(mode.train), node(mode.evaluation))


def _dtype(name: str) -> ast.expr:
    """int64, float64 and complex128 are JAX's own widest, so that they are the narrow ones without x64."""
    widest = {"int64": "int", "float64": "float", "complex128": "complex", "bool": "bool"}
    text = widest.get(name) or f"jnp.{name}"
    return ast.parse(text, mode="eval").body


def _made_dtype(op: Op, values: SimpleNamespace) -> Dtype | None:
    """The dtype of what is made, where JAX's default is another."""
    out = op.outs.dtype
    if str(op.kwargs.get("dtype")) == f"torch.{out}" and "float" in out and "dtype_of" not in op.kwargs:
        return Dtype(out, as_given=True)
    like = getattr(values, "input", None)
    named = "new_" in op.name and op.kwargs.get("dtype") is not None
    if ("_like" in op.name or "new_" in op.name) and isinstance(like, Val) and like.dtype == out and not named:
        return None
    return None if out == "int64" and op.name == "arange" else Dtype(out)


def worked_out(text: str) -> ast.expr:
    """The expression of a size in the symbols that it follows from."""
    return _Symbols().visit(ast.parse(text, mode="eval").body)


def _opposite(term: ast.expr) -> ast.expr | None:
    """The number or product without its sign, where it has one."""
    match term:
        case ast.UnaryOp(ast.USub(), ast.Constant() as number):
            return number
        case ast.BinOp(ast.UnaryOp(ast.USub(), ast.Constant(1)), ast.Mult(), size):
            return size
        case ast.BinOp(ast.UnaryOp(ast.USub(), number), ast.Mult(), size):
            return ast.BinOp(number, ast.Mult(), size)
    return None


class _Symbols(ast.NodeTransformer):
    def visit_Name(self, name: ast.Name) -> ast.expr:
        if name.id not in ("math", "min", "max", "int", "float", "round"):
            name.sym = name.id  # type: ignore[attr-defined]
        return name

    def visit_BinOp(self, sum_: ast.BinOp) -> ast.expr:
        """What is added is taken away where it is multiplied by a negative number: 9 - t, not 9 + -1 * t."""
        self.generic_visit(sum_)
        for one, other in ((sum_.right, sum_.left), (sum_.left, sum_.right)):
            if isinstance(sum_.op, ast.Add) and (size := _opposite(one)) is not None:
                return ast.BinOp(other, ast.Sub(), size)
        return sum_


def _cast(value: ast.expr, dtype: Dtype) -> ast.expr:
    return ast.Call(ast.Attribute(value, "astype", ast.Load()), [node(dtype)], [])


def _filled(text: str, values: SimpleNamespace, row: Row) -> ast.expr:
    return _Filled(vars(values), row.signature).visit(ast.parse(text, mode="eval").body)


class _Filled(ast.NodeTransformer):
    def __init__(self, values: dict[str, Any], signature: inspect.Signature):
        self.values, self.signature = values, signature

    def visit_Name(self, name: ast.Name) -> ast.expr:
        if name.id not in self.values or name.id in MODULES:
            return name
        return self._given(name.id, self.values[name.id])

    def _given(self, name: str, value: Any) -> ast.expr:
        dtype = self.values["_casts"].get(name)
        return node(value) if dtype is None else _cast(node(value), dtype)

    def visit_Subscript(self, subscript: ast.Subscript) -> ast.expr:
        if isinstance(subscript.slice, ast.Name) and subscript.slice.id in self.values:
            return ast.Subscript(self.visit(subscript.value), _index(self.values[subscript.slice.id]), ast.Load())
        return self.generic_visit(subscript)  # type: ignore[return-value]

    def visit_Call(self, call: ast.Call) -> ast.expr:
        args: list[ast.expr] = []
        named: list[ast.keyword] = []
        for i, arg in enumerate(call.args):
            value = self.values.get(arg.id) if isinstance(arg, ast.Name) else None
            if named or (i and isinstance(value, Val) and value.kind == "param" and _of_functional(call)):
                # from the first weight on by keywords, so that a module's weights can be given by `**params[…]`
                assert isinstance(arg, ast.Name)
                named.append(ast.keyword(arg.id, self.visit(arg)))
            elif isinstance(arg, ast.Starred) and isinstance(arg.value, ast.Name) and arg.value.id in self.values:
                args += [node(part) for part in self.values[arg.value.id]]
            else:
                args.append(self.visit(arg))
        keywords = named
        for keyword in call.keywords:
            name = keyword.value.id if isinstance(keyword.value, ast.Name) else ""
            if name not in self.values:
                keywords.append(ast.keyword(keyword.arg, self.visit(keyword.value)))
                continue
            value = _one_for_all(name, self.values[name])
            keywords.append(ast.keyword(keyword.arg, self._given(name, value)))
            parameter = self.signature.parameters.get(name)
            if parameter is not None and _same(value, parameter.default):
                keywords[-1].default = True  # type: ignore[attr-defined]
        return ast.Call(self.visit(call.func), args, keywords)


def _of_functional(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == "F"


MODULES = ("jax", "jnp", "F")


def _same(value: Any, default: Any) -> bool:
    return type(value) in (type(default), int, float, bool) and value == default


def _one_for_all(name: str, value: Any) -> Any:
    """(2, 2) as 2, where torch's functions take one number for every dimension."""
    if (
        name in ONE_FOR_ALL
        and isinstance(value, tuple | list)
        and value
        and all(isinstance(v, int | float) for v in value)
    ):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value


def _index(value: Any) -> ast.expr:
    """What stands between the brackets."""
    if isinstance(value, slice):
        parts = [None if part is None else node(part) for part in (value.start, value.stop, value.step)]
        return ast.Slice(*parts)
    if isinstance(value, tuple):
        return ast.Tuple([_index(part) for part in value], ast.Load())
    if isinstance(value, list):
        return ast.Call(ast.parse("jnp.array", mode="eval").body, [node(value)], [])
    return node(value)


class Replaced(ast.NodeTransformer):
    """Names of values replaced by other expressions, where there is one."""

    def __init__(self, other: Any):
        self.other = other

    def visit_Name(self, name: ast.Name) -> ast.expr:
        """The other expression, or the name as it is."""
        if hasattr(name, "val"):
            new = self.other(name.val)
            return name if new is None else new
        return name


def flat(structure: Any) -> bool:
    """Whether a result can be assigned to names: one value, or lists of values in lists."""
    if isinstance(structure, dict):
        return False
    return not isinstance(structure, list | tuple) or all(flat(part) for part in structure)


def vals(expression: Any) -> list[Val]:
    """The values an expression reads, each as often as it does."""
    return [n.val for n in ast.walk(expression) if hasattr(n, "val")] if expression is not None else []


def repeated(expression: Any) -> list[Val]:
    """The values that are read inside the lambdas of an expression."""
    found = ast.walk(expression) if expression is not None else []
    return [val for n in found if isinstance(n, ast.Lambda) for val in vals(n)]


def symbols(expression: ast.AST) -> list[str]:
    """The symbols of sizes in an expression."""
    return [n.sym for n in ast.walk(expression) if hasattr(n, "sym")]


def keyed(expression: ast.AST) -> list[ast.Call]:
    """The calls that take a key, in order."""
    return [n for n in ast.walk(expression) if isinstance(n, ast.Call) and getattr(n, "random", False)]


def set_key(call: ast.Call, key: ast.expr) -> None:
    """The call with a key of its own."""
    for i, arg in enumerate(call.args):
        if isinstance(arg, ast.Name) and arg.id == "key":
            call.args[i] = key
    for keyword in call.keywords:
        if keyword.arg == "key":
            keyword.value = key


def below(paths: list[str], parent: str) -> set[str]:
    """The names that stand directly under a path."""
    start = f"{parent}." if parent else ""
    return {path[len(start) :].split(".")[0] for path in paths if path.startswith(start)}
