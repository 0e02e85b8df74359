"""The distributions that torch's layers start from.

torch's default for a layer with `fan_in` inputs is `kaiming_uniform_(a=√5)`, which is U(−1/√fan_in, 1/√fan_in).
"""

import math

import jax
import jax.numpy as jnp

from fnlearn.functional.typing import DTypeLike

__all__ = ["constant", "kaiming_uniform", "uniform"]


def uniform(
    key: jax.Array, shape: tuple[int, ...], a: float = 0.0, b: float = 1.0, dtype: DTypeLike | None = None
) -> jax.Array:
    """Uniformly distributed numbers, U(a, b).

    Torch: `torch.nn.init.uniform_`.
    Shape: as asked for.
    Args: key: a typed key. shape: the result's. a, b: the bounds, b exclusive. dtype: float32 when left out.
    Raises: ValueError when a exceeds b.
    Differs: the numbers come from a JAX key, not from torch's generator; a new array is returned.
    Source: `torch.nn.init`.
    """
    if a > b:
        raise ValueError(f"a must not exceed b, got a={a} and b={b}")
    return jax.random.uniform(key, shape, dtype or jnp.float32, a, b)


def kaiming_uniform(
    key: jax.Array, shape: tuple[int, ...], a: float = 0.0, dtype: DTypeLike | None = None
) -> jax.Array:
    """Kaiming's uniform distribution for a leaky rectifier of slope a, by fan-in: U(−√(6 / ((1 + a²) · fan_in)), +…).

    Torch: `torch.nn.init.kaiming_uniform_`.
    Shape: (out, in, *): fan_in is in · Π(*).
    Args: key: a typed key. shape: the weight's, of two or more dimensions. a: the slope; √5 gives a layer's default,
        U(−1/√fan_in, 1/√fan_in). dtype: float32 when left out.
    Raises: ValueError when the shape has fewer than two dimensions.
    Differs: the numbers come from a JAX key, not from torch's generator; a new array is returned.
    Source: He et al.: Delving Deep into Rectifiers (2015).
    """
    bound = math.sqrt(6 / ((1 + a * a) * fan_in(shape))) if math.prod(shape) else 0.0
    return uniform(key, shape, -bound, bound, dtype)


def constant(shape: tuple[int, ...], value: float, dtype: DTypeLike | None = None) -> jax.Array:
    """An array of one number.

    Torch: `torch.nn.init.constant_`.
    Shape: as asked for.
    Args: shape: the result's. value: the number. dtype: float32 when left out.
    Raises: nothing.
    Differs: a new array is returned.
    Source: `torch.nn.init`.
    """
    return jnp.full(shape, value, dtype or jnp.float32)


def fan_in(shape: tuple[int, ...]) -> int:
    """How many numbers flow into one output of a weight of this shape."""
    if len(shape) < 2:
        raise ValueError(f"fan_in needs a weight of two or more dimensions, got shape {shape}")
    return math.prod(shape[1:])
