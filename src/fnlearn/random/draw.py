"""Where a number is drawn: from a JAX key, or from torch's stream where a `TorchGenerator` is passed in its place.

What layers start from is drawn at once; what their functions draw in training is drawn when they run.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

from fnlearn.random.generator import TorchGenerator

Key = jax.Array | TorchGenerator
OneKey = TypeVar("OneKey", jax.Array, TorchGenerator)
Shape = tuple[int, ...]
DType = jax.typing.DTypeLike


def uniform(key: Key, shape: Shape, dtype: DType, low: float = 0.0, high: float = 1.0) -> jax.Array:
    """U(low, high)."""
    if isinstance(key, TorchGenerator):
        return jnp.asarray(key.uniform(low, high, shape, dtype=jnp.dtype(dtype)))
    return jax.random.uniform(key, shape, dtype, low, high)


def normal(key: Key, shape: Shape, dtype: DType, mean: float = 0.0, std: float = 1.0) -> jax.Array:
    """N(mean, std²)."""
    if isinstance(key, TorchGenerator):
        return jnp.asarray(key.normal(mean, std, shape, dtype=jnp.dtype(dtype)))
    return mean + std * jax.random.normal(key, shape, dtype)


def truncated_normal(
    key: Key, shape: Shape, dtype: DType, mean: float, std: float, low: float, high: float
) -> jax.Array:
    """N(mean, std²) within [low, high]."""
    if isinstance(key, TorchGenerator):
        return jnp.asarray(key.trunc_normal(mean, std, low, high, shape, dtype=jnp.dtype(dtype)))
    bounds = (low - mean) / std, (high - mean) / std
    return mean + std * jax.random.truncated_normal(key, *bounds, shape, dtype)


def rand(key: Key, shape: Shape, dtype: DType) -> jax.Array:
    """U(0, 1), drawn when a computation runs."""
    if isinstance(key, TorchGenerator):
        return _streamed(lambda: key.rand(shape, dtype=jnp.dtype(dtype)), shape, dtype)
    return jax.random.uniform(key, shape, dtype)


def gumbel(key: Key, shape: Shape, dtype: DType) -> jax.Array:
    """Gumbel(0, 1), drawn when a computation runs; torch takes it from an exponential draw."""
    if isinstance(key, TorchGenerator):
        return -jnp.log(_streamed(lambda: key.exponential(1.0, shape, dtype=jnp.dtype(dtype)), shape, dtype))
    return jax.random.gumbel(key, shape, dtype)


def bernoulli(key: Key, p: float, shape: Shape) -> jax.Array:
    """True with probability p, drawn when a computation runs."""
    if isinstance(key, TorchGenerator):
        return _streamed(lambda: key.bernoulli(p, shape, dtype=bool), shape, bool)
    return jax.random.bernoulli(key, p, shape)


def fold_in(key: OneKey, data: jax.typing.ArrayLike) -> OneKey:
    """A key of its own for a number; of a stream the stream itself."""
    return key if isinstance(key, TorchGenerator) else jax.random.fold_in(key, data)


def _streamed(draw: Callable[[], np.ndarray], shape: Shape, dtype: DType) -> jax.Array:
    """By a call back to the host, also from a compiled computation, in the order in which the program is written."""
    return io_callback(draw, jax.ShapeDtypeStruct(shape, dtype), ordered=True)
