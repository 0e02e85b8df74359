"""Ungrouped convolutions on a CPU as products of matrices, where they are faster than XLA's own form.

Memory decides: every page of a temporary array costs the time of some 200,000 multiplications at its first touch, and
copies of all windows (im2col) are as many times the input as the kernel has elements. So samples come one after the
other where images are large, and all at once only where maps are tiny and the weight is the greater matrix.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional.conv_window import Shape, Window, again, padded, reversed_convolution, taps, untaps

MOST_IN_A_SUM = 256  # products, where it can be so
LONGEST_SUM, MOST_SUMS = 512, 8  # products, of a sample's image
LAYOUTS = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC")}


# XLA's own form.


def plain(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """XLA's own convolution."""
    return lax.conv_general_dilated(
        x, w, window.strides, window.padding, window.input_dilation, window.dilation, feature_group_count=window.groups
    )


def plain_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Its transpose with respect to the input."""
    return jax.linear_transpose(lambda x: plain(x, w, window), jax.ShapeDtypeStruct(shape, dy.dtype))(dy)[0]


def plain_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Its transpose with respect to the weight."""
    return jax.linear_transpose(lambda w: plain(x, w, window), jax.ShapeDtypeStruct(shape, dy.dtype))(dy)[0]


# Tiny maps: every window is copied into a column, and all samples make one product.


