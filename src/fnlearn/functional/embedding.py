"""Rows of a table by index: one by one, or a bag of them reduced to one row."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.functional import check
from fnlearn.functional.precision import accumulator
from fnlearn.functional.typing import ArrayLike
from fnlearn.functional.vector_norm import vector_norm


def embedding(
    input: ArrayLike,
    weight: ArrayLike,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> jax.Array:
    """Rows of a table, one for each index.

    Torch: `torch.nn.functional.embedding`.
    Shape: input (*), weight (V, D) → (*, D).
    Args: input: integer indices from 0 to V − 1. weight: the table, floating-point. padding_idx: a row without
        gradient. max_norm: rows of a greater norm are scaled to it, see `embedding_update`. norm_type: that norm's
        exponent. scale_grad_by_freq: divide a row's gradient by how often it is used. sparse: ignored; gradients are
        dense.
    Raises: ValueError when weight isn't two-dimensional or padding_idx lies outside; TypeError when input holds no
        integers.
    Differs: an index outside of the table gives NaN; torch raises, which a compiled function can't. weight stays as it
        is; `embedding_update` returns the new one.
    Source: ATen `Embedding.cpp`.
    """
    index, table, padding = _prepare(input, weight, padding_idx)
    return _rows(index, table, padding, max_norm, norm_type, scale_grad_by_freq)


def embedding_update(
    input: ArrayLike,
    weight: ArrayLike,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """What `embedding` returns, and the table whose used rows have been scaled to max_norm.

    Torch: `torch.nn.functional.embedding`.
    Shape: input (*), weight (V, D) → (*, D), (V, D).
    Args: input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse: as for `embedding`.
    Raises: as `embedding`.
    Differs: torch writes the table in place.
    Source: ATen `Embedding.cpp`.
    """
    index, table, padding = _prepare(input, weight, padding_idx)
    rows = _rows(index, table, padding, max_norm, norm_type, scale_grad_by_freq)
    return rows, table if max_norm is None else _renormed_table(index, table, max_norm, norm_type)


def embedding_bag(
    input: ArrayLike,
    weight: ArrayLike,
    offsets: ArrayLike | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: ArrayLike | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> jax.Array:
    """Sum, mean or maximum of the rows of each bag of indices; an empty bag gives zeros.

    Torch: `torch.nn.functional.embedding_bag`.
    Shape: input (B, L), or (n) with offsets (B) or, including the last, (B + 1); weight (V, D) → (B, D).
    Args: input: integer indices from 0 to V − 1. weight: the table, floating-point. offsets: where each bag begins in
        a flat input, ascending from 0. max_norm, norm_type, scale_grad_by_freq, sparse: as for `embedding`. mode:
        "sum", "mean" or "max". per_sample_weights: factors of the rows, of the shape of input, for "sum".
        include_last_offset: whether offsets ends with the end of the last bag. padding_idx: an index that doesn't
        count.
    Raises: ValueError when shapes or options don't fit; TypeError when input or offsets hold no integers or weights
        differ in dtype.
    Differs: an index outside of the table gives NaN, where torch raises; offsets are not checked to ascend from 0, and
        what follows the last one, if it is the end, is in no bag (in torch that depends on the mode).
        scale_grad_by_freq divides by the row's own count, as torch documents it; torch's CPU kernel takes another
        row's where counts differ. weight stays as it is, `embedding_bag_update` returns the new one.
    Source: ATen `EmbeddingBag.cpp`.
    """
    return embedding_bag_update(
        input,
        weight,
        offsets,
        max_norm,
        norm_type,
        scale_grad_by_freq,
        mode,
        sparse,
        per_sample_weights,
        include_last_offset,
        padding_idx,
    )[0]


def embedding_bag_update(
    input: ArrayLike,
    weight: ArrayLike,
    offsets: ArrayLike | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: ArrayLike | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """What `embedding_bag` returns, and the table whose used rows have been scaled to max_norm.

    Torch: `torch.nn.functional.embedding_bag`.
    Shape: as `embedding_bag` → (B, D), (V, D).
    Args: input, weight, offsets, max_norm, norm_type, scale_grad_by_freq, mode, sparse, per_sample_weights,
        include_last_offset, padding_idx: as for `embedding_bag`.
    Raises: as `embedding_bag`.
    Differs: torch writes the table in place.
    Source: ATen `EmbeddingBag.cpp`.
    """
    index, table, padding = _prepare(input, weight, padding_idx)
    begins = None if offsets is None else _integers("offsets", offsets)
    _check_bags(index, begins, mode, scale_grad_by_freq, sparse, include_last_offset)
    factor = _factors(per_sample_weights, index, table, mode)
    rows = _rows(index, table, None, max_norm, norm_type, scale_grad_by_freq)
    counted = jnp.ones(index.shape, bool) if padding is None else index != padding
    rows = rows.astype(accumulator(table.dtype))
    if begins is None:
        out = _reduce_rows(rows, counted, factor, mode)
    else:
        bags = begins.shape[0] - include_last_offset
        position = jnp.arange(index.shape[0], dtype=begins.dtype)
        bag = jnp.searchsorted(begins, position, side="right") - 1
        out = _reduce_segments(rows, counted, factor, mode, bag, bags)
    new = table if max_norm is None else _renormed_table(index, table, max_norm, norm_type)
    return out.astype(table.dtype), new


def one_hot(input: ArrayLike, num_classes: int = -1) -> jax.Array:
    """Integers as rows of zeros with a single one.

    Torch: `torch.nn.functional.one_hot`.
    Shape: (*) → (*, num_classes).
    Args: input: integer classes from 0. num_classes: how many there are; −1 takes one more than the greatest, which
        needs concrete values.
    Raises: ValueError when num_classes is −1 under jit or vmap or for an empty input, otherwise below 1, or when a
        class that is known lies outside; TypeError when input holds no integers.
    Differs: a class outside of the range gives zeros where values aren't known; any integer dtype is taken, and the
        result is int64 only where JAX has it.
    Source: ATen `Onehot.cpp`.
    """
    classes = _integers("input", input)
    known = not isinstance(classes, jax.core.Tracer)
    if num_classes == -1:
        if not known:
            raise ValueError("num_classes must be given under jit and vmap, where the greatest class is unknown")
        if not classes.size:
            raise ValueError("num_classes must be given for an empty input, got -1")
        num_classes = int(classes.max()) + 1
    elif num_classes < 1:
        raise ValueError(f"num_classes must be -1 or at least 1, got {num_classes}")
    if known and classes.size and not (int(classes.min()) >= 0 and int(classes.max()) < num_classes):
        raise ValueError(f"input must hold classes from 0 to {num_classes - 1}, got {np.asarray(classes)}")
    return jax.nn.one_hot(classes, num_classes, dtype=jax.dtypes.canonicalize_dtype(jnp.int64))


def _prepare(input: ArrayLike, weight: ArrayLike, padding_idx: int | None) -> tuple[jax.Array, jax.Array, int | None]:
    """Indices, table, and the padding's index counted from the front."""
    table = check.inexact("weight", weight)
    if table.ndim != 2:
        raise ValueError(f"weight must have the dimensions (V, D), got shape {table.shape}")
    index, size = _integers("input", input), table.shape[0]
    if padding_idx is not None and not -size <= padding_idx < size:
        raise ValueError(f"padding_idx must be between {-size} and {size - 1}, got {padding_idx}")
    return index, table, padding_idx if padding_idx is None else padding_idx % size


