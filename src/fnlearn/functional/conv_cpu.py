"""Convolutions on a CPU, where XLA's own is slow: a few channels a group, windows of one element, very small maps.

Each form gives the three directions: the output, the input's gradient and the weight's gradient. JAX's rule for the
first would not give the other two a good form, so they are written out, and the derivative is defined by them: its
tangent is their transpose, which a reverse-mode gradient transposes again. So it uses only operations whose transpose's
transpose is the operation itself (slices, pads, products and sums, but no concatenation of what is transposed).
"""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from fnlearn.functional.conv_window import Window

# Measured on two cores against PyTorch and XLA's own form: up to so many multiplications for an output, the loops of a
# grouped convolution are unrolled; up to so many outputs a channel, with at least so many channels, windows are copied
# out; and from kernels of so many elements in a row a depthwise weight's gradient is cheaper as products of matrices.
FEW_MULTIPLICATIONS = 64
FEW_OUTPUTS, MANY_CHANNELS = 16, 64
WIDE_KERNEL = 5

Shape = tuple[int, ...]


class Form(NamedTuple):
    """A way to compute the three directions of a convolution."""

    output: Callable[[jax.Array, jax.Array, Window], jax.Array]
    input_gradient: Callable[[jax.Array, jax.Array, Shape, Window], jax.Array]
    weight_gradient: Callable[[jax.Array, jax.Array, Shape, Window], jax.Array]


def form_of(x: Shape, w: Shape, window: Window) -> Form | None:
    """The form that is faster than XLA's own for these shapes, if there is one."""
    taps, groups = math.prod(w[2:]), window.groups
    if any(d != 1 for d in window.input_dilation) or not math.prod(x) * math.prod(w):
        return None
    if groups > 1:
        most = max(w[1], w[0] // groups) * taps
        return UNROLLED if most <= FEW_MULTIPLICATIONS else None
    if taps == 1 and not any(map(any, window.padding)):
        return POINTWISE
    outputs = math.prod(window.outputs(x[2:], w[2:]))
    return COPIED if outputs <= FEW_OUTPUTS and min(w[:2]) >= MANY_CHANNELS else None


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, w: jax.Array, window: Window, form: Form) -> jax.Array:
    """The convolution by one of the forms."""
    return form.output(x, w, window)


@partial(convolve.defjvp, symbolic_zeros=True)
def _tangent(
    window: Window, form: Form, primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x, w), (dx, dw) = primals, tangents
    y = convolve(x, w, window, form)
    tangent = jnp.zeros_like(y)
    if not isinstance(dx, SymbolicZero):
        tangent += jax.linear_transpose(lambda dy: form.input_gradient(dy, w, x.shape, window), y)(dx)[0]
    if not isinstance(dw, SymbolicZero):
        tangent += jax.linear_transpose(lambda dy: form.weight_gradient(x, dy, w.shape, window), y)(dw)[0]
    return y, tangent


# Few channels a group: the sums over a window and a group's channels are unrolled, so that loops run along the image.


