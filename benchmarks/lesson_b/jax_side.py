"""Lesson B in JAX: the twin as it is, weights and gradients of every step included."""

import jax

from benchmarks.harness import Run
from fnlearn.lessons.b_by_hand import jax_side

START, LR = 1.0, 0.01


def fnlearn() -> Run:
    def run(epochs: int) -> jax.Array:
        return jax_side.train(START, epochs, LR)["loss"]

    return run
