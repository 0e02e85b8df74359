"""The checks that the functions share: each names the argument, what came, and what was expected."""

from typing import Any

import jax
import jax.numpy as jnp

from fnlearn.functional.typing import ArrayLike


def number(name: str, value: ArrayLike) -> jax.Array:
    """`value` as an array; anything that is no number is a TypeError."""
    try:
        x = jnp.asarray(value)
    except TypeError as error:
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}") from error
    if x.dtype == jnp.bool_ or not (jnp.issubdtype(x.dtype, jnp.number)):
        raise TypeError(f"{name} must be an array of numbers, got dtype {x.dtype}")
    return x


def floating(name: str, value: ArrayLike) -> jax.Array:
    """`value` as an array of floating-point numbers, as it must be where torch has no kernel for integers."""
    x = number(name, value)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} must be floating-point, got dtype {x.dtype}; convert it with {name}.astype('float32')")
    return x


def inexact(name: str, value: ArrayLike) -> jax.Array:
    """`value` as an array of floating-point or complex numbers."""
    x = number(name, value)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else floating(name, x)


def promoted(name: str, value: ArrayLike) -> jax.Array:
    """`value` as an array, integers converted to float32: torch's default dtype."""
    x = number(name, value)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float32)


def axis(name: str, dim: int, ndim: int) -> int:
    """A dimension counted from the front; a scalar has the dimensions 0 and -1, as in torch."""
    rank = max(ndim, 1)
    if not -rank <= dim < rank:
        raise ValueError(f"{name} must be between {-rank} and {rank - 1} for {ndim} dimension(s), got {dim}")
    return dim % rank


def option(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """A ValueError unless `value` is one of the words that are allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def same_dtype(**arrays: jax.Array | None) -> None:
    """A TypeError unless all arrays that are given share one dtype."""
    dtypes = {name: x.dtype for name, x in arrays.items() if x is not None}
    if len(set(dtypes.values())) > 1:
        listed = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise TypeError(f"the arguments must share one dtype, got {listed}")
