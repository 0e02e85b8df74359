"""Training in narrow numbers: parameters stay float32, what is computed with them does not have to.

bfloat16 has float32's range and needs nothing else. float16 has not: small gradients are lost and large ones overflow,
so the loss is scaled up before they are taken, by as much as goes well.
"""

from typing import Any, Self

import jax
import jax.numpy as jnp
from flax import struct

NARROW = ("bfloat16", "float16")


class LossScale(struct.PyTreeNode):
    """By what a loss is multiplied, and how that changes: `torch.amp.GradScaler` as plain data.

    Args: scale: the factor. good: steps without overflow since it last changed. growth_factor, backoff_factor: by what
        it grows after growth_interval good steps, and shrinks after an overflow, whose step is skipped.
    Source: `torch.amp.GradScaler`.
    """

    scale: jax.Array
    good: jax.Array
    growth_factor: float = struct.field(pytree_node=False, default=2.0)
    backoff_factor: float = struct.field(pytree_node=False, default=0.5)
    growth_interval: int = struct.field(pytree_node=False, default=2000)

    @classmethod
    def create(
        cls,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> Self:
        """The scale before the first step, with torch's defaults.

        Args: as for the class; init_scale: the first factor.
        Returns: a scale.
        Raises: ValueError when the factors are not on both sides of 1, or growth_interval is below 1.
        Source: `torch.amp.GradScaler.__init__`.
        """
        if not (growth_factor > 1 > backoff_factor > 0) or growth_interval < 1:
            raise ValueError(
                "growth_factor must be above 1, backoff_factor between 0 and 1 and growth_interval at least 1, got "
                f"{growth_factor}, {backoff_factor}, {growth_interval}"
            )
        start = jnp.asarray(init_scale, jnp.float32), jnp.zeros((), jnp.int32)
        return cls(*start, growth_factor, backoff_factor, growth_interval)

    def updated(self, finite: jax.Array) -> Self:
        """The scale after a step.

        Args: finite: whether all gradients were.
        Returns: the next scale; it does not grow beyond float32.
        Source: ATen `_amp_update_scale_`.
        """
        good = jnp.where(finite, self.good + 1, 0)
        grown = self.scale * self.growth_factor
        grows = finite & (good == self.growth_interval)
        scale = jnp.where(grows & jnp.isfinite(grown), grown, self.scale)
        scale = jnp.where(finite, scale, self.scale * self.backoff_factor)
        return self.replace(scale=scale, good=jnp.where(grows, 0, good))


def cast(values: Any, dtype: Any) -> Any:
    """A tree with its floating-point numbers in another dtype."""
    return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x, values)


def all_finite(values: Any) -> jax.Array:
    """Whether every number of a tree is finite."""
    return jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(values)]).all()
