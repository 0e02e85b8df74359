"""One step of training as a pure function."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from fnlearn.train.state import TrainState

Loss = Callable[[Any, Any, Any, jax.Array | None], tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]]
Step = Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]


def make_step(loss_fn: Loss, optimizer: optax.GradientTransformation) -> Step:
    """A pure step: torch's zero_grad, forward, backward and optimizer.step in one function.

    Args: loss_fn: (params, buffers, batch, key) → (loss, (buffers, metrics)); key is None unless the state has one.
        optimizer: an optax transformation, such as `fnlearn.optim.sgd`.
    Returns: step(state, batch) → (state, metrics), to be jitted or scanned; metrics holds "loss" and loss_fn's own.
    Raises: ValueError, when traced, if loss_fn names one of its metrics "loss".
    Source: the training loop of a PyTorch script.
    """
    tx = optax.with_extra_args_support(optimizer)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        key = None if state.key is None else jax.random.fold_in(state.key, state.step)
        value_and_grad = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, (buffers, metrics)), grads = value_and_grad(state.params, state.buffers, batch, key)
        if "loss" in metrics:
            raise ValueError("loss_fn must not name a metric 'loss': the step reports the loss itself")
        updates, opt_state = tx.update(grads, state.opt_state, state.params, value=loss, grad=grads)
        params = optax.apply_updates(state.params, updates)
        after = state.replace(step=state.step + 1, params=params, buffers=buffers, opt_state=opt_state)
        return after, {"loss": loss, **metrics}

    return step
