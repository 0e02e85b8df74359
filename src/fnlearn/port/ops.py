"""The table of operations: for each name of torch's public API, the JAX expression that a person would write.

A row is torch's signature and a template, an expression over the signature's names; a function that returns one where
it depends on the arguments. A keyword whose value is the signature's default is left out. What is in
`fnlearn.functional` needs no row: it has torch's names, arguments and defaults.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import fnlearn.functional
from fnlearn.port.errors import PortError
from fnlearn.port.graph import Op, Sym, Val

__all__ = ["ROWS", "Row", "bound", "row_of"]

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


def row(names: str, signature: str, template: Template, random: bool = False) -> None:
    """Enter a row under each of its names."""
    parsed = inspect.signature(eval(f"lambda {signature}: 0", {"inf": math.inf}))  # our own text, never a model's
    for name in names.split():
        if name in ROWS:
            raise ValueError(f"{name!r} has a row already")
        ROWS[name] = Row(parsed, template, random)


def row_of(name: str) -> Row | None:
    """The row of an API name, or that of the function of `fnlearn.functional` with the same name."""
    if name in ROWS:
        return ROWS[name]
    return _functional_row(name.removeprefix("F.")) if name.startswith("F.") else None


@cache
def _functional_row(name: str) -> Row | None:
    function = getattr(fnlearn.functional, name, None)
    if function is None or name.startswith("_"):
        return None
    signature = inspect.signature(function)
    random = "key" in signature.parameters
    names = [p for p in signature.parameters if p not in ("key", "inplace", "_stacklevel")]
    return Row(signature, f"F.{name}({', '.join(f'{n}={n}' for n in names)})", random)


def bound(op: Op, row: Row) -> SimpleNamespace:
    """The call's arguments by the row's names, with defaults."""
    try:
        given = row.signature.bind(*op.args, **op.kwargs)
    except TypeError as error:
        raise PortError(f"{op.where}: {op.name} with these arguments is not ported: {error}") from None
    given.apply_defaults()
    return SimpleNamespace(**given.arguments)


def floating(value: Any) -> bool:
    """Whether a value's dtype is a floating-point one."""
    return isinstance(value, float) or (isinstance(value, Val) and "float" in value.dtype)


def ndim(value: Any) -> int:
    """How many dimensions a value has; 0 for a number."""
    return len(value.shape) if isinstance(value, Val) else 0


# one argument

for _name in """abs acos acosh asin asinh atan atanh ceil conj cos cosh deg2rad exp exp2 expm1 floor isfinite isinf isnan
isneginf isposinf isreal log log10 log1p log2 logical_not negative positive rad2deg sign signbit sin sinh sqrt
square tan tanh trunc""".split():
    row(_name, "input", f"jnp.{_name}(input)")
for _other, _name in {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctanh": "atanh", "fix": "trunc", "special.exp2": "exp2", "special.expm1": "expm1", "special.log1p": "log1p",
    "__abs__": "abs", "conj_physical": "conj", "resolve_conj": "positive", "angle": "angle", "sgn": "sign",
}.items():  # fmt: skip
    row(_other, "input", f"jnp.{_name}(input)")
row("neg __neg__", "input", "-input")
row("bitwise_not __invert__", "input", "~input")
row("reciprocal", "input", "1 / input")
row("rsqrt", "input", "jax.lax.rsqrt(input)")
row("frac", "input", "input - jnp.trunc(input)")
row("round special.round", "input, *, decimals=0", "jnp.round(input, decimals=decimals)")
row("sigmoid special.expit", "input", "F.sigmoid(input)")
row("relu", "input", "F.relu(input)")
row("relu6", "input", "F.relu6(input)")
row("selu", "input", "F.selu(input)")
row("celu", "input, alpha=1.0", "F.celu(input, alpha=alpha)")
row("rrelu", "input, lower=0.125, upper=1/3, training=False", "F.rrelu(input, lower, upper, training)", random=True)
row("hardshrink", "input, lambd=0.5", "F.hardshrink(input, lambd=lambd)")
row("prelu", "input, weight", "F.prelu(input, weight)")
row("threshold", "input, threshold, value", "F.threshold(input, threshold, value)")
for _name, _call in {
    "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "lgamma": "gammaln", "digamma": "digamma", "i0": "i0",
    "special.i0e": "i0e", "special.i1": "i1", "special.i1e": "i1e", "special.ndtr": "ndtr", "special.ndtri": "ndtri",
    "special.log_ndtr": "log_ndtr", "special.entr": "entr", "special.erf": "erf", "special.erfc": "erfc",
    "special.erfinv": "erfinv", "special.gammaln": "gammaln", "special.digamma": "digamma", "special.psi": "digamma",
    "special.i0": "i0",
}.items():  # fmt: skip
    row(_name, "input", f"jax.scipy.special.{_call}(input)")
