"""What the losses share: their reductions, and arguments brought to one shape.

`size_average` and `reduce` are torch's names of old for `reduction`: `size_average=False` is `reduction="sum"`, and
`reduce=False` is `reduction="none"`.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.functional import check
from fnlearn.functional.typing import ArrayLike


def effective(size_average: bool | None, reduce: bool | None, reduction: str, extra: tuple[str, ...] = ()) -> str:
    """The reduction meant, with torch's two deprecated flags taking precedence, as in torch."""
    if size_average is not None or reduce is not None:
        meant = "none" if reduce is False else "sum" if size_average is False else "mean"
        message = f"size_average and reduce are deprecated; use reduction={meant!r} instead."
        warnings.warn(message, stacklevel=3)
        return meant
    check.option("reduction", reduction, ("none", "mean", "sum", *extra))
    return reduction


def reduced(loss: jax.Array, reduction: str) -> jax.Array:
    """The losses of all elements as they are, their mean, or their sum."""
    return {"none": lambda: loss, "mean": loss.mean, "sum": loss.sum}[reduction]()


def weighted(loss: jax.Array, weight: ArrayLike | None, reduction: str) -> jax.Array:
    """The reduced loss, each element times its weight; the mean is then the weighted one."""
    if weight is None:
        return reduced(loss, reduction)
    factor = weight_like(weight, loss)
    loss = loss * factor
    return loss.sum() / factor.sum() if reduction == "mean" else reduced(loss, reduction)


def weight_like(weight: ArrayLike, loss: jax.Array) -> jax.Array:
    """The weights in the loss's dtype; a ValueError unless they have its shape."""
    factor = check.number("weight", weight)
    if factor.shape != loss.shape:
        raise ValueError(f"weight must have the shape of input, got {factor.shape} and {loss.shape}")
    return factor.astype(loss.dtype)


def pair(input: ArrayLike, target: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Input and target in one shape and dtype; a shape that has to be broadcast is most often a mistake."""
    x, y = check.number("input", input), check.number("target", target)
    if x.shape != y.shape:
        message = f"target {y.shape} differs from input {x.shape} and is broadcast; give them the same shape."
        warnings.warn(message, stacklevel=3)
    return broadcast_pair(x, y)


def broadcast_pair(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both in one shape and dtype; a ValueError when the shapes can't be broadcast."""
    floats = [z.dtype for z in (x, y) if jnp.issubdtype(z.dtype, jnp.inexact)]
    dtype = floats[0] if len(floats) == 1 else jnp.promote_types(x.dtype, y.dtype)
    try:
        shape = jnp.broadcast_shapes(x.shape, y.shape)
    except ValueError as error:
        raise ValueError(f"input {x.shape} and target {y.shape} can't be broadcast to one shape") from error
    return jnp.broadcast_to(x.astype(dtype), shape), jnp.broadcast_to(y.astype(dtype), shape)


def broadcast(name: str, value: ArrayLike, like: jax.Array) -> jax.Array:
    """A value in another's shape and dtype; a ValueError that names it when that can't be."""
    x = check.number(name, value)
    try:
        return jnp.broadcast_to(x, like.shape).astype(like.dtype)
    except ValueError as error:
        raise ValueError(f"{name} {x.shape} can't be broadcast to {like.shape}") from error


def absolute(x: jax.Array) -> jax.Array:
    """|x| with derivative 0 at 0, as in torch; JAX's own is 1 there."""
    return x * jax.lax.stop_gradient(jnp.sign(x))


def clamped(x: jax.Array) -> jax.Array:
    """max(0, x) with torch's derivatives: 1 at 0 and 0 at NaN, which stays NaN."""
    return jnp.where(x >= 0, x, jax.lax.stop_gradient(jnp.maximum(x, jnp.zeros_like(x))))


def integer_classes(name: str, value: ArrayLike) -> jax.Array:
    """Classes as an array; a TypeError unless they are integers."""
    classes = check.number(name, value)
    if not jnp.issubdtype(classes.dtype, jnp.integer):
        raise TypeError(f"{name} must hold integer classes, got dtype {classes.dtype}")
    return classes


def within(name: str, values: jax.Array, low: int, high: int) -> None:
    """A ValueError unless all values lie in [low, high]; nothing where they are unknown, as they are under jit."""
    if not values.size or not known(values):
        return
    least, most = np.asarray(values).min(), np.asarray(values).max()  # in numpy, which jit doesn't trace
    if not low <= least <= most <= high:
        raise ValueError(f"{name} must lie between {low} and {high}, got {least} to {most}")


def known(values: jax.Array) -> bool:
    """Whether the numbers are there already, and not what a transformation stands in for them."""
    return not isinstance(values, jax.core.Tracer)