def _unrolled(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    grouped = x.reshape(x.shape[0], window.groups, -1, *x.shape[2:])  # (N, G, in, *)
    kernel = w.reshape(window.groups, -1, *w.shape[1:])  # (G, out, in, *)
    outputs = window.outputs(x.shape[2:], w.shape[2:])
    shape = (*grouped.shape[:2], kernel.shape[1], *outputs)
    y = jnp.zeros(shape, x.dtype)
    for tap, seen in _taps(_padded(grouped, window), w.shape[2:], outputs, window):
        for channel in range(w.shape[1]):
            factor = kernel[(slice(None), slice(None), channel, *tap)].reshape(1, *kernel.shape[:2], *(1,) * len(tap))
            y += jnp.broadcast_to(seen[:, :, channel : channel + 1], shape) * jnp.broadcast_to(factor, shape)
    return y.reshape(x.shape[0], w.shape[0], *outputs)


def _unrolled_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """The same convolution of the outputs' gradient, spread out by the strides, with the kernel reversed."""
    rank, groups = w.ndim - 2, window.groups
    spread, ones = [(0, 0, 0), (0, 0, 0)], (1,) * rank
    for n, m, k, s, d, (low, _) in zip(
        shape[2:], dy.shape[2:], w.shape[2:], window.strides, window.dilation, window.padding, strict=True
    ):
        spread.append((d * (k - 1) - low, n - (m - 1) * s - 1 + low, s - 1))
    swapped = w.reshape(groups, -1, *w.shape[1:]).swapaxes(1, 2).reshape(shape[1], -1, *w.shape[2:])
    around = lax.pad(dy, jnp.zeros((), dy.dtype), spread)
    reverse = Window(ones, ((0, 0),) * rank, ones, window.dilation, groups)
    return _unrolled(around, jnp.flip(swapped, range(2, w.ndim)), reverse)


def _unrolled_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    if shape[1] == 1 and shape[0] == window.groups:
        straight = len(shape) == 4 and window.strides[1] == window.dilation[1] == 1
        return (_diagonals if straight and shape[3] >= WIDE_KERNEL else _sums)(x, dy, shape, window)
    return _products(x, dy, shape, window)


def _sums(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Depthwise: one sum for each element of the window."""
    seen = _taps(_padded(x, window), shape[2:], dy.shape[2:], window)
    over = (0, *range(2, x.ndim))
    return jnp.stack([(part * dy).sum(over) for _, part in seen], 1).reshape(shape)


def _diagonals(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Depthwise: columns of the input times columns of the gradient, of which a kernel's row is the diagonal sums."""
    rows, width = dy.shape[2:]
    around, channels = _padded(x, window).swapaxes(0, 1), x.shape[1]  # (C, N, H, W)
    gradient = dy.swapaxes(0, 1).reshape(channels, -1, width)
    row = window._replace(strides=(window.strides[0], 1), dilation=(window.dilation[0], 1))
    seen = [part.reshape(channels, -1, around.shape[-1]) for _, part in _taps(around, (shape[2], 1), (rows, -1), row)]
    products = jnp.einsum("cmv,cmw->cvw", jnp.concatenate(seen, 2), gradient).reshape(channels, shape[2], -1, width)
    column, output = np.arange(around.shape[-1])[:, None], np.arange(width)
    diagonal = np.stack([column == output + tap for tap in range(shape[3])])
    return jnp.einsum("civw,jvw->cij", products, jnp.asarray(diagonal, x.dtype)).reshape(shape)


def _products(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """One product of matrices a group, over all windows."""
    columns = _columns(x, shape[2:], window)
    gradient = dy.swapaxes(0, 1).reshape(window.groups, -1, columns.shape[-1])
    return jnp.einsum("gom,gkm->gok", gradient, columns).reshape(shape)


# Very small maps: every window is copied into a column, and all samples make one product.


def _copied(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    columns = _columns(x, w.shape[2:], window)[0]
    y = w.reshape(w.shape[0], -1) @ columns
    return y.reshape(-1, x.shape[0], *window.outputs(x.shape[2:], w.shape[2:])).swapaxes(0, 1)


def _copied_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    channels, taps, outputs = shape[1], w.shape[2:], dy.shape[2:]
    columns = w.reshape(w.shape[0], -1).T @ dy.swapaxes(0, 1).reshape(w.shape[0], -1)
    parts = columns.reshape(channels, math.prod(taps), shape[0], *outputs)
    image = jax.ShapeDtypeStruct((channels, shape[0], *shape[2:]), dy.dtype)
    seen = lambda x: [part for _, part in _taps(_padded(x, window), taps, outputs, window)]  # noqa: E731
    (dx,) = jax.linear_transpose(seen, image)([parts[:, i] for i in range(math.prod(taps))])
    return dx.swapaxes(0, 1)


# Windows of one element: a product of matrices for each sample.


def _pointwise(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    ((_, seen),) = _taps(x, w.shape[2:], outputs := window.outputs(x.shape[2:], w.shape[2:]), window)
    y = _each_sample(w.reshape(w.shape[:2]), seen.reshape(*x.shape[:2], -1))
    return y.reshape(x.shape[0], w.shape[0], *outputs)


def _pointwise_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    back = _each_sample(w.reshape(w.shape[:2]).T, dy.reshape(*dy.shape[:2], -1)).reshape(*shape[:2], *dy.shape[2:])
    spread = [(0, n - (m - 1) * s - 1, s - 1) for n, m, s in zip(shape[2:], dy.shape[2:], window.strides, strict=True)]
    return lax.pad(back, jnp.zeros((), dy.dtype), [(0, 0, 0), (0, 0, 0), *spread])


def _pointwise_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    ((_, seen),) = _taps(x, shape[2:], dy.shape[2:], window)
    flat = lambda a: a.reshape(*a.shape[:2], -1)  # noqa: E731
    return jnp.einsum("nol,nil->noi", flat(dy), flat(seen)).sum(0).reshape(shape)


def _each_sample(matrix: jax.Array, columns: jax.Array) -> jax.Array:
    """A batch of products, which XLA leaves in place, where one product would need all samples transposed."""
    return jnp.broadcast_to(matrix, (columns.shape[0], *matrix.shape)) @ columns


def _padded(x: jax.Array, window: Window) -> jax.Array:
    """Zeros around the last dimensions; a negative number cuts off."""
    ends = [(low, high, 0) for low, high in window.padding]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * (x.ndim - len(ends)) + ends)


def _taps(x: jax.Array, kernel: Shape, outputs: Shape, window: Window) -> Iterator[tuple[Shape, jax.Array]]:
    """For each element of the window, what it sees of the padded input; −1 outputs are a whole dimension."""
    first = x.ndim - len(kernel)
    for tap in itertools.product(*map(range, kernel)):
        starts = [d * i for d, i in zip(window.dilation, tap, strict=True)]
        steps = [s if m > 0 else 1 for s, m in zip(window.strides, outputs, strict=True)]
        sizes = [m if m > 0 else n for m, n in zip(outputs, x.shape[first:], strict=True)]
        ends = [i + (m - 1) * s + 1 for i, m, s in zip(starts, sizes, steps, strict=True)]
        yield tap, lax.slice(x, (0,) * first + tuple(starts), (*x.shape[:first], *ends), (1,) * first + tuple(steps))


def _columns(x: jax.Array, kernel: Shape, window: Window) -> jax.Array:
    """(N, in, *) → (groups, in / groups · K, N · L)."""
    image = _padded(x.swapaxes(0, 1), window)  # channels first, so that a group's rows lie together
    outputs = window.outputs(x.shape[2:], kernel)
    parts = jnp.stack([part for _, part in _taps(image, kernel, outputs, window)], 1)
    return parts.reshape(window.groups, -1, x.shape[0] * math.prod(outputs))


UNROLLED = Form(_unrolled, _unrolled_input_gradient, _unrolled_weight_gradient)
COPIED = Form(_copied, _copied_input_gradient, _products)
POINTWISE = Form(_pointwise, _pointwise_input_gradient, _pointwise_weight_gradient)
