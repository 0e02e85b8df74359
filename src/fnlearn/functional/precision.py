"""Narrow numbers computed wide: float16 and bfloat16 are rounded once, at the end, as ATen's kernels do."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

NARROW = {jnp.dtype(jnp.float16), jnp.dtype(jnp.bfloat16)}

Function = TypeVar("Function", bound=Callable[..., jax.Array])


def wide_inside(function: Function) -> Function:
    """The function, computed in float32 and its answer rounded when all its arrays of floats share a narrow dtype."""

    @wraps(function)
    def widened(*args: Any, **kwargs: Any) -> jax.Array:
        dtypes = {x.dtype for x in (*args, *kwargs.values()) if _is_float(x)}
        if len(dtypes) != 1 or not dtypes <= NARROW:
            return function(*args, **kwargs)
        widen = lambda x: jnp.asarray(x, jnp.float32) if _is_float(x) else x  # noqa: E731
        out = function(*[widen(x) for x in args], **{name: widen(x) for name, x in kwargs.items()})
        return out.astype(kwargs.get("dtype") or dtypes.pop())

    return widened  # type: ignore[return-value]


def _is_float(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray | np.generic) and jnp.issubdtype(x.dtype, jnp.floating)


def accumulator(dtype: Any) -> Any:
    """The dtype in which products of this dtype are summed: float32 for the narrow ones, else itself."""
    return jnp.float32 if dtype in NARROW else dtype