row("special.sinc sinc", "input", "jnp.sinc(input)")
row("logit special.logit", "input, eps=None", lambda a: "jax.scipy.special.logit(input)" if a.eps is None
    else "jax.scipy.special.logit(jnp.clip(input, eps, 1 - eps))")  # fmt: skip
row("polygamma special.polygamma", "n, input", "jax.scipy.special.polygamma(n, input)")
row("mvlgamma special.multigammaln", "input, p", "jax.scipy.special.multigammaln(input, p)")
row("nan_to_num", "input, nan=0.0, posinf=None, neginf=None",
    "jnp.nan_to_num(input, nan=nan, posinf=posinf, neginf=neginf)")  # fmt: skip

# two arguments


def _arithmetic(sign: str) -> Template:
    def template(a: Any) -> str:
        return f"input {sign} other" if a.alpha == 1 else f"input {sign} alpha * other"

    return template


row("add __add__", "input, other, *, alpha=1", _arithmetic("+"))
row("sub subtract __sub__", "input, other, *, alpha=1", _arithmetic("-"))
row("__radd__", "input, other", "other + input")
row("__rsub__", "input, other", "other - input")
row("rsub", "input, other, alpha=1", lambda a: "other - input" if a.alpha == 1 else "other - alpha * input")
for _names, _sign in {
    "mul multiply __mul__": "*", "__truediv__ true_divide": "/", "matmul mm bmm mv __matmul__ linalg.matmul": "@",
    "floor_divide __floordiv__": "//", "remainder __mod__": "%", "pow __pow__ float_power": "**",
    "lt less __lt__": "<", "le less_equal __le__": "<=", "gt greater __gt__": ">", "ge greater_equal __ge__": ">=",
    "eq __eq__": "==", "ne not_equal __ne__": "!=", "bitwise_and __and__": "&", "bitwise_or __or__": "|",
    "bitwise_xor __xor__": "^", "bitwise_left_shift __lshift__": "<<", "bitwise_right_shift __rshift__": ">>",
}.items():  # fmt: skip
    row(_names, "input, other", f"input {_sign} other")
for _names, _sign in {
    "__rmul__": "*", "__rtruediv__": "/", "__rdiv__": "/", "__rmatmul__": "@", "__rfloordiv__": "//", "__rmod__": "%",
    "__rpow__": "**", "__rand__": "&", "__ror__": "|", "__rxor__": "^", "__rlshift__": "<<", "__rrshift__": ">>",
}.items():  # fmt: skip
    row(_names, "input, other", f"other {_sign} input")
row("div divide __div__", "input, other, *, rounding_mode=None", lambda a: {
    None: "input / other", "floor": "jnp.floor_divide(input, other)", "trunc": "jnp.trunc(input / other)",
}[a.rounding_mode])  # fmt: skip
for _name, _call in {
    "atan2": "arctan2", "arctan2": "arctan2", "copysign": "copysign", "fmax": "fmax", "fmin": "fmin", "fmod": "fmod",
    "gcd": "gcd", "heaviside": "heaviside", "hypot": "hypot", "lcm": "lcm", "ldexp": "ldexp",
    "logaddexp": "logaddexp", "logaddexp2": "logaddexp2", "logical_and": "logical_and", "logical_or": "logical_or",
    "logical_xor": "logical_xor", "maximum": "maximum", "minimum": "minimum", "nextafter": "nextafter",
    "kron": "kron", "inner": "inner", "dot": "dot", "vdot": "vdot", "outer": "outer", "ger": "outer",
}.items():  # fmt: skip
    row(_name, "input, other", f"jnp.{_call}(input, other)")
