"""What a training run carries from one step to the next."""

from typing import Any, Self

import jax
import jax.numpy as jnp
import optax
from flax import struct

from fnlearn.train.precision import LossScale


class TrainState(struct.PyTreeNode):
    """All that a step reads and writes, as one tree of arrays.

    Args: step: how many steps were taken. params, buffers: a layer's. opt_state: the optimizer's. key: what each step's
        randomness is derived from, or None where nothing is random. ema: averages of the parameters, or None.
        loss_scale: by what the loss is scaled, or None.
    Source: `flax.training.train_state`, with buffers and without functions.
    """

    step: jax.Array
    params: Any
    buffers: Any
    opt_state: optax.OptState
    key: jax.Array | None = None
    ema: Any = None
    loss_scale: LossScale | None = None

    @classmethod
    def create(
        cls,
        params: Any,
        optimizer: optax.GradientTransformation,
        buffers: Any = None,
        key: jax.Array | None = None,
        *,
        ema: bool = False,
        loss_scale: LossScale | None = None,
    ) -> Self:
        """The state before the first step; it owns copies of all arrays, since `fit` donates them.

        Args: params, buffers: a layer's. optimizer: an optax transformation. key: a typed key, where steps are random.
            ema: whether averages of the parameters are kept; they begin with the parameters. loss_scale: for float16.
        Returns: a state with step 0 and a fresh optimizer state.
        Source: `torch.optim.Optimizer.__init__`.
        """
        params, buffers = jax.tree.map(jnp.array, (params, {} if buffers is None else buffers))
        averages = jax.tree.map(jnp.array, params) if ema else None
        scale = jax.tree.map(jnp.array, loss_scale)
        return cls(jnp.zeros((), jnp.int32), params, buffers, optimizer.init(params), key, averages, scale)


def copied(state: Any) -> Any:
    """A state that stays when the one given is donated."""
    return jax.tree.map(lambda x: x.copy(), state)