def copied(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """Weight times windows."""
    y = w.reshape(w.shape[0], -1) @ _columns(x.swapaxes(0, 1), w.shape[2:], window)
    return y.reshape(-1, x.shape[0], *window.outputs(x.shape[2:], w.shape[2:])).swapaxes(0, 1)


def copied_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """The small factor is transposed and stands first, so that the weight is read as it lies."""
    rows = jnp.moveaxis(dy, 1, -1).reshape(-1, w.shape[0]) @ w.reshape(w.shape[0], -1)
    parts = rows.reshape(shape[0], *dy.shape[2:], shape[1], -1)  # (N, *, in, K)
    each = [jnp.moveaxis(parts[..., tap], -1, 1) for tap in range(parts.shape[-1])]
    return untaps(each, shape[2:], w.shape[2:], window)


def copied_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Gradient times windows."""
    columns = _columns(x.swapaxes(0, 1), shape[2:], window)
    return (dy.swapaxes(0, 1).reshape(shape[0], -1) @ columns.T).reshape(shape)


def _columns(x: jax.Array, kernel: Shape, window: Window) -> jax.Array:
    """(in, …, *) → (in · K, … · L)."""
    outputs = window.outputs(x.shape[-len(kernel) :], kernel)
    parts = jnp.stack([part for _, part in taps(padded(x, window), kernel, outputs, window)], 1)
    return parts.reshape(x.shape[0] * math.prod(kernel), -1)


# Large images: one sample after the other.


def sampled(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """XLA's convolution with channels last, the only layout it computes in; a sample's transposes stay in the cache."""
    layout, kernel = LAYOUTS[w.ndim - 2], jnp.moveaxis(w, (1, 0), (-2, -1))

    def one(sample: jax.Array) -> jax.Array:
        y = lax.conv_general_dilated(
            jnp.moveaxis(sample, 0, -1)[None],
            kernel,
            window.strides,
            window.padding,
            rhs_dilation=window.dilation,
            dimension_numbers=layout,
        )
        return jnp.moveaxis(y[0], -1, 0)

    return lax.map(one, x)


def sampled_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """The same convolution the other way; for strides of 1, where no zeros come between."""
    return sampled(dy, *reversed_convolution(w, shape[2:], dy.shape[2:], window))


def windowed(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """Weight times windows; for volumes, whose convolution XLA computes at a tenth of its speed."""
    matrix, outputs = jnp.moveaxis(w, 1, -1).reshape(w.shape[0], -1), window.outputs(x.shape[2:], w.shape[2:])
    y = lax.map(lambda sample: matrix @ _windows(sample, w.shape[2:], outputs, window), x)
    return y.reshape(x.shape[0], w.shape[0], *outputs)


def folded_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Weight times gradient, added up where windows were."""
    matrix, parts = w.reshape(w.shape[0], -1).T, (*shape[1:2], math.prod(w.shape[2:]), *dy.shape[2:])

    def one(sample: jax.Array) -> jax.Array:
        columns = (matrix @ sample.reshape(w.shape[0], -1)).reshape(parts)
        return untaps([columns[:, tap] for tap in range(parts[1])], shape[2:], w.shape[2:], window)

    return lax.map(one, dy)


def sampled_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Windows times gradient."""

    def add(total: jax.Array, sample: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        image, gradient = sample
        columns = _windows(image, shape[2:], gradient.shape[1:], window)
        rows, length = gradient.reshape(shape[0], -1), columns.shape[1]
        each = max(LONGEST_SUM, -(-length // MOST_SUMS))  # in pieces: the product adds number to number
        for start in range(0, length, each):
            total = total + columns[:, start : start + each] @ rows[:, start : start + each].T
        return total, None

    total = lax.scan(again(add), jnp.zeros((math.prod(shape[1:]), shape[0]), x.dtype), (x, dy))[0]
    return jnp.moveaxis(total.reshape(*shape[2:], shape[1], shape[0]), (-1, -2), (0, 1))


def _windows(x: jax.Array, kernel: Shape, outputs: Shape, window: Window) -> jax.Array:
    """(in, *) → (K · in, L): the elements of the window come first, so that copies are long."""
    parts = [part for _, part in taps(padded(x, window), kernel, outputs, window)]
    return jnp.concatenate(parts).reshape(-1, math.prod(outputs))


# Windows that neither overlap nor leave gaps, as those of patches: reshaped instead of copied out.


def patched(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """Weight times patches, one sample after the other."""
    matrix = w.reshape(w.shape[0], -1)
    y = lax.map(lambda sample: matrix @ _patches(sample, w.shape[2:]), x)
    return y.reshape(x.shape[0], w.shape[0], *window.outputs(x.shape[2:], w.shape[2:]))


def patched_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Weight times gradient, each number in its place."""
    matrix = w.reshape(w.shape[0], -1).T
    image = jax.ShapeDtypeStruct(shape[1:], dy.dtype)
    back = jax.linear_transpose(lambda sample: _patches(sample, w.shape[2:]), image)
    return lax.map(lambda sample: back(matrix @ sample.reshape(w.shape[0], -1))[0], dy)


def patched_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Gradient times patches."""

    def add(total: jax.Array, sample: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        image, gradient = sample
        return total + gradient.reshape(shape[0], -1) @ _patches(image, shape[2:], rows=True), None

    return lax.scan(again(add), jnp.zeros((shape[0], math.prod(shape[1:])), x.dtype), (x, dy))[0].reshape(shape)


def _patches(x: jax.Array, kernel: Shape, rows: bool = False) -> jax.Array:
    """(in, *) → (in · K, L), or the transpose; what doesn't fill a patch is cut off."""
    counts = [n // k for n, k in zip(x.shape[1:], kernel, strict=True)]
    whole = lax.slice(x, (0,) * x.ndim, (x.shape[0], *(m * k for m, k in zip(counts, kernel, strict=True))))
    split = whole.reshape(x.shape[0], *(n for pair in zip(counts, kernel, strict=True) for n in pair))
    places, inside = range(1, split.ndim, 2), range(2, split.ndim, 2)
    order = (*places, 0, *inside) if rows else (0, *inside, *places)
    size = math.prod(counts)
    return split.transpose(order).reshape((size, -1) if rows else (-1, size))


# Windows of one element: a product of matrices for each sample.


def pointwise(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """Weight times pixels."""
    ((_, seen),) = taps(x, w.shape[2:], outputs := window.outputs(x.shape[2:], w.shape[2:]), window)
    y = _each_sample(w.reshape(w.shape[:2]), seen.reshape(*x.shape[:2], -1))
    return y.reshape(x.shape[0], w.shape[0], *outputs)


def pointwise_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Its transpose with respect to the input."""
    back = _each_sample(w.reshape(w.shape[:2]).T, dy.reshape(*dy.shape[:2], -1)).reshape(*shape[:2], *dy.shape[2:])
    return _spread(back, shape, dy.shape, window)


def pointwise_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Gradient times pixels."""
    ((_, seen),) = taps(x, shape[2:], dy.shape[2:], window)
    flat = lambda a: a.reshape(*a.shape[:2], -1)  # noqa: E731
    return _product_of_rows(flat(dy), flat(seen)).sum(0).reshape(shape)


# The same where maps are so small that a copy of the weight for each sample costs more than transposing the samples:
# one product for all of them.


def together(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """Pixels times weight."""
    ((_, seen),) = taps(x, w.shape[2:], outputs := window.outputs(x.shape[2:], w.shape[2:]), window)
    y = _pixels(seen) @ w.reshape(w.shape[:2]).T
    return jnp.moveaxis(y.reshape(x.shape[0], *outputs, -1), -1, 1)


def together_input_gradient(dy: jax.Array, w: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Its transpose with respect to the input."""
    back = (_pixels(dy) @ w.reshape(w.shape[:2])).reshape(shape[0], *dy.shape[2:], -1)
    return _spread(jnp.moveaxis(back, -1, 1), shape, dy.shape, window)


def together_weight_gradient(x: jax.Array, dy: jax.Array, shape: Shape, window: Window) -> jax.Array:
    """Gradient times pixels."""
    ((_, seen),) = taps(x, shape[2:], dy.shape[2:], window)
    return _product_of_rows(_pixels(dy).T, _pixels(seen).T).reshape(shape)


def _pixels(x: jax.Array) -> jax.Array:
    """(N, in, *) → (N · L, in)."""
    return jnp.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def _spread(x: jax.Array, shape: Shape, outputs: Shape, window: Window) -> jax.Array:
    """The pixels that were seen, in their places among those that a stride left out."""
    pairs = zip(shape[2:], outputs[2:], window.strides, strict=True)
    gaps = [(0, n - (m - 1) * s - 1, s - 1) for n, m, s in pairs]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *gaps])


def _product_of_rows(a: jax.Array, b: jax.Array) -> jax.Array:
    """(…, m, L), (…, n, L) → (…, m, n), in pieces of L: the product adds number to number, and rounds each time."""
    length = a.shape[-1]
    sizes = (size for size in range(MOST_IN_A_SUM, MOST_IN_A_SUM // 8, -1) if length % size == 0)
    size = length if length <= MOST_IN_A_SUM else next(sizes, length)
    first, second = (x.reshape(*x.shape[:-1], -1, size) for x in (a, b))
    return jnp.einsum("...mpl,...npl->...pmn", first, second).sum(-3)


def _each_sample(matrix: jax.Array, columns: jax.Array) -> jax.Array:
    """A batch of products, which XLA leaves in place, where one product would need all samples transposed."""
    return jnp.broadcast_to(matrix, (columns.shape[0], *matrix.shape)) @ columns
