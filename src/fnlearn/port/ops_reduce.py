"""Rows of sums, means, extremes and norms."""

from collections.abc import Callable
from typing import Any

from fnlearn.port.graph import Val
from fnlearn.port.table import ONLY, Template, along, column, ndim, row, sizes, with_


def _reduction(call: str, signature: str = "input, dim=None, keepdim=False, *, dtype=None") -> tuple[str, Template]:
    def template(a: Any) -> str:
        if ndim(a.input) == 0:
            a.dim = None
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
row(
    "logsumexp special.logsumexp",
    "input, dim, keepdim=False",
    lambda a: "input" if ndim(a.input) == 0 else "jax.scipy.special.logsumexp(input, axis=dim, keepdims=keepdim)",
)


def _sum_to_size(a: Any) -> str:
    size = sizes(a.size)
    lead = ndim(a.input) - len(size)
    a.axes = (*range(lead), *(i + lead for i, n in enumerate(size) if n == 1 and a.input.shape[i + lead] != 1))
    a.size = size
    return "input.sum(axes).reshape(size)"


row("sum_to_size", "input, *size", _sum_to_size)


def _spread(call: str) -> Callable[[Any], str]:
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
row("var_mean", SPREAD, lambda a: [_spread("var")(a), "input.mean(axis=dim, keepdims=keepdim)"])
row("std_mean", SPREAD, lambda a: [_spread("std")(a), "input.mean(axis=dim, keepdims=keepdim)"])


def _extreme(call: str, pair: str) -> Template:
    def template(a: Any) -> str | list[str]:
        if a.dim is None:
            return f"input.{call}()"
        if ndim(a.input) == 0 and not isinstance(a.dim, Val):
            return ONLY
        if isinstance(a.dim, Val):
            return f"jnp.{pair}(input, dim)"
        ends = "(axis=dim, keepdims=keepdim)"
        return [f"input.{call}{ends}", f"input.arg{call}{ends}"]

    return template


row("max", "input, dim=None, keepdim=False", _extreme("max", "maximum"))
row("min", "input, dim=None, keepdim=False", _extreme("min", "minimum"))
row(
    "aminmax",
    "input, *, dim=None, keepdim=False",
    lambda a: (
        ["input", "input"]
        if ndim(a.input) == 0
        else ["input.min(axis=dim, keepdims=keepdim)", "input.max(axis=dim, keepdims=keepdim)"]
    ),
)


def _norm(a: Any) -> str:
    order = {"fro": 2, "nuc": "nuc"}.get(a.p, a.p)
    if order == "nuc":
        a.dim = tuple(range(-2, 0)) if a.dim is None else tuple(a.dim)
        return "jnp.linalg.norm(input, ord='nuc', axis=dim, keepdims=keepdim)"
    if ndim(a.input) == 0:
        return "jnp.abs(input)"
    if a.dim is None:
        if order == 2:
            return "jnp.sqrt((jnp.abs(input) ** 2).sum())" + (f".reshape((1,) * {ndim(a.input)})" if a.keepdim else "")
        a.p = order
        return "jnp.linalg.norm(input.ravel(), p)" + (f".reshape((1,) * {ndim(a.input)})" if a.keepdim else "")
    a.p = order
    return "jnp.linalg.vector_norm(input, axis=dim, ord=p, keepdims=keepdim)"


row("norm", 'input, p="fro", dim=None, keepdim=False, dtype=None', _norm)
row(
    "linalg.vector_norm",
    "input, ord=2, dim=None, keepdim=False, *, dtype=None",
    lambda a: (
        "jnp.linalg.vector_norm(input, axis=dim, ord=ord, keepdims=keepdim)"
        if ndim(a.input)
        else "jnp.linalg.vector_norm(input.reshape(1), ord=ord)"
    ),
)
row(
    "linalg.norm",
    "input, ord=None, dim=None, keepdim=False, *, dtype=None",
    lambda a: (
        "jnp.linalg.norm(input, ord=ord, axis=dim, keepdims=keepdim)"
        if a.ord is not None or a.dim is not None
        else "jnp.linalg.norm(input.ravel())" + (f".reshape((1,) * {ndim(a.input)})" if a.keepdim else "")
    ),
)


def _running(call: str) -> Template:
    def template(a: Any) -> str:
        if ndim(a.input) == 0:
            return "input"
        a.axis = a.dim % ndim(a.input) if call.startswith("jax.lax") else a.dim
        return f"{call}(input, axis=axis)" + (".astype(dtype)" if getattr(a, "dtype", None) is not None else "")

    return template