row("xlogy special.xlogy", "input, other", "jax.scipy.special.xlogy(input, other)")
row("special.xlog1py", "input, other", "jax.scipy.special.xlog1py(input, other)")
row("special.zeta", "input, other", "jax.scipy.special.zeta(input, other)")
row("igamma special.gammainc", "input, other", "jax.scipy.special.gammainc(input, other)")
row("igammac special.gammaincc", "input, other", "jax.scipy.special.gammaincc(input, other)")
row("lerp", "input, end, weight", "input + weight * (end - input)")
row("addcmul", "input, tensor1, tensor2, *, value=1", lambda a: "input + tensor1 * tensor2" if a.value == 1
    else "input + value * tensor1 * tensor2")  # fmt: skip
row("addcdiv", "input, tensor1, tensor2, *, value=1", lambda a: "input + tensor1 / tensor2" if a.value == 1
    else "input + value * tensor1 / tensor2")  # fmt: skip


def _added(product: str) -> Template:
    def template(a: Any) -> str:
        left = "" if a.beta == 0 else "input + " if a.beta == 1 else "beta * input + "
        return left + (product if a.alpha == 1 else f"alpha * ({product})")

    return template


row("addmm", "input, mat1, mat2, *, beta=1, alpha=1", _added("mat1 @ mat2"))
row("addmv", "input, mat, vec, *, beta=1, alpha=1", _added("mat @ vec"))
row("addr", "input, vec1, vec2, *, beta=1, alpha=1", _added("jnp.outer(vec1, vec2)"))
row("baddbmm", "input, batch1, batch2, *, beta=1, alpha=1", _added("batch1 @ batch2"))
row("addbmm", "input, batch1, batch2, *, beta=1, alpha=1", _added("(batch1 @ batch2).sum(0)"))


def _clamp(a: Any) -> str:
    if a.min is None or a.max is None:
        return "jnp.maximum(input, min)" if a.max is None else "jnp.minimum(input, max)"
    return "jnp.clip(input, min, max)"


row("clamp clip", "input, min=None, max=None", _clamp)
row("clamp_min", "input, min", "jnp.maximum(input, min)")
row("clamp_max", "input, max", "jnp.minimum(input, max)")
row("where", "condition, input, other", "jnp.where(condition, input, other)")
row("masked_fill", "input, mask, value", "jnp.where(mask, value, input)")
row("isclose", "input, other, rtol=1e-05, atol=1e-08, equal_nan=False",
    "jnp.isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)")  # fmt: skip
row("complex", "real, imag", "jax.lax.complex(real, imag)")
row("polar", "abs, angle", "jax.lax.complex(abs * jnp.cos(angle), abs * jnp.sin(angle))")
row("real", "input", "input.real")
row("imag", "input", "input.imag")
row("view_as_real", "input", "jnp.stack([input.real, input.imag], -1)")
row("view_as_complex", "input", "jax.lax.complex(input[..., 0], input[..., 1])")

# reductions


def _reduction(call: str, signature: str = "input, dim=None, keepdim=False, *, dtype=None") -> tuple[str, Template]:
    def template(a: Any) -> str:
        method = f"input.{call}" if call in ("sum", "mean", "prod", "any", "all", "std", "var") else f"jnp.{call}"
        first = "" if method.startswith("input.") else "input, "
        end = ".astype(dtype)" if getattr(a, "dtype", None) is not None else ""
        if a.dim == () or a.dim == []:
            return f"{method}({first}keepdims=keepdim){end}"
        return f"{method}({first}axis=dim, keepdims=keepdim){end}"

    return signature, template


row("sum", *_reduction("sum"))
row("nansum", *_reduction("nansum"))
row("mean", *_reduction("mean"))
row("nanmean", *_reduction("nanmean"))
row("prod", *_reduction("prod"))
row("all", *_reduction("all"))
row("any", *_reduction("any"))
row("amax", *_reduction("max"))
row("amin", *_reduction("min"))
row("argmax", *_reduction("argmax", "input, dim=None, keepdim=False"))
row("argmin", *_reduction("argmin", "input, dim=None, keepdim=False"))
row("count_nonzero", *_reduction("count_nonzero", "input, dim=None, *, keepdim=False"))
row("logsumexp special.logsumexp", "input, dim, keepdim=False",
    "jax.scipy.special.logsumexp(input, axis=dim, keepdims=keepdim)")  # fmt: skip
row("sum_to_size", "input, *size", lambda a: "input.sum(0)" if False else "input")
del ROWS["sum_to_size"]


