"""Convolutions on a CPU: the form that is fast for the shapes at hand, in each of the three directions.

A form gives the output, the input's gradient and the weight's gradient. JAX's rule for the first would not give the
other two a good form, so they are written out, and the derivative is defined by them: its tangent is their transpose,
which a reverse-mode gradient transposes again. So they use only operations whose transpose's transpose is the operation
itself (slices, pads, products, sums and loops over samples, but no concatenation of what is transposed). Outputs may
concatenate: a transposed convolution, whose gradient they are, was measured to bear it.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from fnlearn.functional import conv_cpu_dense as dense
from fnlearn.functional import conv_cpu_grouped as grouped
from fnlearn.functional.conv_window import Shape, Window

# All measured with float32 on one core against PyTorch and XLA's own form, forward with all gradients.
FEW_MULTIPLICATIONS = 64  # for an output: so many are unrolled, which bounds the time to compile
FEW_OUTPUTS, MANY_CHANNELS = 16, 64  # XLA takes up to 30 times as long for a map of 2² of 512 channels
MANY_OUTPUTS = 512  # a sample: its product with the weight is large enough to stand alone
FEW_INPUTS = 8  # channels: a product with their windows is so small that adding it up costs less than XLA's own form
MANY_PRODUCTS = 64  # with every copied number, from which copying costs less than XLA's weight gradient


class Form(NamedTuple):
    """A way to compute the three directions of a convolution."""

    output: Callable[[jax.Array, jax.Array, Window], jax.Array]
    input_gradient: Callable[[jax.Array, jax.Array, Shape, Window], jax.Array]
    weight_gradient: Callable[[jax.Array, jax.Array, Shape, Window], jax.Array]


UNROLLED = Form(grouped.output, grouped.input_gradient, grouped.weight_gradient)
GROUPED = Form(grouped.windowed, grouped.windowed_input_gradient, grouped.windowed_weight_gradient)
POINTWISE = Form(dense.pointwise, dense.pointwise_input_gradient, dense.pointwise_weight_gradient)
TOGETHER = Form(dense.together, dense.together_input_gradient, dense.together_weight_gradient)
PATCHED = Form(dense.patched, dense.patched_input_gradient, dense.patched_weight_gradient)
WINDOWED = Form(dense.windowed, dense.folded_input_gradient, dense.sampled_weight_gradient)
COPIED = Form(dense.copied, dense.copied_input_gradient, dense.copied_weight_gradient)
BESIDE_PLAIN = Form(dense.plain, dense.plain_input_gradient, dense.sampled_weight_gradient)


def form_of(x: Shape, w: Shape, window: Window) -> Form | None:
    """The form that is faster than XLA's own for these shapes, if there is one."""
    kernel, groups = w[2:], window.groups
    if any(d != 1 for d in window.input_dilation) or not math.prod(x) * math.prod(w):
        return None
    if groups > 1:
        most = max(w[1], w[0] // groups) * math.prod(kernel)
        return UNROLLED if most <= FEW_MULTIPLICATIONS else GROUPED
    unpadded = not any(map(any, window.padding))
    if math.prod(kernel) == 1:
        copied, transposed = w[0] * w[1], math.prod(window.outputs(x[2:], kernel)) * (w[0] + w[1])
        return None if not unpadded else TOGETHER if transposed < copied else POINTWISE
    if unpadded and window.strides == kernel and all(d == 1 for d in window.dilation):
        return PATCHED
    outputs = math.prod(window.outputs(x[2:], kernel))
    tiny = outputs <= FEW_OUTPUTS and min(w[:2]) >= MANY_CHANNELS
    if tiny or x[0] * outputs <= w[0]:  # the weight is the greater matrix
        return COPIED
    if len(kernel) == 3:
        return WINDOWED
    return sampled(w, window) if outputs >= MANY_OUTPUTS else None


def sampled(w: Shape, window: Window) -> Form:
    """The form for large images."""
    few, strided = w[1] <= FEW_INPUTS, any(s != 1 for s in window.strides)
    return Form(
        dense.sampled,
        dense.folded_input_gradient if few or strided else dense.sampled_input_gradient,
        dense.sampled_weight_gradient if few or w[0] >= MANY_PRODUCTS else dense.plain_weight_gradient,
    )


def transposed_form_of(y: Shape, w: Shape, window: Window) -> Form | None:
    """The same for the transposed convolution that gives images of shape y: the form of the convolution that takes
    them, whose output and input's gradient change places, as the two arrays do that make the weight's gradient.
    """
    form = form_of(y, w, window)
    if window.groups == 1 and form not in (POINTWISE, TOGETHER, PATCHED, COPIED, WINDOWED):
        form = BESIDE_PLAIN if math.prod(y) * math.prod(w) else None
    if form is None:
        return None
    return Form(
        lambda x, w, window: form.input_gradient(x, w, y, window),
        lambda dy, w, _, window: form.output(dy, w, window),
        lambda x, dy, shape, window: form.weight_gradient(dy, x, shape, window),
    )


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