row("cumsum", "input, dim, *, dtype=None", _running("jnp.cumsum"))
row("cumprod", "input, dim, *, dtype=None", _running("jnp.cumprod"))
row("logcumsumexp", "input, dim", _running("jax.lax.cumlogsumexp"))
row("cummax", "input, dim", lambda a: _cumulative(a, "cummax", ">="))
row("cummin", "input, dim", lambda a: _cumulative(a, "cummin", "<="))


def _cumulative(a: Any, call: str, sign: str) -> list[str]:
    if ndim(a.input) == 0:
        return ONLY
    a.axis = a.dim % ndim(a.input)
    a.shape = column(a.input, a.axis)
    best = f"jax.lax.{call}(input, axis=axis)"
    a.length = a.input.shape[a.axis]
    where = f"jnp.where(input {sign} {best}, jnp.arange(length).reshape(shape), 0)"
    return [best, f"jax.lax.cummax({where}, axis=axis)"]


def _quantile(call: str) -> Template:
    def template(a: Any) -> str:
        return f"jnp.{call}(input, q, axis=dim, keepdims=keepdim, method=interpolation)"

    return template


QUANTILE = "input, q, dim=None, keepdim=False, *, interpolation='linear'"
row("quantile", QUANTILE, _quantile("quantile"))
row("nanquantile", QUANTILE, _quantile("nanquantile"))
row("median", "input, dim=None, keepdim=False", lambda a: _median(a, ""))
row("nanmedian", "input, dim=None, keepdim=False", lambda a: _median(a, "nan"))


def _median(a: Any, kind: str) -> str | list[str]:
    if a.dim is None:
        return f"jnp.{kind}quantile(input, 0.5, method='lower')"
    if ndim(a.input) == 0:
        return ONLY
    best = f"jnp.{kind}quantile(input, 0.5, axis=dim, keepdims=True, method='lower')"
    kept = "" if a.keepdim else ".squeeze(dim)"
    return [f"{best}{kept}", f"jnp.argmax(input == {best}, axis=dim, keepdims=True){kept}"]


row(
    "trapezoid trapz",
    "y, x=None, *, dx=1.0, dim=-1",
    lambda a: "jnp.trapezoid(y, x, axis=dim)" if a.x is not None else "jnp.trapezoid(y, dx=dx, axis=dim)",
)
row("kthvalue", "input, k, dim=-1, keepdim=False", lambda a: _kth(a))


def _kth(a: Any) -> list[str]:
    if ndim(a.input) == 0:
        return ONLY
    a.at = along(a.input, a.dim, slice(a.k - 1, a.k))
    kept = "" if a.keepdim else ".squeeze(dim)"
    return [f"jnp.sort(input, axis=dim)[at]{kept}", f"jnp.argsort(input, axis=dim)[at]{kept}"]


row(
    "histc",
    "input, bins=100, min=0, max=0",
    lambda a: (
        with_(a, low=a.min, high=a.max, then="jnp.histogram(input, bins, (low, high))[0].astype(input.dtype)")
        if a.min != a.max
        else "jnp.histogram(input, bins)[0].astype(input.dtype)"
    ),
)
row("dist", "input, other, p=2", "jnp.linalg.vector_norm(input - other, ord=p)")
row("renorm", "input, p, dim, maxnorm", lambda a: _renorm(a))


def _renorm(a: Any) -> str:
    a.axes = tuple(i for i in range(ndim(a.input)) if i != a.dim % ndim(a.input))
    norms = "jnp.linalg.vector_norm(input, axis=axes, ord=p, keepdims=True)"
    return f"input * jnp.where({norms} > maxnorm, maxnorm / ({norms} + 1e-7), 1.0)"


row(
    "diff",
    "input, n=1, dim=-1, prepend=None, append=None",
    "jnp.diff(input, n=n, axis=dim, prepend=prepend, append=append)",
)
row("trace", "input", "jnp.trace(input)")
row(
    "histogram",
    "input, bins, *, range=None, weight=None, density=False",
    lambda a: with_(a, between=a.range, then="jnp.histogram(input, bins, between, weight, density)"),
)
row("cumulative_trapezoid", "y, x=None, *, dx=1.0, dim=-1", lambda a: _cumulative_trapezoid(a))


def _cumulative_trapezoid(a: Any) -> str:
    axis = a.dim % ndim(a.y)
    a.late, a.early = along(a.y, axis, slice(1, None)), along(a.y, axis, slice(None, -1))
    a.axis = axis
    if a.x is None:
        return "jnp.cumsum((y[late] + y[early]) * dx / 2, axis=axis)"
    steps = "jnp.diff(x, axis=axis)"
    if ndim(a.x) == 1 and ndim(a.y) > 1:
        a.shape = column(a.y, axis)
        steps = "jnp.diff(x).reshape(shape)"
    return f"jnp.cumsum((y[late] + y[early]) / 2 * {steps}, axis=axis)"