def _integers(name: str, value: ArrayLike) -> jax.Array:
    x = check.number(name, value)
    if not jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(f"{name} must hold integers, got dtype {x.dtype}")
    return x


def _rows(
    index: jax.Array,
    table: jax.Array,
    padding: int | None,
    max_norm: float | None,
    norm_type: float,
    scale_grad_by_freq: bool,
) -> jax.Array:
    """The rows asked for, with torch's gradient."""
    size = table.shape[0]
    # an index below 0 would count from the end
    rows = table.at[jnp.where(index < 0, size, index)].get(mode="fill", fill_value=jnp.nan)
    if max_norm is not None:
        rows = _valued(_renormed(rows, max_norm, norm_type), rows)
    if scale_grad_by_freq:
        uses = jnp.zeros(size, jnp.int32).at[index].add(1)[index]
        rows = _with_gradient_divided(rows, jnp.broadcast_to(uses[..., None], rows.shape).astype(rows.dtype))
    if padding is not None:
        rows = jnp.where((index == padding)[..., None], jax.lax.stop_gradient(rows), rows)
    return rows


def _renormed(rows: jax.Array, max_norm: float, norm_type: float) -> jax.Array:
    """Rows whose norm exceeds max_norm, scaled to it; a constant in torch's graph."""
    wide = jax.lax.stop_gradient(rows).astype(accumulator(rows.dtype))
    norm = vector_norm(wide, norm_type, (rows.ndim - 1,))
    return (wide * jnp.where(norm > max_norm, max_norm / (norm + 1e-7), 1)).astype(rows.dtype)


def _renormed_table(index: jax.Array, table: jax.Array, max_norm: float, norm_type: float) -> jax.Array:
    used = jnp.zeros(table.shape[0], bool).at[index.reshape(-1)].set(True)
    return jnp.where(used[:, None], _renormed(table, max_norm, norm_type), jax.lax.stop_gradient(table))


