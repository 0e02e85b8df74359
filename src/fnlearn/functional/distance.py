"""Distances and similarities of vectors."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike
from fnlearn.functional.vector_norm import vector_norm


def cosine_similarity(x1: ArrayLike, x2: ArrayLike, dim: int = 1, eps: float = 1e-8) -> jax.Array:
    """Cosine of the angle between vectors, x₁ · x₂ / (max(‖x₁‖, eps) · max(‖x₂‖, eps)).

    Torch: `torch.nn.functional.cosine_similarity`.
    Shape: x1 and x2 (*₁, D, *₂), broadcast → (*₁, *₂).
    Args: x1, x2: numbers, at least one array of them floating-point. dim: where the vectors lie, counted after
        broadcasting. eps: the least norm, which keeps a vector of zeros from giving NaN.
    Raises: ValueError when the shapes can't be broadcast or dim is absent; TypeError when neither is floating-point.
    Differs: nothing.
    Source: ATen `Distance.cpp`.
    """
    a, b = _broadcast(check.number("x1", x1), check.number("x2", x2))
    return _cosine(check.floating("x1", a), b, check.axis("dim", dim, a.ndim), eps)


@wide_inside
def _cosine(a: jax.Array, b: jax.Array, axis: int, eps: float) -> jax.Array:
    if not a.ndim:
        a, b = a[None], b[None]
    product = (a / _at_least(vector_norm(a, 2, (axis,)), eps)) * (b / _at_least(vector_norm(b, 2, (axis,)), eps))
    return product.sum(axis)


def _at_least(norm: jax.Array, eps: float) -> jax.Array:
    """max(norm, eps) with the derivative of norm even below eps, which torch clamps outside of its graph."""
    return jnp.where(norm < eps, eps + (norm - jax.lax.stop_gradient(norm)), norm)


def pairwise_distance(
    x1: ArrayLike, x2: ArrayLike, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> jax.Array:
    """Distance between vectors by the p-norm, ‖x₁ − x₂ + eps‖ₚ.

    Torch: `torch.nn.functional.pairwise_distance`.
    Shape: x1 and x2 (*, D), broadcast → (*), or (*, 1) with keepdim.
    Args: x1, x2: numbers; integers become float32. p: the norm's exponent, 0 and ±∞ included. eps: added to each
        difference. keepdim: whether the last dimension stays, with size 1.
    Raises: ValueError when the shapes can't be broadcast; TypeError when an argument is not numeric.
    Differs: nothing.
    Source: ATen `Distance.cpp`.
    """
    a, b = _broadcast(check.number("x1", x1), check.number("x2", x2))
    return _distance(check.promoted("x1", a), check.promoted("x2", b), p, eps, keepdim)


@wide_inside
def _distance(a: jax.Array, b: jax.Array, p: float, eps: float, keepdim: bool) -> jax.Array:
    difference = a - b + eps
    distance = vector_norm(difference, p, (-1,) if difference.ndim else ())
    return distance if keepdim or not difference.ndim else distance.squeeze(-1)


def pdist(input: ArrayLike, p: float = 2) -> jax.Array:
    """Distances by the p-norm between all pairs of rows, in the order (0, 1), (0, 2), …, (N−2, N−1).

    Torch: `torch.nn.functional.pdist`.
    Shape: (N, D) → (N · (N − 1) / 2).
    Args: input: rows, floating-point. p: the norm's exponent, at least 0; ∞ is the greatest difference.
    Raises: ValueError when input isn't two-dimensional or p is negative; TypeError when input is not floating-point.
    Differs: nothing.
    Source: ATen `DistanceOpsKernel.cpp`.
    """
    x = check.floating("input", input)
    if x.ndim != 2:
        raise ValueError(f"input must have two dimensions (N, D), got shape {x.shape}")
    if p < 0:
        raise ValueError(f"p must be at least 0, got {p}")
    return _pdist(x, p)


@wide_inside
def _pdist(x: jax.Array, p: float) -> jax.Array:
    first, second = np.triu_indices(x.shape[0], 1)
    if not x.size:
        return jnp.zeros(len(first), x.dtype)
    difference = x[first] - x[second]
    if p != math.inf:
        return vector_norm(difference, p, (1,)).squeeze(1)
    size = jnp.abs(jax.lax.stop_gradient(difference))
    greatest = size.max(1, keepdims=True)
    # each of several equal maxima has the full derivative here, other than in torch's norm
    slope = jnp.where(size == jnp.broadcast_to(greatest, size.shape), jnp.sign(jax.lax.stop_gradient(difference)), 0)
    return _linear_in(difference, slope, greatest.squeeze(1))


@jax.custom_jvp
def _linear_in(x: jax.Array, slope: jax.Array, value: jax.Array) -> jax.Array:
    """A value for each row of x, with a derivative that is given."""
    return value


@_linear_in.defjvp
def _(
    primals: tuple[jax.Array, jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (_, slope, value), (dx, *_) = primals, tangents
    return value, (slope * dx).sum(1)


def _broadcast(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both in one shape and dtype."""
    dtype = jnp.promote_types(a.dtype, b.dtype)
    try:
        shape = jnp.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise ValueError(f"x1 {a.shape} and x2 {b.shape} can't be broadcast to one shape") from error
    return jnp.broadcast_to(a.astype(dtype), shape), jnp.broadcast_to(b.astype(dtype), shape)
