"""Averages of the parameters over training: exponential ones, and plain ones (SWA)."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.optim.grouping import named_leaves

Average = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
STATISTICS = {"running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0}  # and what they are at the start


class AveragedState(NamedTuple):
    """Args: n_averaged: how many parameters were averaged. params: their average."""

    n_averaged: jax.Array
    params: Any


class Averaging(NamedTuple):
    """Args: init: params → state. update: (state, params) → state."""

    init: Callable[[Any], AveragedState]
    update: Callable[[AveragedState, Any], AveragedState]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential average, decay · average + (1 − decay) · parameter.

    Torch: `torch.optim.swa_utils.get_ema_avg_fn`.
    Shape: two arrays and a number → an array.
    Args: decay: 0 to 1.
    Raises: ValueError when decay is out of range.
    Differs: nothing.
    Source: Polyak, Juditsky: Acceleration of Stochastic Approximation by Averaging (1992).
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay must be between 0 and 1, got {decay}")
    return lambda average, p, count: decay * average + (1 - decay) * p


def get_swa_avg_fn() -> Average:
    """The average of all, average + (parameter − average) / (n + 1).

    Torch: `torch.optim.swa_utils.get_swa_avg_fn`.
    Shape: two arrays and a number → an array.
    Args: none.
    Raises: nothing.
    Differs: nothing.
    Source: Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization (2018).
    """
    return lambda average, p, count: average + (p - average) / (count + 1)


def averaged_model(avg_fn: Average | None = None) -> Averaging:
    """Averages of parameters, beside an optimizer; the first ones are taken as they are.

    Torch: `torch.optim.swa_utils.AveragedModel`.
    Shape: any tree of arrays.
    Args: avg_fn: (average, parameter, n averaged so far) → average, in float32 or float64; `get_swa_avg_fn()` if None.
    Raises: nothing.
    Differs: it averages the tree that it is given, so that buffers are averaged where they are in it, torch's
        use_buffers, and else taken as they are.
    Source: Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization (2018).
    """
    average = avg_fn or get_swa_avg_fn()

    def init(params: Any) -> AveragedState:
        return AveragedState(jnp.zeros((), jnp.int32), jax.tree.map(jnp.asarray, params))

    def update(state: AveragedState, params: Any) -> AveragedState:
        def renewed(old: jax.Array, p: jax.Array) -> jax.Array:
            wide = jnp.float64 if p.dtype in (jnp.float64, jnp.complex128) else jnp.float32
            dtype = p.dtype if jnp.iscomplexobj(p) else wide
            new = average(old.astype(dtype), p.astype(dtype), state.n_averaged.astype(wide))
            return jnp.where(state.n_averaged == 0, p, new.astype(p.dtype))

        return AveragedState(state.n_averaged + 1, jax.tree.map(renewed, state.params, params))

    return Averaging(init, update)


def update_bn(apply: Callable[..., tuple[Any, Any]], params: Any, buffers: Any, batches: Iterable[Any]) -> Any:
    """The buffers with the batch norms' running statistics those of some batches, for averaged parameters.

    Torch: `torch.optim.swa_utils.update_bn`.
    Shape: trees of arrays → a tree like buffers.
    Args: apply: of the model, built with momentum=None in its batch norms, which then average over all batches. params:
        such as an average. buffers: the model's. batches: inputs; of a tuple or list the first is taken.
    Raises: ValueError when the batch norms weigh batches by a momentum.
    Differs: torch changes the momentum of a built model; a layer here can't be changed, so it is built anew. Instance
        norms' statistics are taken too.
    Source: Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization (2018).
    """
    if not any(name.rpartition(".")[2] in STATISTICS for name, _ in named_leaves(buffers)):
        return buffers
    fresh, first = _restarted(buffers, 0), True
    for batch in batches:
        x = batch[0] if isinstance(batch, tuple | list) else batch
        after = apply(params, fresh, x, train=True)[1]
        if first:
            _refuse_momentum(after, apply(params, _restarted(buffers, 1), x, train=True)[1])
        fresh, first = after, False
    return fresh


def _restarted(buffers: Any, shift: float) -> Any:
    """Statistics as they start, or somewhere else: what averages over all batches forgets that."""

    def restart(path: Any, x: jax.Array) -> jax.Array:
        name = jax.tree_util.keystr(path[-1:], simple=True)
        if name not in STATISTICS:
            return x
        return jnp.full_like(x, STATISTICS[name] + (0 if name == "num_batches_tracked" else shift))

    return jax.tree_util.tree_map_with_path(restart, buffers)


def _refuse_momentum(one: Any, other: Any) -> None:
    pairs = zip(named_leaves(one), jax.tree.leaves(other), strict=True)
    kept = [name for (name, a), b in pairs if not np.allclose(a, b, rtol=1e-3, atol=1e-3)]
    if kept:
        raise ValueError(f"batch norms must be built with momentum=None to average over batches; not so {kept[0]}")
