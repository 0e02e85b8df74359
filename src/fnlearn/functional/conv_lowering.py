"""The convolution beneath all of torch's, in the form that is fast on the machine at hand."""

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import conv_cpu
from fnlearn.functional.conv_cpu_dense import plain
from fnlearn.functional.conv_window import Window
from fnlearn.functional.precision import NARROW

__all__ = ["Window", "convolve", "plain"]


def convolve(x: jax.Array, w: jax.Array, window: Window) -> jax.Array:
    """Convolution of (N, in, *) with (out, in / groups, *); narrow dtypes give float32, for the caller to round."""
    if x.dtype in NARROW:
        wide = lambda x, w: convolve(x.astype(jnp.float32), w.astype(jnp.float32), window)  # noqa: E731
        native = lambda x, w: plain(x, w, window).astype(jnp.float32)  # noqa: E731
        return lax.platform_dependent(x, w, cpu=wide, default=native)
    default = lambda x, w: plain(x, w, window)  # noqa: E731
    form = conv_cpu.form_of(x.shape, w.shape, window) if jnp.issubdtype(x.dtype, jnp.floating) else None
    if form is None:
        return default(x, w)
    cpu = lambda x, w: conv_cpu.convolve(x, w, window, form)  # noqa: E731
    return lax.platform_dependent(x, w, cpu=cpu, default=default)