def _spread(call: str) -> Template:
    def template(a: Any) -> str:
        if isinstance(a.dim, bool):  # the old form, var(unbiased)
            a.correction, a.dim = int(a.dim), None
        if a.unbiased is not None:
            a.correction = int(a.unbiased)
        return f"input.{call}(axis=dim, ddof={1 if a.correction is None else a.correction}, keepdims=keepdim)"

    return template


SPREAD = "input, dim=None, unbiased=None, keepdim=False, *, correction=None"
row("var", SPREAD, _spread("var"))
row("std", SPREAD, _spread("std"))
row("var_mean", SPREAD, lambda a: [_spread("var")(a), "input.mean(axis=dim, keepdims=keepdim)"])  # type: ignore[operator]
row("std_mean", SPREAD, lambda a: [_spread("std")(a), "input.mean(axis=dim, keepdims=keepdim)"])  # type: ignore[operator]


def _extreme(call: str, pair: str) -> Template:
    def template(a: Any) -> str | list[str]:
        if a.dim is None:
            return f"input.{call}()"
        if isinstance(a.dim, Val):
            return f"jnp.{pair}(input, dim)"
        ends = "(axis=dim, keepdims=keepdim)"
        return [f"input.{call}{ends}", f"input.arg{call}{ends}"]

    return template


row("max", "input, dim=None, keepdim=False", _extreme("max", "maximum"))
row("min", "input, dim=None, keepdim=False", _extreme("min", "minimum"))
row("aminmax", "input, *, dim=None, keepdim=False",
    ["input.min(axis=dim, keepdims=keepdim)", "input.max(axis=dim, keepdims=keepdim)"])  # fmt: skip


def _norm(a: Any) -> str:
    order = {"fro": 2, "nuc": "nuc"}.get(a.p, a.p)
    if a.dim is None:
        if order == 2:
            return "jnp.sqrt((jnp.abs(input) ** 2).sum())" + (f".reshape((1,) * {ndim(a.input)})" if a.keepdim else "")
        return f"jnp.linalg.norm(input.ravel(), {order!r})"
    a.p = order
    return "jnp.linalg.vector_norm(input, axis=dim, ord=p, keepdims=keepdim)"


row("norm", 'input, p="fro", dim=None, keepdim=False, dtype=None', _norm)
row("linalg.vector_norm", "input, ord=2, dim=None, keepdim=False, *, dtype=None",
    "jnp.linalg.vector_norm(input, axis=dim, ord=ord, keepdims=keepdim)")  # fmt: skip
row("linalg.norm", "input, ord=None, dim=None, keepdim=False, *, dtype=None",
    lambda a: "jnp.linalg.norm(input, ord=ord, axis=dim, keepdims=keepdim)" if a.ord is not None or a.dim is not None
    else "jnp.linalg.norm(input.ravel())")  # fmt: skip
row("cumsum", "input, dim, *, dtype=None", "jnp.cumsum(input, axis=dim)")
row("cumprod", "input, dim, *, dtype=None", "jnp.cumprod(input, axis=dim)")
row("logcumsumexp", "input, dim", "jax.lax.cumlogsumexp(input, axis=dim)")
row("diff", "input, n=1, dim=-1, prepend=None, append=None",
    "jnp.diff(input, n=n, axis=dim, prepend=prepend, append=append)")  # fmt: skip
row("trace", "input", "jnp.trace(input)")

# shapes


