"""The reductions that every pooling shares: sums and maxima over windows, one dimension after the other.

A window of k×k numbers is reduced along its rows and then along its column: 2·k steps, not k². The first maximum of the
rows' first maxima is the window's first in memory order, so ties are decided as in ATen.

XLA's own `select_and_scatter` and scatters of single elements are slow on a CPU. Windows of a few elements, or that a
stride makes overlap, are reduced by a strided slice for each tap of the kernel, whose transpose is a sum of padded
arrays. In other windows the gradient is written down: every element looks up the windows that hold it.
"""

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.functional.pool_window import Windows, along, flat_index, lowest, taps, windowed
from fnlearn.functional.precision import accumulator

FEW = 4  # taps; up to this the maximum is differentiated tap by tap
MANY = 16  # taps, above which a window is an axis of its own
FEW_WINDOWS = 16  # up to which uneven ones are sliced out one by one
Found = tuple[jax.Array, jax.Array]


def maxima(x: jax.Array, windows: Sequence[Windows]) -> jax.Array:
    """The maximum of each window; where windows overlap, narrow gradients are added up in float32."""
    best = x.astype(accumulator(x.dtype))
    for axis, w in zip(_inner_first(x, windows), reversed(windows), strict=True):
        best, _ = largest(best, None, axis, w)
    return best.astype(x.dtype)


def indexed_maxima(x: jax.Array, windows: Sequence[Windows]) -> tuple[jax.Array, jax.Array]:
    """The maximum of each window, and its flat place in the input."""
    best, index = x.astype(accumulator(x.dtype)), flat_index(x, len(windows))
    for axis, w in zip(_inner_first(x, windows), reversed(windows), strict=True):
        best, place = largest(best, index, axis, w)
        assert place is not None
        index = place
    return best.astype(x.dtype), index.astype(jax.dtypes.canonicalize_dtype(jnp.int64))


def totals(x: jax.Array, windows: Sequence[Windows]) -> jax.Array:
    """The sum of each window."""
    for axis, w in zip(_inner_first(x, windows), reversed(windows), strict=True):
        x = total(x, axis, w)
    return x


def _inner_first(x: jax.Array, windows: Sequence[Windows]) -> range:
    return range(x.ndim - 1, x.ndim - len(windows) - 1, -1)


def total(x: jax.Array, axis: int, w: Windows) -> jax.Array:
    """The sum of each window along a dimension."""
    if w.stride == 0:
        return _uneven_total(x, axis, w)
    if not w.tiled:
        return _sum_of_taps(x, axis, w)
    by_axis = lambda x: jnp.sum(windowed(x, axis, w, 0), axis + 1)  # noqa: E731
    if w.kernel > MANY or not jnp.issubdtype(x.dtype, jnp.floating):
        return by_axis(x)
    # XLA on the CPU: summed tap by tap this is 4 to 12 times faster, differentiated as an axis 4 to 300 times
    summed = jax.custom_jvp(lambda x: _sum_of_taps(x, axis, w))
    summed.defjvp(lambda primals, tangents: (summed(*primals), by_axis(*tangents)))
    return summed(x)


