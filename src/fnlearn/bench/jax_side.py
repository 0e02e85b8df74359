"""A training step of fnlearn: the model's layers, `make_step`, AdamW, jitted with the state's memory taken over."""

import math
import time
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

import fnlearn.functional as F
from fnlearn import nn, optim, tree
from fnlearn.bench.case import LR, Case, Result, Step, batch, model_of, start
from fnlearn.bench.models import Kit
from fnlearn.train import LossScale, TrainState, device, make_step

KIT = Kit(
    nn=nn,
    F=F,
    compose=nn.compose,
    parameter=lambda shape: nn.Parameter(lambda key: nn.init.zeros(shape)),
    join=jnp.concatenate,
)


def threads() -> tuple[int, ...]:
    """The numbers of threads to try; XLA's is fixed when it starts, and told as 0."""
    return (0,)


def prepare(case: Case, threads: int = 0) -> tuple[Step, Result]:
    """The step, and what is known of it before it runs.

    Args: case: what to compute. threads: not used.
    Returns: the step; and parameters, seconds to compile, bytes of the device, operations.
    Raises: what XLA raises, such as RESOURCE_EXHAUSTED where memory does not suffice.
    """
    model, size = model_of(case)
    layer = model.make(KIT, **size)

    def loss_fn(params: Any, buffers: Any, given: Any, key: Any) -> Any:
        x, target = given
        out, buffers = layer.apply(params, buffers, x, train=True)
        target = target.astype(jnp.float32) if jnp.issubdtype(target.dtype, jnp.inexact) else target
        return model.loss(KIT, out.astype(jnp.float32), target), (buffers, {})

    optimizer = optim.adamw(LR)
    step = make_step(loss_fn, optimizer, precision=None if case.dtype == "float32" else case.dtype)
    params, buffers = _start(case.model, case.scale)
    scale = LossScale.create() if case.dtype == "float16" else None
    state = TrainState.create(params, optimizer, buffers, loss_scale=scale)
    given = jax.tree.map(jnp.asarray, batch(case))
    begin = time.perf_counter()
    compiled = jax.jit(step, donate_argnums=0).lower(state, given).compile()
    seconds = time.perf_counter() - begin
    carried = [state]

    def run() -> Any:
        carried[0], metrics = compiled(carried[0], given)
        return metrics["loss"]

    numbers = sum(math.prod(x.shape) for x in jax.tree.leaves(params))
    told = {"parameters": numbers, "compile_seconds": seconds, "memory_bytes": _memory(compiled)}
    return run, told | {"flops": device.product_flops(step, state, given)}


def wait(loss: Any) -> float:
    """The loss when it is there."""
    return float(loss)


def describe() -> Result:
    """The machine, as far as JAX sees it."""
    first = jax.devices()[0]
    return {"platform": first.platform, "device": first.device_kind, "devices": jax.device_count(),
            "jax": jax.__version__}  # fmt: skip


def afterwards(case: Case, found: Result) -> Result:
    """The share of the device's peak; None where the peak is not known."""
    return {"mfu": device.mfu(found["flops"], found["seconds"]["median"], dtype=case.dtype)}


@cache
def _start(name: str, scale: str) -> tuple[Any, Any]:
    model, size = model_of(Case(name, scale, 1, "float32"))
    layer = model.make(KIT, **size)
    drawn = lambda shapes: tree.unflatten(  # noqa: E731
        {name: start(name, x.shape) for name, x in tree.flatten(shapes).items()}
    )
    params, _ = jax.eval_shape(layer.init, jax.random.key(0))
    _, buffers = jax.jit(lambda key: (None, layer.init(key)[1]))(jax.random.key(0))
    return drawn(params), buffers


def _memory(compiled: Any) -> int | None:
    """What one device holds while the step runs: arguments, results that don't take their place, and temporaries."""
    found = compiled.memory_analysis()
    if found is None:
        return None
    kept = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return int(kept + found.temp_size_in_bytes)
