"""Rows of what moves numbers without changing them."""

from typing import Any

from fnlearn.port.graph import Sym, Val
from fnlearn.port.table import along, ndim, row, sizes, with_

# shapes


def _reshape(a: Any) -> str:
    a.shape = sizes(a.shape)
    if len(a.shape) == 1 and not isinstance(a.shape[0], int | Sym):  # view(dtype)
        return "input.view(shape0)"
    return "input.reshape(*shape)"


row("reshape view", "input, *shape", _reshape)
row("reshape_as view_as", "input, other", "input.reshape(other.shape)")
row("expand", "input, *size, implicit=False", lambda a: _expand(a))
row("expand_as", "input, other", "jnp.broadcast_to(input, other.shape)")
row("broadcast_to", "input, *size", lambda a: _expand(a))


def _expand(a: Any) -> str:
    size = sizes(a.size) if isinstance(a.size, tuple | list) else a.size
    lead = len(size) - ndim(a.input)
    a.size = tuple(a.input.shape[i - lead] if s == -1 else s for i, s in enumerate(size))
    return "input" if a.size == tuple(a.input.shape) else "jnp.broadcast_to(input, size)"


row(
    "transpose swapaxes swapdims",
    "input, dim0, dim1",
    lambda a: "input.swapaxes(dim0, dim1)" if ndim(a.input) else "input",
)
row("t", "input", lambda a: "input.T" if ndim(a.input) == 2 else "input")
row("T", "input", "input.T")
row("mT", "input", "input.mT")
row("H adjoint", "input", "jnp.conj(input.mT)")
row("mH", "input", "jnp.conj(input.mT)")


def _permute(a: Any) -> str:
    a.dims = sizes(a.dims)
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
row("cat concat concatenate", "tensors, dim=0, axis=None", lambda a: _joined(a))
row("stack", "tensors, dim=0", "jnp.stack(tensors, axis=dim)")


def _repeat(a: Any) -> str:
    a.dims = sizes(a.dims)
    return "input" if set(a.dims) == {1} and len(a.dims) <= ndim(a.input) else "jnp.tile(input, dims)"


def _joined(a: Any) -> str:
    if a.axis is not None:
        a.dim = a.axis
    a.tensors = [t for t in a.tensors if not (isinstance(t, Val) and t.shape == (0,))] or a.tensors  # torch's old empty
    a.alone = a.tensors[0]
    return "jnp.concatenate(tensors, axis=dim)" if len(a.tensors) > 1 else "alone"


for _name in ("hstack", "vstack", "dstack", "column_stack"):
    row(_name, "tensors", f"jnp.{_name}(tensors)")
row("row_stack", "tensors", "jnp.vstack(tensors)")
row("atleast_1d", "input", "jnp.atleast_1d(input)")
row("atleast_2d", "input", "jnp.atleast_2d(input)")


def _split(a: Any) -> str:
    size, total = a.split_size_or_sections, a.tensor.shape[a.dim]
    if isinstance(size, tuple | list):
        a.at = tuple(sum(size[: i + 1]) for i in range(len(size) - 1))
    elif isinstance(size, Sym) or isinstance(total, Sym):
        a.size, a.total = size, total
        return "jnp.split(tensor, [*range(size, total, size)], axis=dim)"
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
    size = (total + (a.chunks - 1)) // a.chunks
    if isinstance(size, Sym) and a.chunks == 2:
        return "jnp.array_split(input, 2, axis=dim)"
    if isinstance(size, Sym):
        a.size, a.total = size, total
        return "jnp.split(input, [*range(size, total, size)], axis=dim)"
    a.at = a.chunks if total % a.chunks == 0 else tuple(range(size, total, size))
    return "jnp.split(input, at, axis=dim)"


row("chunk", "input, chunks, dim=0", _chunk)
row(
    "tensor_split",
    "input, indices_or_sections=None, dim=0, *, indices=None, sections=None",
    lambda a: with_(
        a,
        at=next(at for at in (a.indices_or_sections, a.indices, a.sections) if at is not None),
        then="jnp.array_split(input, at, axis=dim)",
    ),
)


def _unbind(a: Any) -> str:
    if ndim(a.input) and a.dim % ndim(a.input) == 0:
        return "(*input,)"
    return "(*jnp.moveaxis(input, dim, 0),)"


row("unbind", "input, dim=0", _unbind)
row("__iter__", "input", "(*input,)")
row("select", "input, dim, index", lambda a: f"input[{', '.join([*[':'] * (a.dim % ndim(a.input)), 'index'])}]")


def _narrow(a: Any) -> str:
    axis = a.dim % ndim(a.input)
    if isinstance(a.start, Val):
        a.axis = axis
        return "jax.lax.dynamic_slice_in_dim(input, start, length, axis=axis)"
    start = a.start + a.input.shape[axis] if isinstance(a.start, int) and a.start < 0 else a.start
    if isinstance(start, int) and isinstance(a.length, int):
        a.at = along(a.input, axis, slice(start, start + a.length))
        return "input[at]"
    a.axis = axis
    return "jax.lax.dynamic_slice_in_dim(input, start, length, axis=axis)"


