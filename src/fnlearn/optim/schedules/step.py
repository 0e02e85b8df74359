"""What a schedule is, and the arithmetic it is read in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Number = Any  # a Python number, or an array of no dimensions


@dataclass(frozen=True)
class Schedule:
    """A rate as a function of the step, which is called as one.

    Args: at: step → rate. base: the rate that it scales, where it does nothing but scale. follow: (rate, step) → rate,
        how torch goes on from another rate at the step before, where it looks at that.
    """

    at: Callable[[Any], Number]
    base: Number | None = None
    follow: Callable[[Number, Any], Number] | None = None

    def __call__(self, step: Any) -> Number:
        """The rate of a step, counted from 0."""
        return self.at(step)


def arithmetic(*values: Any) -> Any:
    """`jax.numpy` where one of the values is a JAX array, else `numpy`, whose floats have 64 bits."""
    return jnp if any(isinstance(value, jax.Array) for value in values) else np


def real(step: Any) -> Any:
    """A step as a number that may be divided."""
    return jnp.asarray(step, jnp.result_type(float)) if isinstance(step, jax.Array) else np.float64(step)
