"""Grouped convolutions on a CPU, of which XLA's own form computes one output after the other.

Of few channels a group, the sums over a window and the channels are unrolled, so that loops run along the image; for
the weight's gradient loops run along the groups, and what is unrolled are the outputs of a row. Of more channels, each
group is a product of its windows with its weight.
"""

import itertools
import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.functional import conv_cpu_dense as dense
from fnlearn.functional.conv_window import Shape, Window, again, padded, reversed_convolution, taps

# XLA:CPU turns a loop into vector instructions where its addresses are plain. A slice at a computed place is not; it is
# copied out, and the loop becomes a vector one, when more than 15 terms read it (16 against 14: three times as fast).
TERMS = 16
MOST_TERMS = 32  # of a row; longer ones are cut, which bounds the time to compile
MOST_COPIED = 2**21  # numbers of all groups' windows at once: beyond them page faults cost more than the loop saves
BLOCK = 16  # groups that lie together: a vector; with 32 or 64, windows of 7² fall out of the first cache


def output(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """One multiply–add over the whole image for each channel of a group and each element of the window."""
    grouped = x.reshape(x.shape[0], window.groups, -1, *x.shape[2:])  # (N, G, in, *)
    kernel = w.reshape(window.groups, -1, *w.shape[1:])  # (G, out, in, *)
    outputs = window.outputs(x.shape[2:], w.shape[2:])
    shape = (*grouped.shape[:2], kernel.shape[1], *outputs)
    y = jnp.zeros(shape, x.dtype)
    for tap, seen in taps(padded(grouped, window), w.shape[2:], outputs, window):
        for channel in range(w.shape[1]):
            factor = kernel[(slice(None), slice(None), channel, *tap)].reshape(1, *kernel.shape[:2], *(1,) * len(tap))
            y += jnp.broadcast_to(seen[:, :, channel : channel + 1], shape) * jnp.broadcast_to(factor, shape)
    return y.reshape(x.shape[0], w.shape[0], *outputs)


def input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """The same convolution the other way."""
    return output(dy, *reversed_convolution(w, shape[2:], dy.shape[2:], window))


def weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Window times gradient, summed over all outputs: those of a piece of a row at once, one piece after the other."""
    outputs, rank = dy.shape[2:], len(shape) - 2
    block, piece = _factor(window.groups, BLOCK), _factor(outputs[-1], MOST_TERMS)
    samples = next(n for n in range(1, len(x) + 1) if not len(x) % n and (n * piece >= TERMS or n == len(x)))
    image, gradient = (_groups_last(a, samples, window.groups, block) for a in (padded(x, window), dy))
    gradient = gradient.reshape(*gradient.shape[: 2 + rank], -1, piece, *gradient.shape[-2:])
    gradient = jnp.moveaxis(gradient, (1, 2), (rank + 1, rank + 2))  # (N / samples, rows, pieces, samples, …)
    steps = (1, *window.strides[:-1], piece * window.strides[-1])
    starts = np.stack(np.meshgrid(*map(np.arange, gradient.shape[: 1 + rank]), indexing="ij"), -1) * np.array(steps)
    reach = [d * (k - 1) + 1 for d, k in zip(window.dilation, shape[2:], strict=True)]
    sizes = (1, *image.shape[1:3], *reach[:-1], (piece - 1) * window.strides[-1] + reach[-1], *image.shape[-2:])

    def add(sums: tuple[jax.Array, jax.Array], step: tuple[jax.Array, jax.Array]) -> tuple[Any, None]:
        (total, lost), (start, part) = sums, step
        place = [start[0], *[jnp.zeros((), start.dtype)] * 2, *(start[1 + i] for i in range(rank))]
        seen = lax.dynamic_slice(image, place + [jnp.zeros((), start.dtype)] * 2, sizes)[0]
        more = _outer_sum(seen, part, reach[-1], window) - lost  # what rounding took last time (Kahan): many are added
        rounded = total + more
        return (rounded, (rounded - total) - more), None

    zero = jnp.zeros((image.shape[2], *shape[2:], shape[0] // window.groups, shape[1], block), x.dtype)
    along = jnp.asarray(starts.reshape(-1, 1 + rank), jnp.int32), gradient.reshape(-1, *gradient.shape[1 + rank :])
    (total, _), _ = lax.scan(again(add), (zero, zero), along)  # (G / block, *, out, in, block)
    return jnp.moveaxis(total, (-1, -3, -2), (1, 2, 3)).reshape(shape)


def _outer_sum(seen: jax.Array, part: jax.Array, reach: int, window: Window) -> jax.Array:
    """Σ over samples and outputs of window · gradient: (samples, blocks, *, in, G) and (samples, blocks, M, out, G)."""
    spatial, terms = seen.ndim - 4, []
    steps = (1, *window.dilation, 1, 1)
    for sample, m in itertools.product(range(part.shape[0]), range(part.shape[2])):
        first = m * window.strides[-1]
        near = lax.slice_in_dim(seen[sample], first, first + reach, axis=spatial)
        near = lax.slice(near, (0,) * near.ndim, near.shape, steps)
        factor = part[sample, :, m].reshape(part.shape[1], *(1,) * spatial, part.shape[3], 1, part.shape[4])
        terms.append(jnp.expand_dims(near, -3) * factor)
    return reduce(jnp.add, terms)


def _groups_last(x: jax.Array, samples: int, groups: int, block: int) -> jax.Array:
    """(N, C, *) → (N / samples, samples, groups / block, *, channels of a group, block)."""
    parts = x.reshape(-1, samples, groups // block, block, x.shape[1] // groups, *x.shape[2:])
    return jnp.moveaxis(parts, (4, 3), (-2, -1))


def _factor(number: int, most: int) -> int:
    """The greatest divisor that is no more than `most`."""
    return next(n for n in range(min(number, most), 0, -1) if not number % n)


# More channels a group.


def windowed(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """Weight times windows, group by group."""
    one = lambda x, w: dense.windowed(x, w, window._replace(groups=1))  # noqa: E731
    y = _by_group(one, _apart(x, 1, window), _apart(w, 0, window), w, window.outputs(x.shape[2:], w.shape[2:]))
    return _together(y, 1)


def windowed_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Weight times gradient, group by group, added up where windows were."""
    own = (shape[0], shape[1] // window.groups, *shape[2:])
    one = lambda dy, w: dense.folded_input_gradient(dy, w, own, window._replace(groups=1))  # noqa: E731
    return _together(_by_group(one, _apart(dy, 1, window), _apart(w, 0, window), w, dy.shape[2:]), 1)


def windowed_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Windows times gradient, group by group."""
    w = jax.ShapeDtypeStruct(shape, dy.dtype)
    own = (shape[0] // window.groups, *shape[1:])
    one = lambda x, dy: dense.sampled_weight_gradient(x, dy, own, window._replace(groups=1))  # noqa: E731
    return _together(_by_group(one, _apart(x, 1, window), _apart(dy, 1, window), w, dy.shape[2:]), 0)


def _by_group(
    fn: Callable[[jax.Array, jax.Array], jax.Array],
    a: jax.Array,
    b: jax.Array,
    w: jax.Array | jax.ShapeDtypeStruct,
    outputs: Shape,
) -> jax.Array:
    """All groups in one batch, or one after the other where their windows are many."""
    if len(a) * math.prod(w.shape[1:]) * math.prod(outputs) <= MOST_COPIED:
        return jax.vmap(fn)(a, b)
    return lax.map(lambda both: fn(*both), (a, b))


def _apart(x: jax.Array, axis: int, window: Window) -> jax.Array:
    """The groups of a dimension as the first dimension."""
    return jnp.moveaxis(x.reshape(*x.shape[:axis], window.groups, -1, *x.shape[axis + 1 :]), axis, 0)


def _together(x: jax.Array, axis: int) -> jax.Array:
    """The other way."""
    x = jnp.moveaxis(x, 0, axis)
    return x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