@jax.custom_jvp
def _valued(value: jax.Array, x: jax.Array) -> jax.Array:
    """A value with the derivative of x, of which it is the replacement."""
    return value


@_valued.defjvp
def _(primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    return primals[0], tangents[1]


@jax.custom_jvp
def _with_gradient_divided(x: jax.Array, divisor: jax.Array) -> jax.Array:
    return x


@_with_gradient_divided.defjvp
def _(primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    return primals[0], tangents[0] / primals[1]


def _check_bags(
    index: jax.Array,
    offsets: jax.Array | None,
    mode: str,
    scale_grad_by_freq: bool,
    sparse: bool,
    include_last_offset: bool,
) -> None:
    check.option("mode", mode, ("sum", "mean", "max"))
    if index.ndim not in (1, 2):
        raise ValueError(f"input must have one or two dimensions, got shape {index.shape}")
    if index.ndim == 2 and offsets is not None:
        raise ValueError("offsets must be None for an input of two dimensions, whose rows are the bags")
    if index.ndim == 1 and (offsets is None or offsets.ndim != 1):
        raise ValueError(f"offsets must have one dimension for a flat input, got {getattr(offsets, 'shape', None)}")
    if offsets is not None and include_last_offset and not offsets.shape[0]:
        raise ValueError("offsets must hold at least the end of the last bag with include_last_offset, got none")
    if mode == "max" and (scale_grad_by_freq or sparse):
        raise ValueError("scale_grad_by_freq and sparse must be False for mode='max'")


def _factors(weights: ArrayLike | None, index: jax.Array, table: jax.Array, mode: str) -> jax.Array | None:
    if weights is None:
        return None
    factor = check.floating("per_sample_weights", weights)
    check.same_dtype(weight=table, per_sample_weights=factor)
    if mode != "sum":
        raise ValueError(f"per_sample_weights must be None unless mode is 'sum', got mode={mode!r}")
    if factor.shape != index.shape:
        raise ValueError(f"per_sample_weights must have the shape of input, got {factor.shape} and {index.shape}")
    return factor.astype(accumulator(table.dtype))


def _reduce_rows(rows: jax.Array, counted: jax.Array, factor: jax.Array | None, mode: str) -> jax.Array:
    """Rows (B, L, D) → (B, D)."""
    kept = counted[..., None]
    if mode == "max":
        if not rows.shape[1]:
            return rows.sum(1)
        first = jnp.where(kept, rows, -jnp.inf).argmax(1, keepdims=True)  # the first of equals has the gradient
        return jnp.where(counted.any(1)[:, None], jnp.take_along_axis(rows, first, 1).squeeze(1), 0)
    if factor is not None:
        rows = rows * factor[..., None]
    total = jnp.where(kept, rows, 0).sum(1)
    return total if mode == "sum" else total / jnp.maximum(counted.sum(1), 1).astype(rows.dtype)[:, None]


def _reduce_segments(
    rows: jax.Array, counted: jax.Array, factor: jax.Array | None, mode: str, bag: jax.Array, bags: int
) -> jax.Array:
    """Rows (n, D) → (bags, D); rows after the last bag belong to none."""
    per_bag = partial(jax.ops.segment_sum, segment_ids=bag, num_segments=bags, indices_are_sorted=True)
    count = per_bag(counted.astype(jnp.int32))[:, None]
    if mode == "max":
        return jnp.where(count > 0, _segment_max(rows, counted, bag, bags), 0)
    if factor is not None:
        rows = rows * factor[..., None]
    total = per_bag(jnp.where(counted[..., None], rows, 0))
    return total if mode == "sum" else total / jnp.maximum(count, 1).astype(rows.dtype)


def _segment_max(rows: jax.Array, counted: jax.Array, bag: jax.Array, bags: int) -> jax.Array:
    """The maximum of each bag, taken from the first of equal rows, which alone has the gradient."""
    if not rows.shape[0]:
        return jnp.zeros((bags, rows.shape[1]), rows.dtype)
    value = jax.lax.stop_gradient(jnp.where(counted[:, None], rows, -jnp.inf))
    options: dict[str, Any] = {"num_segments": bags, "indices_are_sorted": True}
    greatest = jax.ops.segment_max(value, bag, **options)[bag]
    here = ((value == greatest) | jnp.isnan(value)) & counted[:, None]
    position = jnp.broadcast_to(jnp.arange(rows.shape[0])[:, None], rows.shape)
    first = jax.ops.segment_min(jnp.where(here, position, rows.shape[0] - 1), bag, **options)
    return jnp.take_along_axis(rows, jnp.clip(first, 0, rows.shape[0] - 1), 0)
