"""Losses of triplets: an anchor must be nearer to the positive than to the negative, by a margin."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.reduction import absolute, broadcast_pair, clamped, effective, reduced
from fnlearn.functional.typing import ArrayLike


@wide_inside
def triplet_margin_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinge of distances, max(0, ‖a − p‖ − ‖a − n‖ + margin), of vectors in the last dimension.

    Torch: `torch.nn.functional.triplet_margin_loss`.
    Shape: anchor, positive and negative (*, D), broadcast → () or, unreduced, (*).
    Args: anchor, positive, negative: numbers, of equally many dimensions. margin: the lead that is asked for, above 0.
        p: the norm's degree. eps: added to every difference. swap: take the distance from positive to negative where
        it is the smaller one. size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError for an unknown reduction, a margin that is not positive or shapes that don't fit; TypeError when
        an argument is not numeric.
    Differs: nothing.
    Source: Balntas et al.: Learning Local Feature Descriptors with Triplets (2016).
    """
    reduction = effective(size_average, reduce, reduction)
    return _triplet(anchor, positive, negative, lambda x, y: _distance(x, y, p, eps), margin, swap, reduction)


@wide_inside
def triplet_margin_with_distance_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> jax.Array:
    """Hinge of distances, max(0, d(a, p) − d(a, n) + margin), with a distance of one's own.

    Torch: `torch.nn.functional.triplet_margin_with_distance_loss`.
    Shape: anchor, positive and negative (*, D) → () or, unreduced, what the distance gives.
    Args: anchor, positive, negative, margin, swap, reduction: as for `triplet_margin_loss`. distance_function: of two
        arrays; the Euclidean distance of vectors in the last dimension, with 1e-6 added, when left out.
    Raises: as `triplet_margin_loss`.
    Differs: nothing.
    Source: Balntas et al.: Learning Local Feature Descriptors with Triplets (2016).
    """
    check.option("reduction", reduction, ("none", "mean", "sum"))
    distance = distance_function or (lambda x, y: _distance(x, y, 2, 1e-6))
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    distance: Callable[[Any, Any], Any],
    margin: float,
    swap: bool,
    reduction: str,
) -> jax.Array:
    if margin <= 0:
        raise ValueError(f"margin must be above 0, got {margin}")
    named = {"anchor": anchor, "positive": positive, "negative": negative}
    a, p, n = (check.number(name, value) for name, value in named.items())
    if not a.ndim == p.ndim == n.ndim:
        raise ValueError(
            f"anchor, positive and negative must have equally many dimensions, got {a.shape}, {p.shape} and {n.shape}"
        )
    near, far = distance(a, p), distance(a, n)
    if swap:
        far = jnp.minimum(far, distance(p, n))  # a tie halves the gradient, here and in ATen
    return reduced(clamped(margin + jnp.subtract(*broadcast_pair(near, far))), reduction)


def _distance(x1: jax.Array, x2: jax.Array, p: float, eps: float) -> jax.Array:
    x1, x2 = broadcast_pair(x1, x2)
    return _norm(x1 - x2 + eps, p)


def _norm(x: jax.Array, p: float) -> jax.Array:
    """The p-norm of the last dimension, whose derivative at 0 is 0, as in torch."""
    if x.ndim == 0:
        x = x[None]
    size = absolute(x)
    if p == 0:
        return (x != 0).astype(x.dtype).sum(-1)
    if p == 1:
        return size.sum(-1)
    if p == float("inf"):
        return size.max(-1)
    if p == -float("inf"):
        return size.min(-1)
    return _power(_power(size, p).sum(-1), 1 / p)


def _power(x: jax.Array, p: float) -> jax.Array:
    """xᵖ for x ≥ 0, with derivative 0 at 0."""
    if p == 2:
        return x * x
    zero = x == 0
    safe = jnp.where(zero, jnp.ones_like(x), x)
    root = jnp.sqrt(safe) if p == 0.5 else safe**p
    return jnp.where(zero, jnp.full_like(x, 0.0**p if p > 0 else jnp.inf), root)