def _uneven_total(x: jax.Array, axis: int, w: Windows) -> jax.Array:
    @jax.custom_jvp
    def summed(x: jax.Array) -> jax.Array:
        if w.kernel <= MANY:
            return _sum_of_taps(x, axis, w)
        return jnp.concatenate([jnp.sum(part, axis + 1) for part in _apart(x, axis, w, 0)], axis)

    @summed.defjvp
    def _(at: tuple[jax.Array], moved: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
        y = summed(*at)
        return y, jax.linear_transpose(lambda dy: _spread(dy, None, axis, w), y)(*moved)[0]

    return summed(x)


def _sum_of_taps(x: jax.Array, axis: int, w: Windows) -> jax.Array:
    parts = taps(x, axis, w, 0)
    summed = next(parts)
    for part in parts:
        summed = summed + part
    return summed


def largest(x: jax.Array, index: jax.Array | None, axis: int, w: Windows) -> tuple[jax.Array, jax.Array | None]:
    """The maximum of each window along a dimension, and where it was: the first, or the last NaN, as in ATen."""
    apart = w.tiled or w.stride == 0
    find = _by_reduction if apart and w.kernel > MANY else _by_taps
    if not apart or (w.tiled and w.kernel <= FEW) or not jnp.issubdtype(x.dtype, jnp.floating):
        return find(x, index, axis, w)
    best, _ = _located(x, axis, w, find)
    return best, None if index is None else find(lax.stop_gradient(x), index, axis, w)[1]


def _by_taps(x: jax.Array, index: jax.Array | None, axis: int, w: Windows) -> tuple[jax.Array, jax.Array | None]:
    parts, places = taps(x, axis, w, lowest(x.dtype)), taps(index, axis, w, 0)
    best, at = next(parts), next(places)
    inside, seen = w.inside, w.inside[:, 0]
    for tap, (part, place) in enumerate(zip(parts, places, strict=True), 1):
        take = (part > best) | (part != part)
        first = inside[:, tap] & ~seen  # nothing but padding so far: taken even when it is −∞
        if first.any():
            take = take | along(first, axis, x.ndim, part.shape)
        seen = seen | inside[:, tap]
        best, at = jnp.where(take, part, best), None if at is None else jnp.where(take, place, at)
    return best, at


def _by_reduction(x: jax.Array, index: jax.Array | None, axis: int, w: Windows) -> Found:
    """The same by a reduction of pairs, which XLA keeps apart from what is done with the maxima."""
    at = lax.broadcasted_iota(jnp.int32, x.shape, axis) if index is None else index
    start = jnp.asarray(lowest(x.dtype), x.dtype), jnp.asarray(jnp.iinfo(at.dtype).max, at.dtype)
    pairs = zip(_apart(x, axis, w, start[0]), _apart(at, axis, w, start[1]), strict=True)
    best, found = zip(*(lax.reduce(part, start, _later, (axis + 1,)) for part in pairs), strict=True)
    return jnp.concatenate(best, axis), jnp.concatenate(found, axis)


def _later(one: Found, other: Found) -> Found:
    """The greater number or the last NaN; of equal ones the first."""
    (a, i), (b, j) = one, other
    other_wins = (b > a) | ((b == a) & (j < i)) | ((b != b) & ((a == a) | (j > i)))
    return jnp.where(other_wins, b, a), jnp.where(other_wins, j, i)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _located(x: jax.Array, axis: int, w: Windows, find: Any) -> Found:
    """The maxima and their places along the dimension."""
    return find(x, lax.broadcasted_iota(jnp.int32, x.shape, axis), axis, w)


@_located.defjvp
def _(axis: int, w: Windows, find: Any, at: tuple[jax.Array], moved: tuple[jax.Array]) -> tuple[Found, Any]:
    best, place = _located(*at, axis, w, _by_reduction)  # taps would be fused into every element of the gradient
    tangent = jax.linear_transpose(lambda dy: _spread(dy, place, axis, w), best)(*moved)[0]
    return (best, place), (tangent, np.zeros(place.shape, jax.dtypes.float0))


def _apart(x: jax.Array, axis: int, w: Windows, fill: Any) -> list[jax.Array]:
    """Windows as the dimension after theirs: all in one array, or one in each where they are few and uneven."""
    if w.tiled or w.out > FEW_WINDOWS:
        return [windowed(x, axis, w, fill)]
    ends = zip(w.start, w.start + w.length, strict=True)
    return [jnp.expand_dims(lax.slice_in_dim(x, start, end, axis=axis), axis) for start, end in ends]


def _spread(dy: jax.Array, place: jax.Array | None, axis: int, w: Windows) -> jax.Array:
    """Each window's number at all of its elements, or at the one in its place; added up where windows overlap."""
    holds = (w.start[:, None] <= np.arange(w.size)) & (np.arange(w.size) < (w.start + w.length)[:, None])
    first, count = holds.argmax(0), holds.sum(0)
    parts = []
    for nth in range(int(count.max(initial=1))):
        window = np.minimum(first + nth, w.out - 1)
        seen = jnp.take(dy, window, axis)
        wanted = along(count > nth, axis, dy.ndim, seen.shape)
        if place is not None:
            wanted &= jnp.take(place, window, axis) == lax.broadcasted_iota(place.dtype, seen.shape, axis)
        parts.append(jnp.where(wanted, seen, jnp.zeros_like(seen)))
    return reduce(jnp.add, parts)