row("narrow", "input, dim, start, length", _narrow)
row("flip", "input, *dims", lambda a: with_(a, dims=sizes(a.dims), then="jnp.flip(input, dims)"))
row("fliplr", "input", "jnp.fliplr(input)")
row("flipud", "input", "jnp.flipud(input)")
row("roll", "input, shifts, dims=None", "jnp.roll(input, shifts, axis=dims)")
row("rot90", "input, k=1, dims=(0, 1)", "jnp.rot90(input, k=k, axes=dims)")
row("repeat tile", "input, *dims", lambda a: _repeat(a))
row("repeat_interleave", "input, repeats, dim=None, *, output_size=None", "jnp.repeat(input, repeats, axis=dim)")
row("diagonal", "input, offset=0, dim1=0, dim2=1", "jnp.diagonal(input, offset=offset, axis1=dim1, axis2=dim2)")
row("diag", "input, diagonal=0", "jnp.diag(input, k=diagonal)")
row("tril", "input, diagonal=0", "jnp.tril(input, k=diagonal)")
row("triu", "input, diagonal=0", "jnp.triu(input, k=diagonal)")
row("meshgrid", "*tensors, indexing='ij'", lambda a: _meshgrid(a))


def _meshgrid(a: Any) -> str:
    a.tensors, a.order = sizes(a.tensors), a.indexing
    for i, tensor in enumerate(a.tensors):
        setattr(a, f"tensor{i}", tensor)
    rows = [f"tensor{i}" if ndim(t) else f"tensor{i}.reshape(1)" for i, t in enumerate(a.tensors)]
    return f"jnp.meshgrid({', '.join(rows)}, indexing=order)"


row(
    "broadcast_tensors", "*tensors", lambda a: with_(a, tensors=sizes(a.tensors), then="jnp.broadcast_arrays(*tensors)")
)

row(
    "cartesian_prod",
    "*tensors",
    lambda a: with_(
        a,
        tensors=sizes(a.tensors),
        then="tensors0"
        if len(sizes(a.tensors)) == 1
        else "jnp.stack(jnp.meshgrid(*tensors, indexing='ij'), -1).reshape(-1, n)",
        n=len(sizes(a.tensors)),
        tensors0=sizes(a.tensors)[0],
    ),
)
row(
    "block_diag", "*tensors", lambda a: with_(a, tensors=sizes(a.tensors), then="jax.scipy.linalg.block_diag(*tensors)")
)
row("diag_embed", "input, offset=0, dim1=-2, dim2=-1", lambda a: _diag_embed(a))
row("diagflat", "input, offset=0", "jnp.diagflat(input, k=offset)")
row(
    "atleast_3d",
    "input",
    lambda a: (
        "input[None, :, None]"
        if ndim(a.input) == 1
        else "input[:, :, None]"
        if ndim(a.input) == 2
        else "jnp.atleast_3d(input)"
    ),
)
row("hsplit", "input, indices", "jnp.hsplit(input, indices)")
row("vsplit", "input, indices", "jnp.vsplit(input, indices)")
row("dsplit", "input, indices", "jnp.dsplit(input, indices)")
row("unfold", "input, dimension, size, step", lambda a: _unfold(a))
row(
    "slice",
    "input, dim=0, start=None, end=None, step=1",
    lambda a: with_(a, at=along(a.input, a.dim, slice(a.start, a.end, a.step)), then="input[at]"),
)


def _diag_embed(a: Any) -> str:
    n = ndim(a.input) + 1
    a.size = a.input.shape[-1] + abs(a.offset)
    a.rows, a.columns = max(-a.offset, 0), max(a.offset, 0)
    a.lead = tuple(a.input.shape[:-1])
    a.stop = a.input.shape[-1]
    made = (
        "jnp.zeros((*lead, size, size), input.dtype)"
        ".at[..., jnp.arange(stop) + rows, jnp.arange(stop) + columns].set(input)"
    )
    return made if (a.dim1 % n, a.dim2 % n) == (n - 2, n - 1) else f"jnp.moveaxis({made}, (-2, -1), (dim1, dim2))"


def _unfold(a: Any) -> str:
    if ndim(a.input) == 0:
        return "input[None]"
    axis = a.dimension % ndim(a.input)
    a.count = (a.input.shape[axis] - a.size) // a.step + 1
    a.at = axis
    at = "jnp.arange(count)[:, None] * step + jnp.arange(size)"
    return f"jnp.moveaxis(jnp.take(input, {at}, axis=at), at + 1, -1)"


row("diagonal_scatter", "input, src, offset=0, dim1=0, dim2=1", lambda a: _diagonal_scatter(a))
row("constant_pad_nd", "input, pad, value=0", "F.pad(input, pad, value=value)")
row("unravel_index", "indices, shape", "jnp.unravel_index(indices, shape)")
row("msort", "input", lambda a: "jnp.sort(input, axis=0)" if ndim(a.input) else "input")


def _diagonal_scatter(a: Any) -> str:
    a.rows, a.columns = max(-a.offset, 0), max(a.offset, 0)
    a.length = a.src.shape[-1]
    a.pair = (a.dim1, a.dim2)
    at = "..., jnp.arange(length) + rows, jnp.arange(length) + columns"
    return f"jnp.moveaxis(jnp.moveaxis(input, pair, (-2, -1)).at[{at}].set(src), (-2, -1), pair)"
