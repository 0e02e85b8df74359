"""An operation by fnlearn, jitted: its value, and its value with the gradients that `torch_side` forms.

Every array is an argument of the compiled function; XLA would compute with constants when it compiles.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnlearn.functional as F
from benchmarks.harness import Run
from benchmarks.ops import argument
from benchmarks.ops.table import Op

Arrays = list[jax.Array]


def forward(op: Op) -> Run:
    call, floats, others = traceable(op)
    return _repeated(jax.jit(call), floats, others)


def gradient(op: Op) -> Run:
    call, floats, others = traceable(op)
    seeds = argument.cotangents([out.shape for out in jax.eval_shape(call, floats, others)])

    @jax.jit
    def work(floats: Arrays, others: Arrays, cotangents: Arrays) -> Arrays:
        outs, pullback = jax.vjp(lambda floats: call(floats, others), floats)
        (gradients,) = pullback(cotangents)
        return outs + gradients

    return _repeated(work, floats, others, [jnp.asarray(seed) for seed in seeds])


def traceable(op: Op) -> tuple[Callable[[Arrays, Arrays], Arrays], Arrays, Arrays]:
    """The operation as a function of the arrays that are differentiated and of the others, and both."""
    function = getattr(F, op.function, None) or getattr(jnp, op.function)
    drawn = argument.draw((op.args, op.options))
    leaves, form = jax.tree.flatten(drawn)
    positional = len(jax.tree.leaves(drawn[0]))
    floats = [i for i, x in enumerate(leaves[:positional]) if argument.is_float(x)]
    others = [i for i, x in enumerate(leaves) if isinstance(x, np.ndarray) and i not in floats]
    random = [jax.random.key(0)] if op.random else []

    def call(given: Arrays, rest: Arrays) -> Arrays:
        filled: list[Any] = list(leaves)
        for place, x in zip(floats + others, given + rest[: len(others)], strict=True):
            filled[place] = x
        args, options = jax.tree.unflatten(form, filled)
        return jax.tree.leaves(function(*args, **options, **({"key": rest[-1]} if op.random else {})))

    return call, [jnp.asarray(leaves[i]) for i in floats], [*(jnp.asarray(leaves[i]) for i in others), *random]


def _repeated(compiled: Callable[..., Arrays], *arguments: Arrays) -> Run:
    """One call after the other, each awaited: the time until a result is there, not how many can be under way."""

    def run(count: int) -> Arrays:
        for _ in range(count):
            outs = jax.block_until_ready(compiled(*arguments))
        return outs

    return run
