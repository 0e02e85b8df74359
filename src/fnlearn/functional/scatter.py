"""Numbers put into an array at places that an array of indices names."""

from typing import Any

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.typing import ArrayLike

__all__ = ["scatter", "scatter_reduce"]


def scatter(input: ArrayLike, dim: int, index: ArrayLike, src: ArrayLike) -> jax.Array:
    """A copy of input with numbers of src at the places along one dimension that index names.

    Torch: `torch.scatter`.
    Shape: input (*), index of as many dimensions, none longer than those of src → as input.
    Args: input: any dtype. dim: the dimension along which index counts. index: integers. src: numbers, an array of at
        least the shape of index, or one number.
    Raises: ValueError when the numbers of dimensions differ; IndexError when dim is absent.
    Differs: where index names a place twice, which number stays is not defined, as in torch.
    Source: `torch.Tensor.scatter_`.
    """
    x, at, values = _places(input, dim, index, src)
    return x.at[at].set(values).reshape(jnp.shape(input))


def scatter_reduce(
    input: ArrayLike, dim: int, index: ArrayLike, src: ArrayLike, reduce: str, *, include_self: bool = True
) -> jax.Array:
    """A copy of input with numbers of src joined to those at the places along one dimension that index names.

    Torch: `torch.scatter_reduce`.
    Shape: input (*), index of as many dimensions, none longer than those of src → as input.
    Args: input, dim, index, src: as for `scatter`. reduce: "sum", "prod", "mean", "amax" or "amin". include_self:
        whether the numbers of input count among those that are joined.
    Raises: ValueError when the numbers of dimensions differ, or for another reduce; IndexError when dim is absent.
    Differs: nothing.
    Source: `torch.Tensor.scatter_reduce_`.
    """
    starts = {"sum": 0, "mean": 0, "prod": 1, "amax": -jnp.inf, "amin": jnp.inf}
    if reduce not in starts:
        raise ValueError(f"reduce must be one of {', '.join(starts)}, got {reduce!r}")
    x, at, values = _places(input, dim, index, src)
    ones = jnp.ones_like(values)
    count = jnp.zeros_like(x).at[at].add(ones)
    if not include_self:
        start = starts[reduce]
        if not jnp.issubdtype(x.dtype, jnp.floating) and reduce in ("amax", "amin"):
            limits = jnp.iinfo(x.dtype)
            start = limits.min if reduce == "amax" else limits.max
        x = jnp.where(count > 0, jnp.asarray(start, x.dtype), x)
    method = {"sum": "add", "mean": "add", "prod": "multiply", "amax": "max", "amin": "min"}[reduce]
    out = _products(x, at, values) if reduce == "prod" else getattr(x.at[at], method)(values)
    if reduce == "mean":
        count = count + 1 if include_self else jnp.maximum(count, 1)
        out = out / count if jnp.issubdtype(x.dtype, jnp.inexact) else out // count
    return out.reshape(jnp.shape(input))


@jax.custom_jvp
def _products(x: jax.Array, at: tuple[jax.Array, ...], values: jax.Array) -> jax.Array:
    """Products at places of which one may be met twice, for which JAX has no derivative."""
    return x.at[at].multiply(values)


@_products.defjvp
def _products_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[jax.Array, jax.Array]:
    """The derivative by a factor is the product of the others: of those that aren't zero, if none of them is."""
    x, at, values = primals
    factors = [jnp.where(part == 0, 1, part) for part in (x, values)]
    whole = _products(factors[0], at, factors[1])
    zeros = (x == 0).astype(int).at[at].add((values == 0).astype(int))

    def others(part: jax.Array, factor: jax.Array, whole: jax.Array, zeros: jax.Array) -> jax.Array:
        return jnp.where(zeros == (part == 0).astype(int), whole / factor, 0)

    ours = tangents[0] * others(x, factors[0], whole, zeros)
    return _products(*primals), ours.at[at].add(tangents[2] * others(values, factors[1], whole[at], zeros[at]))


def _places(
    input: ArrayLike, dim: int, index: ArrayLike, src: ArrayLike
) -> tuple[jax.Array, tuple[jax.Array, ...], jax.Array]:
    """The input, the places as indices of all its dimensions, and the numbers that go there."""
    x, places, values = jnp.asarray(input), jnp.asarray(index), jnp.asarray(src)
    if x.ndim == 0:
        x, places = x.reshape(1), places.reshape(-1)
        values = values.reshape(-1) if values.ndim else values
    if places.ndim != x.ndim or values.ndim not in (0, x.ndim):
        raise ValueError(
            f"index and src must have the {x.ndim} dimensions of input, got {places.shape} and {values.shape}"
        )
    axis = check.axis("dim", dim, x.ndim)
    if values.ndim:
        values = values[tuple(slice(0, n) for n in places.shape)]
    grid = jnp.meshgrid(*(jnp.arange(n) for n in places.shape), indexing="ij")
    grid[axis] = places
    return x, tuple(grid), jnp.broadcast_to(values.astype(x.dtype), places.shape)
