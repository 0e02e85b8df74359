"""Padding."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.typing import ArrayLike


def pad(input: ArrayLike, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> jax.Array:
    """Lengthen dimensions at both ends, by a constant or by what is inside; negative amounts shorten them.

    Torch: `torch.nn.functional.pad`.
    Shape: (*) → (*), each padded size being the old one and its two amounts; the other modes than "constant" pad the
        last 1, 2 or 3 dimensions of (N, C, *) or (C, *).
    Args: input: an array of any dtype. pad: (before, after) of the last dimension, then of the one before it, and so
        on. mode: "constant", "reflect" (without repeating the edge), "replicate" (the edge) or "circular". value: the
        constant, 0 when left out.
    Raises: ValueError when amounts, mode, value and shape don't fit; TypeError when input is no array.
    Differs: nothing.
    Source: ATen `PadNd.cpp`, `ReflectionPad.cpp`, `ReplicationPadding.cpp`.
    """
    x, amounts = _array(input), tuple(int(amount) for amount in pad)
    check.option("mode", mode, ("constant", "reflect", "replicate", "circular"))
    if len(amounts) % 2 or len(amounts) > 2 * x.ndim:
        raise ValueError(f"pad must hold two amounts a dimension, at most {2 * x.ndim}, got {amounts}")
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    if mode == "constant":
        return _constant(x, pairs, 0 if value is None else value)
    if value:
        raise ValueError(f"value belongs to mode 'constant', got value={value} for mode {mode!r}")
    if not 1 <= len(pairs) <= 3 or x.ndim not in (len(pairs) + 1, len(pairs) + 2):
        raise ValueError(
            f"mode {mode!r} pads the last 1, 2 or 3 dimensions of (C, *) or (N, C, *), got {len(amounts)} amounts "
            f"for shape {x.shape}"
        )
    for axis, (before, after) in zip(range(x.ndim - 1, -1, -1), pairs, strict=False):
        x = _from_inside(x, axis, before, after, mode)
    return x


def _array(input: ArrayLike) -> jax.Array:
    try:
        return jnp.asarray(input)
    except TypeError as error:
        raise TypeError(f"input must be an array, got {type(input).__name__}") from error


def _constant(x: jax.Array, pairs: list[tuple[int, int]], value: float) -> jax.Array:
    amounts = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    if any(size + before + after < 0 for size, (before, after) in zip(x.shape, amounts, strict=True)):
        raise ValueError(f"pad must not shorten a dimension below 0, got {amounts} for shape {x.shape}")
    if not any(before or after for before, after in amounts):
        return x
    return lax.pad(x, jnp.asarray(value).astype(x.dtype), [(before, after, 0) for before, after in amounts])


def _from_inside(x: jax.Array, axis: int, before: int, after: int, mode: str) -> jax.Array:
    """One dimension padded with its own elements, or shortened."""
    size = x.shape[axis]
    least = 0 if mode == "circular" else 1
    if size + before + after < least or 0 in x.shape[1:] or size == 0:
        raise ValueError(f"mode {mode!r} can't pad size {size} of shape {x.shape} by ({before}, {after})")
    limit = {"reflect": size - 1, "circular": size}.get(mode)
    if limit is not None and max(before, after) > limit:
        raise ValueError(f"pad must be at most {limit} for size {size} in mode {mode!r}, got ({before}, {after})")
    part = lambda start, stop: lax.slice_in_dim(x, start, stop, axis=axis)  # noqa: E731
    left, right = max(before, 0), max(after, 0)
    if mode == "circular":  # of what the negative amounts leave
        x = part(max(-before, 0), size - max(-after, 0))
        size = x.shape[axis]
        if max(left, right) > size:
            raise ValueError(f"pad must be at most {size} after shortening, got ({before}, {after})")
        ends = part(size - left, size), part(0, right)
        return jnp.concatenate([ends[0], x, ends[1]], axis) if left or right else x
    if mode == "reflect":
        ends = lax.rev(part(1, left + 1), (axis,)), lax.rev(part(size - 1 - right, size - 1), (axis,))
    else:
        edge = lambda start, count: jnp.repeat(part(start, start + 1), count, axis)  # noqa: E731
        ends = edge(0, left), edge(size - 1, right)
    whole = jnp.concatenate([ends[0], x, ends[1]], axis) if left or right else x
    return lax.slice_in_dim(whole, max(-before, 0), whole.shape[axis] - max(-after, 0), axis=axis)
