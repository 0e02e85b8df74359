"""Rows of what takes numbers out and puts them in by index, and of sorting."""

from collections.abc import Callable
from typing import Any

from fnlearn.port.graph import Val
from fnlearn.port.table import ONLY, Dtype, along, column, ndim, row, with_

# indexing

row("__getitem__", "input, index", "input[index]")


def _setitem(a: Any) -> str:
    mask = isinstance(a.index, Val) and a.index.dtype == "bool"
    if mask and ndim(a.value) == 0:
        return "jnp.where(index, value, input)"
    if isinstance(a.value, Val) and a.value.dtype != a.input.dtype:
        a._casts["value"] = Dtype(a.input.dtype, of=a.input)
    return "input.at[index].set(value)"


row("__setitem__", "input, index, value", _setitem)
row("index_select", "input, dim, index", lambda a: "jnp.take(input, index, axis=dim)" if ndim(a.input) else "input")
row("take", "input, index", "jnp.take(input, index)")
row("gather", "input, dim, index, *, sparse_grad=False", lambda a: _gather(a))
row("take_along_dim", "input, indices, dim=None", "jnp.take_along_axis(input, indices, axis=dim)")
row("one_hot", "input, num_classes=-1", "F.one_hot(input, num_classes)")
row("topk", "input, k, dim=-1, largest=True, sorted=True", lambda a: _topk(a))
row("sort", "input, dim=-1, descending=False, stable=False", lambda a: _sort(a))
row("argsort", "input, dim=-1, descending=False, stable=False", "jnp.argsort(input, axis=dim, descending=descending)")


def _topk(a: Any) -> str | list[str]:
    if ndim(a.input) == 0:
        return ONLY
    if a.dim % max(ndim(a.input), 1) == ndim(a.input) - 1 and a.largest:
        return "jax.lax.top_k(input, k)"
    a.descending, a.at = a.largest, along(a.input, a.dim, slice(None, a.k))
    order = "jnp.argsort(input, axis=dim, descending=descending)[at]"
    return [f"jnp.take_along_axis(input, {order}, axis=dim)", order]


def _sort(a: Any) -> list[str]:
    if ndim(a.input) == 0:
        return ONLY
    ends = "(input, axis=dim, descending=descending)"
    return [f"jnp.sort{ends}", f"jnp.argsort{ends}"]


def _at(method: str) -> Callable[[Any], str]:
    def template(a: Any) -> str:
        if ndim(a.input) == 0:
            return f"input.reshape(1).at[index].{method}.reshape(())"
        if a.dim % ndim(a.input) == 0:
            return f"input.at[index].{method}"
        a.at = along(a.input, a.dim, a.index)
        return f"input.at[at].{method}"

    return template


row(
    "index_add",
    "input, dim, index, source, *, alpha=1",
    lambda a: _at("add(source)" if a.alpha == 1 else "add(alpha * source)")(a),
)
row("index_reduce", "input, dim, index, source, reduce, *, include_self=True", lambda a: _index_reduce(a))
row(
    "nonzero_static",
    "input, *, size, fill_value=-1",
    lambda a: with_(a, fill=a.fill_value, then="jnp.argwhere(input, size=size, fill_value=fill)"),
)
row("index_copy", "input, dim, index, source", _at("set(source)"))
row("index_fill", "input, dim, index, value", _at("set(value)"))
row("scatter", "input, dim, index, src, *, reduce=None", lambda a: _scatter(a))
row(
    "scatter_add",
    "input, dim, index, src",
    lambda a: with_(a, reduce="sum", then="F.scatter_reduce(input, dim, index, src, reduce)"),
)
row(
    "put",
    "input, index, source, accumulate=False",
    lambda a: (
        "input.reshape(-1).at[index.reshape(-1)]"
        f".{'add' if a.accumulate else 'set'}(source.reshape(-1)).reshape(input.shape)"
    ),
)
row("index_put", "input, indices, values, accumulate=False", lambda a: _index_put(a))
row(
    "masked_scatter",
    "input, mask, source",
    "jnp.where(mask, source.reshape(-1)"
    "[jnp.cumsum(jnp.broadcast_to(mask, input.shape).reshape(-1)).reshape(input.shape) - 1], input)",
)
row(
    "select_scatter",
    "input, src, dim, index",
    lambda a: with_(a, at=along(a.input, a.dim, a.index), then="input.at[at].set(src)"),
)
row(
    "slice_scatter",
    "input, src, dim=0, start=None, end=None, step=1",
    lambda a: with_(a, at=along(a.input, a.dim, slice(a.start, a.end, a.step)), then="input.at[at].set(src)"),
)


def _scatter(a: Any) -> str:
    a.src0 = a.src
    if a.reduce is not None:
        a.reduce = {"add": "sum", "multiply": "prod"}[a.reduce]
        return "F.scatter_reduce(input, dim, index, src, reduce)"
    return "F.scatter(input, dim, index, src)"


def _index_put(a: Any) -> str:
    a.at = tuple(slice(None) if index is None else index for index in a.indices)
    return f"input.at[at].{'add' if a.accumulate else 'set'}(values)"


def _gather(a: Any) -> str:
    if ndim(a.input) == 0:
        return "jnp.broadcast_to(input, index.shape)"
    axis = a.dim % ndim(a.input)
    a.at = tuple(slice(None) if i == axis else slice(0, n) for i, n in enumerate(a.index.shape))
    same = all(i == axis or n == m for i, (n, m) in enumerate(zip(a.index.shape, a.input.shape, strict=False)))
    return f"jnp.take_along_axis({'input' if same else 'input[at]'}, index, axis=dim)"


def _index_reduce(a: Any) -> str:
    a.reduce = {"mean": "mean", "prod": "prod", "amax": "amax", "amin": "amin"}[a.reduce]
    if ndim(a.input) == 0:
        return "F.scatter_reduce(input, 0, index.reshape(-1), source.reshape(-1), reduce, include_self=include_self)"
    a.places = column(a.input, a.dim)
    spread = "jnp.broadcast_to(index.reshape(places), source.shape)"
    return f"F.scatter_reduce(input, dim, {spread}, source, reduce, include_self=include_self)"