def _sizes(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes given one by one or as one sequence."""
    return tuple(values[0]) if len(values) == 1 and isinstance(values[0], tuple | list) else tuple(values)


def _reshape(a: Any) -> str:
    a.shape = _sizes(a.shape)
    if len(a.shape) == 1 and not isinstance(a.shape[0], int | Sym):  # view(dtype)
        return "input.view(shape0)"
    return "input.reshape(*shape)"


row("reshape view", "input, *shape", _reshape)
row("reshape_as view_as", "input, other", "input.reshape(other.shape)")
row("expand", "input, *size", lambda a: _expand(a))
row("expand_as", "input, other", "jnp.broadcast_to(input, other.shape)")
row("broadcast_to", "input, size", lambda a: _expand(a))


def _expand(a: Any) -> str:
    size = _sizes(a.size) if isinstance(a.size, tuple | list) else a.size
    lead = len(size) - ndim(a.input)
    a.size = tuple(a.input.shape[i - lead] if s == -1 else s for i, s in enumerate(size))
    return "jnp.broadcast_to(input, size)"


row("transpose swapaxes swapdims", "input, dim0, dim1", "input.swapaxes(dim0, dim1)")
row("t", "input", lambda a: "input.T" if ndim(a.input) == 2 else "input")
row("T", "input", "input.T")
row("mT", "input", "input.mT")
row("H adjoint", "input", "jnp.conj(input.mT)")
row("mH", "input", "jnp.conj(input.mT)")


def _permute(a: Any) -> str:
    a.dims = _sizes(a.dims)
    return "input.transpose(*dims)"


row("permute", "input, *dims", _permute)
row("movedim moveaxis", "input, source, destination", "jnp.moveaxis(input, source, destination)")


def _flatten(a: Any) -> str:
    n = ndim(a.input)
    if n == 0:
        return "input.reshape(1)"
    start, end = a.start_dim % n, a.end_dim % n
    if (start, end) == (0, n - 1):
        return "input.reshape(-1)"
    if start == end:
        return "input"
    if end == n - 1:
        a.lead = tuple(a.input.shape[:start])
        return "input.reshape(*lead, -1)"
    a.lead, a.rest = tuple(a.input.shape[:start]), tuple(a.input.shape[end + 1 :])
    return "input.reshape(*lead, -1, *rest)"


row("flatten", "input, start_dim=0, end_dim=-1", _flatten)
row("ravel", "input", "input.reshape(-1)")


def _unflatten(a: Any) -> str:
    dim = a.dim % ndim(a.input)
    a.shape = (*a.input.shape[:dim], *a.sizes, *a.input.shape[dim + 1 :])
    return "input.reshape(*shape)"


row("unflatten", "input, dim, sizes", _unflatten)
row("unsqueeze", "input, dim", "jnp.expand_dims(input, dim)")


def _squeeze(a: Any) -> str:
    if a.dim is None:
        return "jnp.squeeze(input)"
    dims = (a.dim,) if isinstance(a.dim, int) else a.dim
    dims = tuple(d for d in dims if ndim(a.input) and a.input.shape[d] == 1)
    a.dim = dims[0] if len(dims) == 1 else dims
    return "jnp.squeeze(input, dim)" if dims else "input"


row("squeeze", "input, dim=None", _squeeze)
row("cat concat concatenate", "tensors, dim=0, axis=None", lambda a: _joined(a, "concatenate"))
row("stack", "tensors, dim=0", "jnp.stack(tensors, axis=dim)")


def _joined(a: Any, call: str) -> str:
    if a.axis is not None:
        a.dim = a.axis
    a.tensors = [t for t in a.tensors if not (isinstance(t, Val) and t.shape == (0,))] or a.tensors  # torch's old empty
    return f"jnp.{call}(tensors, axis=dim)"


for _name in ("hstack", "vstack", "dstack", "column_stack"):
    row(_name, "tensors", f"jnp.{_name}(tensors)")
row("row_stack", "tensors", "jnp.vstack(tensors)")
row("atleast_1d", "input", "jnp.atleast_1d(input)")
row("atleast_2d", "input", "jnp.atleast_2d(input)")


def _split(a: Any) -> str:
    size, total = a.split_size_or_sections, a.tensor.shape[a.dim]
    if isinstance(size, tuple | list):
        a.at = tuple(sum(size[: i + 1]) for i in range(len(size) - 1))
    elif total == size:
        return "(tensor,)"
    elif total % size == 0:
        a.at = total // size
    else:
        a.at = tuple(range(size, total, size))
    return "jnp.split(tensor, at, axis=dim)"


row("split split_with_sizes", "tensor, split_size_or_sections, dim=0", _split)


def _chunk(a: Any) -> str:
    total = a.input.shape[a.dim]
    size = -(-total // a.chunks)
    a.at = a.chunks if total % a.chunks == 0 else tuple(range(size, total, size))
    return "jnp.split(input, at, axis=dim)"


row("chunk", "input, chunks, dim=0", _chunk)
row("tensor_split", "input, indices_or_sections, dim=0", "jnp.array_split(input, indices_or_sections, axis=dim)")


def _unbind(a: Any) -> list[str]:
    n = a.input.shape[a.dim]
    ahead = [":"] * (a.dim % ndim(a.input))
    return [f"input[{', '.join([*ahead, str(i)])}]" for i in range(n)]


row("unbind", "input, dim=0", _unbind)
row("__iter__", "input", lambda a: [f"input[{i}]" for i in range(a.input.shape[0])])
row("select", "input, dim, index", lambda a: f"input[{', '.join([*[':'] * (a.dim % ndim(a.input)), 'index'])}]")


def _narrow(a: Any) -> str:
    return f"jax.lax.slice_in_dim(input, start, {_plus('start', a)}, axis=dim)"


def _plus(name: str, a: Any) -> str:
    if isinstance(a.start, int) and isinstance(a.length, int):
        a.end = a.start + a.length
        return "end"
    return f"{name} + length"


row("narrow", "input, dim, start, length", _narrow)
row("flip", "input, *dims", lambda a: _with(a, dims=_sizes(a.dims), then="jnp.flip(input, dims)"))
row("fliplr", "input", "jnp.fliplr(input)")
row("flipud", "input", "jnp.flipud(input)")
row("roll", "input, shifts, dims=None", "jnp.roll(input, shifts, axis=dims)")
row("rot90", "input, k=1, dims=(0, 1)", "jnp.rot90(input, k=k, axes=dims)")
row("repeat", "input, *sizes", lambda a: _with(a, sizes=_sizes(a.sizes), then="jnp.tile(input, sizes)"))
row("tile", "input, *dims", lambda a: _with(a, dims=_sizes(a.dims), then="jnp.tile(input, dims)"))
row("repeat_interleave", "input, repeats, dim=None, *, output_size=None", "jnp.repeat(input, repeats, axis=dim)")
row("diagonal", "input, offset=0, dim1=0, dim2=1", "jnp.diagonal(input, offset=offset, axis1=dim1, axis2=dim2)")
row("diag", "input, diagonal=0", "jnp.diag(input, k=diagonal)")
row("tril", "input, diagonal=0", "jnp.tril(input, k=diagonal)")
row("triu", "input, diagonal=0", "jnp.triu(input, k=diagonal)")
row("meshgrid", "*tensors, indexing='ij'", lambda a: _with(a, tensors=_sizes(a.tensors), then="jnp.meshgrid(*tensors, indexing=indexing0)",
    indexing0=a.indexing))  # fmt: skip
row("broadcast_tensors", "*tensors", lambda a: _with(a, tensors=_sizes(a.tensors), then="jnp.broadcast_arrays(*tensors)"))


def _with(a: Any, then: str, **values: Any) -> str:
    for name, value in values.items():
        setattr(a, name, value)
    return then


# indexing

row("__getitem__", "input, index", "input[index]")


def _setitem(a: Any) -> str:
    mask = isinstance(a.index, Val) and a.index.dtype == "bool"
    if mask and ndim(a.value) == 0:
        return "jnp.where(index, value, input)"
    return "input.at[index].set(value)"


row("__setitem__", "input, index, value", _setitem)
row("index_select", "input, dim, index", "jnp.take(input, index, axis=dim)")
row("take", "input, index", "jnp.take(input, index)")
row("gather", "input, dim, index, *, sparse_grad=False", lambda a: "jnp.take_along_axis(input, index, axis=dim)")
row("take_along_dim", "input, indices, dim=None", "jnp.take_along_axis(input, indices, axis=dim)")
row("masked_select", "input, mask", "input[mask]")
row("one_hot", "input, num_classes=-1", "F.one_hot(input, num_classes)")
row("topk", "input, k, dim=-1, largest=True, sorted=True", lambda a: _topk(a))
row("sort", "input, dim=-1, descending=False, stable=False", lambda a: _sort(a))
row("argsort", "input, dim=-1, descending=False, stable=False", "jnp.argsort(input, axis=dim, descending=descending)")


def _topk(a: Any) -> str | list[str]:
    if a.dim % max(ndim(a.input), 1) == ndim(a.input) - 1 and a.largest:
        return "jax.lax.top_k(input, k)"
    a.descending, a.at = a.largest, (slice(None),) * (a.dim % ndim(a.input)) + (slice(None, a.k),)
    order = "jnp.argsort(input, axis=dim, descending=descending)[at]"
    return [f"jnp.take_along_axis(input, {order}, axis=dim)", order]


def _sort(a: Any) -> list[str]:
    ends = "(input, axis=dim, descending=descending)"
    return [f"jnp.sort{ends}", f"jnp.argsort{ends}"]


def _at(method: str) -> Template:
    def template(a: Any) -> str:
        a.at = (slice(None),) * (a.dim % max(ndim(a.input), 1)) + (a.index,)
        return f"input.at[at].{method}"

    return template


row("index_add", "input, dim, index, source, *, alpha=1", _at("add(source)"))
row("index_copy", "input, dim, index, source", _at("set(source)"))
row("index_fill", "input, dim, index, value", _at("set(value)"))
row("scatter", "input, dim, index, src, *, reduce=None",
    lambda a: "jnp.put_along_axis(input, index, src, axis=dim, inplace=False)")  # fmt: skip

# made from nothing; the dtype is that of what torch made


def _filled(call: str, value: str = "") -> Template:
    def template(a: Any) -> str:
        a.size = _sizes(a.size)
        return f"jnp.{call}(size{value}, dtype)"

    return template


MADE = "dtype=None, device=None, requires_grad=False, layout=None, pin_memory=None, memory_format=None, out=None, names=None"
row("zeros", f"*size, {MADE}", _filled("zeros"))
row("ones", f"*size, {MADE}", _filled("ones"))
row("empty", f"*size, {MADE}", _filled("zeros"))
row("full", f"size, fill_value, *, {MADE}", lambda a: _filled("full", ", fill_value")(a))  # type: ignore[operator]
row("new_zeros", f"input, *size, {MADE}", _filled("zeros"))
row("new_ones", f"input, *size, {MADE}", _filled("ones"))
row("new_empty", f"input, *size, {MADE}", _filled("zeros"))
row("new_full", f"input, size, fill_value, *, {MADE}", _filled("full", ", fill_value"))
row("zeros_like empty_like", f"input, *, {MADE}", "jnp.zeros_like(input, dtype=dtype)")
row("ones_like", f"input, *, {MADE}", "jnp.ones_like(input, dtype=dtype)")
row("full_like", f"input, fill_value, *, {MADE}", "jnp.full_like(input, fill_value, dtype=dtype)")
row("zero", "input", "jnp.zeros_like(input)")
row("fill", "input, value", "jnp.full_like(input, value)")
row("copy", "input, src, non_blocking=False", lambda a: _copy(a))
row("eye", f"n, m=None, *, {MADE}", "jnp.eye(n, m, dtype=dtype)")
row("linspace", f"start, end, steps, *, {MADE}", "jnp.linspace(start, end, steps, dtype=dtype)")
row("scalar_tensor", f"value, *, {MADE}", "jnp.asarray(value, dtype)")
row("tensor as_tensor asarray", f"value, *, {MADE}", "jnp.asarray(value, dtype)")
row("new_tensor", f"input, value, *, {MADE}", "jnp.asarray(value, dtype)")


def _copy(a: Any) -> str:
    cast = isinstance(a.src, Val) and a.src.dtype != a.input.dtype
    a.to = a.input.dtype
    same = isinstance(a.src, Val) and a.src.shape == a.input.shape
    source = "src.astype(to)" if cast else "src"
    return source if same else f"jnp.broadcast_to({source}, input.shape)"


def _arange(a: Any) -> str:
    if a.end is None:
        a.start, a.end = 0, a.start
    if a.start == 0 and a.step == 1:
        return "jnp.arange(end, dtype=dtype)"
    return "jnp.arange(start, end, dtype=dtype)" if a.step == 1 else "jnp.arange(start, end, step, dtype=dtype)"


row("arange", f"start, end=None, step=1, *, {MADE}", _arange)
row("tril_indices", f"row, col, offset=0, *, {MADE}", "jnp.stack(jnp.tril_indices(row, offset, col))")
row("triu_indices", f"row, col, offset=0, *, {MADE}", "jnp.stack(jnp.triu_indices(row, offset, col))")

# dtypes, and what leaves no trace

KEPT = ("contiguous clone cpu alias requires_grad_ view_as_alias resolve_neg lift_fresh pin_memory "
        "alias_copy detach_copy").split()  # fmt: skip
for _name in KEPT:
    row(_name, "input, *args, **kwargs", "input")
row("detach data", "input", "jax.lax.stop_gradient(input)")
for _name, _dtype in {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "int": "int32",
    "long": "int64", "bool": "bool", "short": "int16", "char": "int8", "byte": "uint8",
}.items():  # fmt: skip
    row(_name, "input, memory_format=None", lambda a, d=_dtype: _cast(a, d))  # type: ignore[misc]


def _cast(a: Any, dtype: str) -> str:
    a.to = Dtype(dtype)
    return "input" if a.input.dtype == dtype else "input.astype(to)"


@dataclass(frozen=True)
class Dtype:
    """A dtype by its name, to be written `jnp.float32`."""

    name: str


def _to(a: Any) -> str:
    wanted = [v for v in (*a.args, *a.kwargs.values()) if str(v).startswith("torch.") and not hasattr(v, "type")]
    others = [v for v in (*a.args, *a.kwargs.values()) if isinstance(v, Val)]
    dtype = str(wanted[0]).removeprefix("torch.") if wanted else others[0].dtype if others else a.input.dtype
    return _cast(a, dtype)


row("to type", "input, *args, **kwargs", _to)
row("type_as", "input, other", lambda a: _cast(a, a.other.dtype))

# whole functions under other names

row("softmax special.softmax F.softmax", "input, dim=None, _stacklevel=3, dtype=None", "F.softmax(input, dim, dtype=dtype)")
row("log_softmax special.log_softmax F.log_softmax", "input, dim=None, _stacklevel=3, dtype=None",
    "F.log_softmax(input, dim, dtype=dtype)")  # fmt: skip
row("dropout", "input, p=0.5, train=True", "F.dropout(input, p, train)", random=True)
row("einsum", "equation, *operands", lambda a: _with(a, operands=_sizes(a.operands), then="jnp.einsum(equation, *operands)"))
row("tensordot", "a, b, dims=2, out=None", "jnp.tensordot(a, b, dims)")
row("cosine_similarity", "x1, x2, dim=1, eps=1e-8", "F.cosine_similarity(x1, x2, dim, eps)")
row("bilinear", "input1, input2, weight, bias=None", "F.bilinear(input1, input2, weight, bias)")
row("layer_norm", "input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True",
    "F.layer_norm(input, normalized_shape, weight, bias, eps=eps)")  # fmt: skip
row("group_norm", "input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True",
    "F.group_norm(input, num_groups, weight, bias, eps=eps)")  # fmt: skip
row("_weight_norm", "v, g, dim=0", lambda a: _with(a, axes=tuple(i for i in range(ndim(a.v)) if i != a.dim % ndim(a.v)),
    then="v * (g / jnp.linalg.vector_norm(v, axis=axes, keepdims=True))"))  # fmt: skip
row("cross", "input, other, dim=-1", "jnp.cross(input, other, axis=dim)")
row("linalg.cross", "input, other, *, dim=-1", "jnp.cross(input, other, axis=dim)")
row("cdist", "x1, x2, p=2.0, compute_mode=None",
    "jnp.linalg.vector_norm(x1[..., :, None, :] - x2[..., None, :, :], axis=-1, ord=p)")  # fmt: skip

# random numbers

row("rand", f"*size, {MADE}, generator=None", lambda a: _with(a, size=_sizes(a.size), then="jax.random.uniform(key, size, dtype)"), random=True)
row("randn", f"*size, {MADE}, generator=None", lambda a: _with(a, size=_sizes(a.size), then="jax.random.normal(key, size, dtype)"), random=True)
row("rand_like", f"input, *, {MADE}", "jax.random.uniform(key, input.shape, input.dtype)", random=True)
row("randn_like", f"input, *, {MADE}", "jax.random.normal(key, input.shape, input.dtype)", random=True)
row("bernoulli", "input, p=None, *, generator=None, out=None", lambda a: f"jax.random.bernoulli(key, {'input' if a.p is None else 'p, input.shape'}).astype(input.dtype)", random=True)
row("uniform", "input, a=0.0, b=1.0, *, generator=None", "jax.random.uniform(key, input.shape, input.dtype, a, b)", random=True)
row("normal", "input, mean=0.0, std=1.0, *, generator=None", "mean + std * jax.random.normal(key, input.shape, input.dtype)", random=True)

# recurrent networks: torch passes the weights as a list, with or without sizes of a packed batch

for _name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
    row(_name, "input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first",
        f"F.{_name}(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)", random=True)  # fmt: skip
for _name in ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"):
    row(_name, "input, hx, w_ih, w_hh, b_ih=None, b_hh=None", f"F.{_name}(input, hx, w_ih, w_hh, b_ih, b_hh)")
