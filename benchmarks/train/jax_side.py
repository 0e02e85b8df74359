"""Training in fnlearn: a jitted step whose state's memory is taken over, and whole epochs in one call."""

from typing import Any

import jax
import jax.numpy as jnp

import fnlearn.functional as F
from benchmarks.harness import Run
from benchmarks.train.models import LR, MAKE, MOMENTUM, Row, batch, numbers, table, weights
from fnlearn import nn, optim, tree
from fnlearn.bench.jax_side import KIT
from fnlearn.bench.models import notes
from fnlearn.train import TrainState, fit, make_step

OPTIMIZER = optim.sgd(LR, MOMENTUM)


def fnlearn(row: Row) -> Run:
    step, given = prepared(row)
    jitted = jax.jit(step, donate_argnums=0)

    def run(steps: int) -> jax.Array:
        state, losses = begin(weights(row)), []
        for _ in range(steps):
            state, metrics = jitted(state, given)
            losses.append(metrics["loss"])
        return jnp.stack(losses)

    return run


def prepared(row: Row) -> tuple[Any, Any]:
    """The step and its batch."""
    layer = MAKE[row.kind](KIT, **row.size)

    def loss_fn(params: Any, buffers: Any, given: Any, key: Any) -> Any:
        out, buffers = layer.apply(params, buffers, given[0], train=True)
        return F.cross_entropy(out.reshape(-1, out.shape[-1]), given[1]), (buffers, {})

    return make_step(loss_fn, OPTIMIZER), jax.tree.map(jnp.asarray, batch(row))


def begin(first: dict[str, Any]) -> TrainState:
    """The state before the first step."""
    return TrainState.create(tree.unflatten(first), OPTIMIZER)


def _notes() -> tuple[nn.Layer, Any]:
    layer = notes(KIT)

    def loss_fn(params: Any, buffers: Any, given: Any, key: Any) -> Any:
        out, buffers = layer.apply(params, buffers, given[0], train=True)
        return F.binary_cross_entropy(out, given[1]), (buffers, {})

    return layer, make_step(loss_fn, OPTIMIZER)


def fit_epochs() -> Run:
    _, step = _notes()
    data = jax.tree.map(jnp.asarray, table())

    def run(count: int) -> Any:
        _, history = fit(begin(numbers(notes)), step, data, epochs=count, batch_size=32)
        return history["loss"].reshape(-1)

    return run


def loop() -> Run:
    _, step = _notes()
    jitted = jax.jit(step, donate_argnums=0)
    x, y = map(jnp.asarray, table())
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, len(x), 32)]

    def run(count: int) -> jax.Array:
        state, losses = begin(numbers(notes)), []
        for _ in range(count):
            for given in batches:
                state, metrics = jitted(state, given)
                losses.append(metrics["loss"])
        return jnp.stack(losses)

    return run
