"""The convolution beneath all of torch's, in the form that is fast on the machine at hand."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import conv_cpu
from fnlearn.functional.conv_cpu import Form
from fnlearn.functional.conv_cpu_dense import plain, plain_input_gradient
from fnlearn.functional.conv_window import Shape, Window
from fnlearn.functional.precision import NARROW


def convolve(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """Convolution of (N, in, *) with (out, in / groups, *); narrow dtypes give float32, for the caller to round."""
    default = lambda x, w: plain(x, w, window)  # noqa: E731
    return _lowered(x, w, window, default, conv_cpu.form_of(x.shape, w.shape, window))


def transposed(x: jax.Array, w: jax.Array, sizes: Shape, window: Window) -> jax.Array:
    """What the window's convolution gives, (N, out, *), back to the images (N, in, *sizes) that it takes, by its weight
    (out, in / groups, *): its gradient with respect to them. Narrow dtypes as for `convolve`.
    """
    shape = (x.shape[0], w.shape[1] * window.groups, *sizes)
    default = lambda x, w: plain_input_gradient(x, w, shape, window)  # noqa: E731
    return _lowered(x, w, window, default, conv_cpu.transposed_form_of(shape, w.shape, window))


def _lowered(
    x: jax.Array, w: jax.Array, window: Window, default: Callable[[jax.Array, jax.Array], jax.Array], form: Form | None
) -> jax.Array:
    if x.dtype in NARROW:
        wide = lambda x, w: _lowered(x.astype(jnp.float32), w.astype(jnp.float32), window, default, form)  # noqa: E731
        native = lambda x, w: default(x, w).astype(jnp.float32)  # noqa: E731
        return lax.platform_dependent(x, w, cpu=wide, default=native)
    if form is None or not jnp.issubdtype(x.dtype, jnp.floating):
        return default(x, w)
    cpu = lambda x, w: conv_cpu.convolve(x, w, window, form)  # noqa: E731
    return lax.platform_dependent(x, w, cpu=cpu, default=default)
