"""One step of training as a pure function."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fnlearn.optim import clip_grad_norm, get_ema_avg_fn
from fnlearn.train.precision import NARROW, all_finite, cast
from fnlearn.train.state import TrainState

Metrics = dict[str, jax.Array]
Loss = Callable[[Any, Any, Any, jax.Array | None], tuple[jax.Array, tuple[Any, Metrics]]]
Step = Callable[[TrainState, Any], tuple[TrainState, Metrics]]
Policy = Callable[..., bool]


def make_step(
    loss_fn: Loss,
    optimizer: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    clip: float | None = None,
    ema: float | None = None,
    precision: str | None = None,
    remat: bool | Policy = False,
) -> Step:
    """A pure step: torch's zero_grad, forward, backward and optimizer.step in one function.

    Args: loss_fn: (params, buffers, batch, key) → (loss, (buffers, metrics)); key is None unless the state has one.
        optimizer: an optax transformation, such as `fnlearn.optim.sgd`. accumulate: into how many parts the batch is
        split along its first dimension; loss, metrics and gradients are their means, and only one part's activations
        are in memory. clip: the greatest norm of all gradients together. ema: the decay of `state.ema`, averages of the
        parameters that `TrainState.create(…, ema=True)` begins. precision: "bfloat16" or "float16", in which loss_fn
        is computed; parameters stay as they are. remat: whether activations are computed again for the gradient instead
        of being kept, or a policy of `jax.checkpoint_policies` that says which.
    Returns: step(state, batch) → (state, metrics), to be jitted or scanned; metrics holds "loss" and loss_fn's own;
        "grad_norm", before it is clipped, where there is a clip; "scale" and "skipped" where the state has a loss
        scale: then a step whose gradients are not all finite changes neither parameters nor the optimizer's state.
    Raises: ValueError for options out of their range; when traced, if loss_fn names one of its metrics as the step
        does, the batch can't be split, or the state lacks what ema or float16 needs.
    Source: the training loop of a PyTorch script; `torch.amp.GradScaler`.
    """
    _check(accumulate, clip, ema, precision)
    tx = optax.with_extra_args_support(optimizer)
    average = get_ema_avg_fn(ema or 0.0)
    computed = loss_fn if precision is None else _narrowed(loss_fn, precision)
    if remat:
        policy = None if remat is True else remat
        computed = jax.checkpoint(computed, policy=policy)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        _check_state(state, ema, precision)
        key = None if state.key is None else jax.random.fold_in(state.key, state.step)
        scale = None if state.loss_scale is None else state.loss_scale.scale
        gradients = partial(_gradients, computed, state.params, scale)
        loss, buffers, metrics, grads = (
            gradients(state.buffers, batch, key)
            if accumulate == 1
            else _accumulated(gradients, accumulate, state.buffers, batch, key)
        )
        own: Metrics = {"loss": loss}
        if clip is not None:
            grads, own["grad_norm"] = clip_grad_norm(grads, clip)
        updates, opt_state = tx.update(grads, state.opt_state, state.params, value=loss, grad=grads)
        params = optax.apply_updates(state.params, updates)
        averages = None if ema is None else jax.tree.map(lambda a, p: average(a, p, state.step), state.ema, params)
        after = state.replace(step=state.step + 1, params=params, buffers=buffers, opt_state=opt_state)
        after = after if ema is None else after.replace(ema=averages)
        if state.loss_scale is not None:
            finite = all_finite(grads)
            kept = [jax.tree.map(lambda new, old: jnp.where(finite, new, old), getattr(after, n), getattr(state, n))
                    for n in ("params", "opt_state", "ema")]  # fmt: skip
            after = after.replace(params=kept[0], opt_state=kept[1], ema=kept[2])
            after = after.replace(loss_scale=state.loss_scale.updated(finite))
            own |= {"scale": state.loss_scale.scale, "skipped": ~finite}
        if taken := sorted(own.keys() & metrics.keys()):
            raise ValueError(f"loss_fn must not name a metric {taken[0]!r}: the step reports it itself")
        return after, {**own, **metrics}

    return step


def _gradients(
    loss_fn: Loss, params: Any, scale: jax.Array | None, buffers: Any, batch: Any, key: jax.Array | None
) -> tuple[jax.Array, Any, Metrics, Any]:
    """The loss, the buffers afterwards, metrics and gradients; the loss is scaled while they are taken."""

    def scaled(params: Any) -> tuple[jax.Array, Any]:
        loss, (after, metrics) = loss_fn(params, buffers, batch, key)
        return loss if scale is None else loss * scale.astype(loss.dtype), (loss, after, metrics)

    grads, (loss, after, metrics) = jax.grad(scaled, has_aux=True)(params)
    if scale is not None:
        grads = jax.tree.map(lambda g: g / scale.astype(g.dtype), grads)
    return loss, after, metrics, grads


def _accumulated(
    gradients: Callable[..., tuple[jax.Array, Any, Metrics, Any]],
    parts: int,
    buffers: Any,
    batch: Any,
    key: jax.Array | None,
) -> tuple[jax.Array, Any, Metrics, Any]:
    """The means over the parts of a batch, one after the other; buffers go from each to the next."""
    shapes = [jnp.shape(x) for x in jax.tree.leaves(batch)]
    if any(not shape or shape[0] % parts for shape in shapes):
        raise ValueError(f"every array of the batch must have rows that make {parts} equal parts, got shapes {shapes}")
    split = jax.tree.map(lambda x: jnp.reshape(x, (parts, -1, *jnp.shape(x)[1:])), batch)

    def add(carried: Any, part: Any) -> tuple[Any, None]:
        buffers, sums = carried
        i, rows = part
        loss, after, metrics, grads = gradients(buffers, rows, None if key is None else jax.random.fold_in(key, i))
        return (after, jax.tree.map(lambda total, x: total + x / parts, sums, (loss, metrics, grads))), None

    first = jax.tree.map(lambda x: x[0], split)
    shape = jax.eval_shape(lambda: gradients(buffers, first, key))
    floats = lambda dtype: dtype if jnp.issubdtype(dtype, jnp.inexact) else jnp.float32  # noqa: E731
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, floats(x.dtype)), (shape[0], *shape[2:]))
    (after, (loss, metrics, grads)), _ = jax.lax.scan(add, (buffers, zeros), (jnp.arange(parts), split))
    return loss, after, metrics, grads


def _narrowed(loss_fn: Loss, precision: str) -> Loss:
    """The loss of parameters and data in a narrow dtype; a number of float32 comes back."""

    def narrow(params: Any, buffers: Any, batch: Any, key: jax.Array | None) -> tuple[jax.Array, tuple[Any, Metrics]]:
        loss, (after, metrics) = loss_fn(cast(params, precision), buffers, cast(batch, precision), key)
        kept = jax.tree.map(lambda new, old: jnp.asarray(new).astype(jnp.result_type(old)), after, buffers)
        return loss.astype(jnp.float32), (kept, cast(metrics, jnp.float32))

    return narrow


def _check(accumulate: int, clip: float | None, ema: float | None, precision: str | None) -> None:
    if accumulate < 1:
        raise ValueError(f"accumulate must be at least 1, got {accumulate}")
    if clip is not None and clip <= 0:
        raise ValueError(f"clip must be a positive norm, got {clip}")
    if ema is not None and not 0 <= ema < 1:
        raise ValueError(f"ema must be a decay from 0 to below 1, got {ema}")
    if precision is not None and precision not in NARROW:
        raise ValueError(f"precision must be one of {', '.join(NARROW)} or None, got {precision!r}")


def _check_state(state: TrainState, ema: float | None, precision: str | None) -> None:
    if ema is not None and state.ema is None:
        raise ValueError("ema needs averages in the state: TrainState.create(…, ema=True)")
    if precision == "float16" and state.loss_scale is None:
        raise ValueError(
            "float16 gradients are lost without a loss scale: TrainState.create(…, loss_scale=LossScale.create())"
        )
