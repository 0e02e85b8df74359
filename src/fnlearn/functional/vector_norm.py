"""The p-norm of vectors, with torch's derivative where the norm has none: 0 at zero, shared among equal maxima."""

import math
from functools import partial

import jax
import jax.numpy as jnp

Axes = tuple[int, ...]


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def vector_norm(x: jax.Array, p: float, axes: Axes) -> jax.Array:
    """(Σ|xᵢ|ᵖ)^(1/p) along dimensions, which are kept with size 1; p may be 0 (how many aren't 0), ∞ and −∞."""
    size = jnp.abs(x)
    if p == math.inf:
        return size.max(axes, keepdims=True)
    if p == -math.inf:
        return size.min(axes, keepdims=True)
    if p == 0:
        return (size != 0).astype(size.dtype).sum(axes, keepdims=True)
    if p == 1:
        return size.sum(axes, keepdims=True)
    if p == 2:
        return jnp.sqrt((size * size).sum(axes, keepdims=True))
    return (size**p).sum(axes, keepdims=True) ** (1 / p)


@vector_norm.defjvp
def _(p: float, axes: Axes, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    norm = vector_norm(x, p, axes)
    slope = _slope(x, norm, p, axes)
    change = (jnp.conj(slope) * dx).real if jnp.iscomplexobj(x) else slope * dx
    return norm, change.sum(axes, keepdims=True)


def _slope(x: jax.Array, norm: jax.Array, p: float, axes: Axes) -> jax.Array:
    """The derivative of the norm by each number."""
    if p == 0:
        return jnp.zeros_like(x)
    if p == 1:
        return jnp.sign(x)
    nonzero = jnp.broadcast_to(norm != 0, x.shape)
    whole = jnp.where(nonzero, jnp.broadcast_to(norm, x.shape), 1)
    if p == 2:
        return jnp.where(nonzero, x / whole.astype(x.dtype), 0)
    size = jnp.abs(x)
    if math.isinf(p):
        extreme = (size == jnp.broadcast_to(norm, x.shape)) | (jnp.isnan(size) & jnp.isnan(norm))
        count = extreme.sum(axes, keepdims=True).astype(size.dtype)
        share = jnp.where(extreme, 1 / jnp.broadcast_to(count, x.shape), 0)
        return jnp.sign(x) * share.astype(x.dtype)
    moved = nonzero & (size != 0)
    ratio = jnp.where(moved, size, 1) / whole
    return jnp.where(moved, jnp.sign(x) * (ratio ** (p - 1)).astype(x.dtype), 0)
