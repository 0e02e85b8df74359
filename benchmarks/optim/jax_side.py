"""An update of all parameters in one jitted call that takes over their memory: `fnlearn.optim` and plain optax."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.harness import Run
from benchmarks.optim import table
from benchmarks.optim.table import Row
from fnlearn import optim

# as it comes, and with options of XLA's for the CPU: one saves copies of what is overwritten in place, the other takes
# one array after the other, which saves more of them
IN_PLACE = {"xla_cpu_copy_insertion_use_region_analysis": True}
ONE_BY_ONE = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
FORMS: dict[str, dict[str, Any]] = {"jit": {}, "in place": IN_PLACE, "in place, one by one": IN_PLACE | ONE_BY_ONE}


def fnlearn(row: Row, form: str) -> Run:
    return _run(row, getattr(optim, row.name.partition("_")[0])(**row.options), form)


def plain_optax(row: Row, form: str) -> Run:
    assert row.optax is not None
    name, options = row.optax
    room, _, last = name.rpartition(".")
    return _run(row, getattr(getattr(optax, room) if room else optax, last)(**options), form)


def _run(row: Row, optimizer: Any, form: str) -> Run:
    if FORMS[form] and jax.default_backend() != "cpu":
        raise ValueError(f"its options are for a CPU, not for {jax.default_backend()}")

    def update(params: Any, state: Any, gradients: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(update, donate_argnums=(0, 1), compiler_options=FORMS[form])
    gradients = [jnp.asarray(g) for g in table.gradients(row)]

    def fresh() -> tuple[Any, Any]:
        params = [jnp.array(x) for x in table.start(row)]
        return params, optimizer.init(params)

    kept = fresh()

    def run(count: int) -> Any:
        nonlocal kept
        now = fresh() if count == table.COMPARED else kept
        for _ in range(count):
            now = compiled(*now, gradients)
        if count != table.COMPARED:
            kept = now
        return now[0]

    return run
