"""Lesson B in JAX: fit y = w * x by hand, one sample at a time."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

X, Y = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]


def model(w, x):
    return w * x


def loss(w, x, y):
    return (model(w, x) - y) ** 2


@partial(jax.jit, static_argnames=("epochs", "dtype"))
def train(w, epochs, lr=0.01, dtype="float32"):
    """Every weight and gradient (a step each), and every epoch's last loss."""

    def step(w, sample):
        value, gradient = jax.value_and_grad(loss)(w, *sample)
        w = w - jnp.asarray(lr, dtype) * gradient
        return w, (w, gradient, value)

    def epoch(w, _):
        return lax.scan(step, w, (jnp.array(X, dtype), jnp.array(Y, dtype)))

    _, (weights, gradients, losses) = lax.scan(epoch, jnp.asarray(w, dtype), length=epochs)
    return {"w": weights.ravel(), "gradient": gradients.ravel(), "loss": losses[:, -1]}


def main():
    history = train(1.0, epochs=1000)
    print("w =", float(history["w"][-1]), " f(4) =", float(model(history["w"][-1], 4.0)))


if __name__ == "__main__":
    main()
