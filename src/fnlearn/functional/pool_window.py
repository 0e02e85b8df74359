"""What every pooling shares: where its windows lie, and what they see."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Ints = int | Sequence[int]


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
