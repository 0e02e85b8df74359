"""Narrow numbers computed wide: float16 and bfloat16 are rounded once, at the end, as ATen's kernels do."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

Function = TypeVar("Function", bound=Callable[..., jax.Array])


def wide_inside(function: Function) -> Function:
    """The function of a first argument that is narrow, computed in float32 and rounded to the argument's dtype."""

    @wraps(function)
    def widened(input: Any, *args: Any, **kwargs: Any) -> jax.Array:
        dtype = getattr(input, "dtype", None)
        if dtype not in (jnp.float16, jnp.bfloat16):
            return function(input, *args, **kwargs)
        return function(jnp.asarray(input, jnp.float32), *args, **kwargs).astype(kwargs.get("dtype") or dtype)

    return widened  # type: ignore[return-value]
