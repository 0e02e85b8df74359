"""What every pooling shares: where its windows lie, and the reductions over them, one dimension after the other.

A window of k×k numbers is reduced along its rows and then along its column: 2·k steps, not k². A step is a strided
slice for each tap of the kernel, so that autodiff's transpose is a sum of padded arrays; XLA's own `select_and_scatter`
and scatters of single elements are several times slower on a CPU. The first maximum of the rows' first maxima is the
window's first in memory order, so ties are decided as in ATen.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.functional.precision import accumulator

Ints = int | Sequence[int]

FEW = 4  # taps; up to this the maximum is differentiated tap by tap
MANY = 16  # taps; above this a window is gathered into an axis of its own where that costs little memory


class Windows(NamedTuple):
    """The windows along one dimension: `start[o] + dilation · t` for each tap t below `length[o]`."""

    size: int
    kernel: int
    stride: int
    dilation: int
    start: np.ndarray
    length: np.ndarray

    @property
    def out(self) -> int:
        """How many windows there are."""
        return len(self.start)

    @property
    def tiled(self) -> bool:
        """Whether the windows lie side by side, in order, from the first element on."""
        return (
            self.stride == self.kernel
            and self.dilation == 1
            and bool((self.length == self.kernel).all())
            and not self.start[:1].any()
            and self.out * self.kernel <= self.size
        )

    @property
    def position(self) -> np.ndarray:
        """(out, kernel): where each tap lies, also where that is outside."""
        return self.start[:, None] + self.dilation * np.arange(self.kernel)[None, :]

    @property
    def inside(self) -> np.ndarray:
        """(out, kernel): whether a tap lies in the input and in its window."""
        own = np.arange(self.kernel)[None, :] < self.length[:, None]
        return own & (self.position >= 0) & (self.position < self.size)


def sized(name: str, value: Ints, count: int) -> tuple[int, ...]:
    """One number a dimension, from one for all or from a sequence."""
    given = (value,) if isinstance(value, int) or not isinstance(value, Sequence) else tuple(value)
    if len(given) == 1:
        given *= count
    if len(given) != count:
        raise ValueError(f"{name} must be one integer or {count}, got {value!r}")
    if not all(isinstance(v, (int, np.integer)) for v in given):
        raise TypeError(f"{name} must hold integers, got {value!r}")
    return tuple(int(v) for v in given)


def spatial(x: jax.Array, count: int) -> tuple[int, ...]:
    """The sizes of the last `count` dimensions of (N, C, *) or (C, *), only N of which may be empty."""
    if x.ndim not in (count + 1, count + 2):
        raise ValueError(f"input must have {count + 1} dimensions, or {count + 2} with a batch, got shape {x.shape}")
    if 0 in x.shape[-count - 1 :]:
        raise ValueError(f"input must not be empty except for its batch, got shape {x.shape}")
    return x.shape[-count:]


def strided(
    x: jax.Array, count: int, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool
) -> list[Windows]:
    """The windows of a fixed size, a fixed step apart."""
    kernel, dilations = sized("kernel_size", kernel_size, count), sized("dilation", dilation, count)
    steps = kernel if stride is None or stride == () or stride == [] else sized("stride", stride, count)
    pads = sized("padding", padding, count)
    for name, values in (("kernel_size", kernel), ("stride", steps), ("dilation", dilations)):
        if min(values) <= 0:
            raise ValueError(f"{name} must be above 0, got {values}")
    for p, k, d in zip(pads, kernel, dilations, strict=True):
        if not 0 <= p <= (d * (k - 1) + 1) // 2:
            raise ValueError(
                f"padding must be at least 0 and at most half of the kernel, got padding={p}, kernel_size={k}, "
                f"dilation={d}"
            )
    options = zip(spatial(x, count), kernel, steps, pads, dilations, strict=True)
    return [_one(*each, ceil_mode=bool(ceil_mode)) for each in options]


def _one(size: int, kernel: int, stride: int, padding: int, dilation: int, *, ceil_mode: bool) -> Windows:
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (out - 1) * stride >= size + padding:
        out -= 1  # a window must not lie in the padding altogether
    if out < 1:
        raise ValueError(
            f"input is too small: {size} with padding={padding} for kernel_size={kernel}, dilation={dilation}; "
            f"the output would have size {out}"
        )
    start = stride * np.arange(out) - padding
    return Windows(size, kernel, stride, dilation, start, np.full(out, kernel))


def adaptive(size: int, out: int) -> Windows:
    """Windows that share the input among `out` outputs, overlapping where the division leaves a remainder."""
    steps = np.arange(out)
    start, stop = steps * size // max(out, 1), -(-(steps + 1) * size // max(out, 1))
    length = stop - start
    kernel = int(length.max(initial=1))
    even = out > 0 and size % out == 0
    return Windows(size, kernel, kernel if even else 0, 1, start, length)


def total(x: jax.Array, axis: int, w: Windows) -> jax.Array:
    """The sum of each window along a dimension."""
    by_axis = lambda x: jnp.sum(windowed(x, axis, w, 0), axis + 1)  # noqa: E731
    if not w.tiled:
        return by_axis(x) if w.stride == 0 and w.kernel > MANY else _sum_of_taps(x, axis, w)
    if w.kernel > MANY or not jnp.issubdtype(x.dtype, jnp.floating):
        return by_axis(x)
    # XLA on the CPU: summed tap by tap this is 4 to 12 times faster, differentiated as an axis 4 to 300 times
    summed = jax.custom_jvp(lambda x: _sum_of_taps(x, axis, w))
    summed.defjvp(lambda primals, tangents: (summed(*primals), by_axis(*tangents)))
    return summed(x)


def _sum_of_taps(x: jax.Array, axis: int, w: Windows) -> jax.Array:
    parts = taps(x, axis, w, 0)
    summed = next(parts)
    for part in parts:
        summed = summed + part
    return summed


def largest(x: jax.Array, index: jax.Array | None, axis: int, w: Windows) -> tuple[jax.Array, jax.Array | None]:
    """The maximum of each window along a dimension, and where it was: the first, or the last NaN, as in ATen."""
    if w.kernel > MANY and (w.tiled or w.stride == 0):
        return _largest_of_axis(x, index, axis, w)
    if not w.tiled or w.kernel <= FEW or not jnp.issubdtype(x.dtype, jnp.floating):
        return _largest_of_taps(x, index, axis, w)
    # XLA on the CPU fuses all taps into each element of the gradient, which reductions over an axis prevent
    known = jax.custom_jvp(lambda x: _largest_of_taps(x, None, axis, w)[0])
    known.defjvp(lambda at, moved: jax.jvp(lambda x: _largest_of_axis(x, None, axis, w)[0], at, moved))
    place = None if index is None else _largest_of_taps(lax.stop_gradient(x), index, axis, w)[1]
    return known(x), place


def _largest_of_taps(
    x: jax.Array, index: jax.Array | None, axis: int, w: Windows
) -> tuple[jax.Array, jax.Array | None]:
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


def _largest_of_axis(
    x: jax.Array, index: jax.Array | None, axis: int, w: Windows
) -> tuple[jax.Array, jax.Array | None]:
    """The same for wide windows, each an axis of its own."""
    parts = windowed(x, axis, w, lowest(x.dtype))
    nan = parts != parts
    last = w.kernel - 1 - jnp.argmax(jnp.flip(nan, axis + 1), axis + 1)
    chosen = jnp.where(nan.any(axis + 1), last, jnp.argmax(parts, axis + 1))
    chosen = jnp.broadcast_to(jnp.expand_dims(chosen, axis + 1), parts.shape)
    mask = lax.broadcasted_iota(chosen.dtype, parts.shape, axis + 1) == chosen
    pick = lambda values: jnp.sum(jnp.where(mask, values, jnp.zeros_like(values)), axis + 1, dtype=values.dtype)  # noqa: E731
    return pick(parts), None if index is None else pick(windowed(index, axis, w, 0))


def taps(x: jax.Array | None, axis: int, w: Windows, fill: Any) -> Iterator[Any]:
    """What each tap of the kernel sees, along a dimension: `kernel` arrays of size `out`."""
    if x is None:
        yield from (None for _ in range(w.kernel))
    elif w.stride == 0:
        for tap in range(w.kernel):
            seen = jnp.take(x, np.minimum(w.position[:, tap], w.size - 1), axis)
            outside = ~w.inside[:, tap]
            yield jnp.where(along(outside, axis, x.ndim, seen.shape), fill, seen) if outside.any() else seen
    else:
        padded = _padded(x, axis, w, fill)
        for tap in range(w.kernel):
            start = tap * w.dilation
            yield lax.slice_in_dim(padded, start, start + (w.out - 1) * w.stride + 1, w.stride, axis)


def windowed(x: jax.Array, axis: int, w: Windows, fill: Any) -> jax.Array:
    """The windows along a dimension, their taps as a new axis after it."""
    split = (*x.shape[:axis], w.out, w.kernel, *x.shape[axis + 1 :])
    if w.tiled:
        return lax.slice_in_dim(x, 0, w.out * w.kernel, axis=axis).reshape(split)
    seen = jnp.take(x, np.clip(w.position, 0, w.size - 1), axis)
    inside = w.inside.reshape((1,) * axis + w.inside.shape + (1,) * (x.ndim - axis - 1))
    return jnp.where(jnp.broadcast_to(inside, split), seen, jnp.asarray(fill, x.dtype))


def _padded(x: jax.Array, axis: int, w: Windows, fill: Any) -> jax.Array:
    """X with what its windows need before and after it along a dimension, and nothing more."""
    end = w.start[-1] + w.dilation * (w.kernel - 1) + 1
    before, after = -int(w.start[0]), int(end) - w.size
    if before == 0 and after <= 0:
        return x
    amounts = [(0, 0, 0)] * x.ndim
    amounts[axis] = (before, max(after, 0), 0)
    return lax.pad(x, jnp.asarray(fill, x.dtype), amounts)


def along(values: np.ndarray, axis: int, ndim: int, shape: tuple[int, ...]) -> jax.Array:
    """Numbers of one dimension, the same along all others."""
    return jnp.broadcast_to(values.reshape((1,) * axis + (-1,) + (1,) * (ndim - axis - 1)), shape)


def lowest(dtype: Any) -> Any:
    """The number that is the maximum of nothing."""
    return -jnp.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min


def flat_index(x: jax.Array, count: int) -> jax.Array:
    """For each element its place among the last `count` dimensions, counted as in memory."""
    sizes = x.shape[-count:]
    return jnp.broadcast_to(jnp.arange(int(np.prod(sizes))).reshape((1,) * (x.ndim - count) + sizes), x.shape)


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
