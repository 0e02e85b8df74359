"""Lesson C in JAX: the twin's step, and `fnlearn.train.fit`."""

import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Run
from fnlearn.lessons.c_linear.jax_side import X, Y, optimizer, start, step
from fnlearn.train import TrainState, fit


def fnlearn() -> Run:
    params, data = start(), (jnp.array(X, "float32"), jnp.array(Y, "float32"))

    def run(epochs: int) -> np.ndarray:
        _, history = fit(TrainState.create(params, optimizer), step, data, epochs=epochs)
        return history["loss"].ravel()

    return run
