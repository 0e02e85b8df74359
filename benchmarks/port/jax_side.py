"""The ported model's own training step, as `fnlearn port` writes it."""

from typing import Any

import jax
import jax.numpy as jnp
import torch

from benchmarks.harness import Run
from benchmarks.port.models import Row
from benchmarks.port.torch_side import LR
from fnlearn import port
from fnlearn.tree import as_numpy


def ported(row: Row, **options: Any) -> tuple[port.Port, Any, Any]:
    """The port, its inputs and targets."""
    module, inputs, targets = row.make()
    optimizer = torch.optim.SGD(module.parameters(), lr=LR)
    made = port.convert(module, inputs, loss=row.loss, targets=targets, optimizer=optimizer, **options)
    given = jax.tree.map(lambda x: jnp.asarray(as_numpy(x)), (inputs, targets))
    return made, *given


def fnlearn(row: Row) -> Run:
    made, inputs, targets = ported(row)
    assert made.training is not None
    step, key = made.training.module.step, jax.random.key(0)
    start = made.params, made.buffers, made.training.opt_state

    def run(steps: int) -> Any:
        state, losses = jax.tree.map(jnp.array, start), []
        for _ in range(steps):
            *state, value = step(*state, inputs, targets, key)
            losses.append(value)
        return jnp.stack(losses)

    return run
