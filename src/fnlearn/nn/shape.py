"""Layers that change the shape alone."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.typing import ArrayLike
from fnlearn.nn.layer import Layer, stateless


def Flatten(start_dim: int = 1, end_dim: int = -1) -> Layer:
    """Make neighbouring dimensions one.

    Torch: `torch.nn.Flatten`.
    Shape: (N, *) → (N, Π *), with the defaults.
    Args: start_dim, end_dim: the first and the last of them.
    Raises: ValueError, when applied, when the input has no such dimensions, or start_dim comes after end_dim.
    Differs: nothing.
    Source: `torch.flatten`.
    """

    def flatten(input: ArrayLike) -> jax.Array:
        x = jnp.asarray(input)
        first, last = check.axis("start_dim", start_dim, x.ndim), check.axis("end_dim", end_dim, x.ndim)
        if first > last:
            raise ValueError(f"start_dim must not come after end_dim, got {start_dim} and {end_dim} for {x.shape}")
        return x.reshape(*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])

    return stateless(flatten)


def Unflatten(dim: int, unflattened_size: Sequence[int]) -> Layer:
    """Make one dimension several.

    Torch: `torch.nn.Unflatten`.
    Shape: (*, size, *) → (*, *unflattened_size, *).
    Args: dim: which one. unflattened_size: its parts, one of which may be −1.
    Raises: TypeError when dim or unflattened_size is not made of integers; ValueError, when applied, when the sizes
        don't fit.
    Differs: no named dimensions, which torch deprecates.
    Source: `torch.unflatten`.
    """
    sizes = tuple(unflattened_size) if isinstance(unflattened_size, Sequence) else (unflattened_size,)
    if not isinstance(dim, int) or not sizes or not all(isinstance(n, int) for n in sizes):
        raise TypeError(f"dim and unflattened_size must be an integer and several, got {dim} and {unflattened_size}")

    def unflatten(input: ArrayLike) -> jax.Array:
        x = jnp.asarray(input)
        axis = check.axis("dim", dim, x.ndim)
        known = math.prod(n for n in sizes if n != -1)
        rest = x.shape[axis] % known if -1 in sizes and known else x.shape[axis] - known
        if sizes.count(-1) > 1 or min(sizes) < -1 or rest:
            raise ValueError(f"unflattened_size must multiply to dimension {dim} of {x.shape}, got {sizes}")
        return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])

    return stateless(unflatten)
