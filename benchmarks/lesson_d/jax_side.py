"""Lesson D in JAX: the twin's step, and `fnlearn.train.fit`."""

import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Run
from fnlearn.lessons.d_hidden import pima
from fnlearn.lessons.d_hidden.jax_side import start, training
from fnlearn.train import TrainState, fit

LR = 0.1


def fnlearn(batch_size: int | None) -> Run:
    optimizer, step = training(LR)
    params, data = start(), tuple(jnp.asarray(part, "float32") for part in pima.load()[:2])

    def run(epochs: int) -> np.ndarray:
        state = TrainState.create(params, optimizer)
        _, history = fit(state, step, data, epochs=epochs, batch_size=batch_size)
        return history["loss"].ravel()

    return run
