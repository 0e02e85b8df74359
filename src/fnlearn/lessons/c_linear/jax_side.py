"""Lesson C in JAX: one linear layer, summed squared error, SGD."""

import jax
import jax.numpy as jnp

import fnlearn.functional as F
from fnlearn import nn, optim
from fnlearn.train import TrainState, fit, make_step

X, Y = [[1.0], [2.0], [3.0]], [[2.0], [4.0], [6.0]]


def net(initial, dtype="float32"):
    """The parameters of Linear(1, 1), with a bias if the initial weights have one."""
    return {name: jnp.array(value, dtype) for name, value in initial.items()}


def loss(params, buffers, batch, key):
    x, y = batch
    return F.mse_loss(F.linear(x, **params), y, reduction="sum"), (buffers, {})


def train(initial, epochs, dtype="float32"):
    """The weights, the prediction for 4.0, and every epoch's loss."""
    state = TrainState.create(net(initial, dtype), optimizer)
    state, history = fit(state, step, (jnp.array(X, dtype), jnp.array(Y, dtype)), epochs=epochs)
    prediction = F.linear(jnp.array([[4.0]], dtype), **state.params)
    return {**state.params, "prediction for 4": prediction, "loss": history["loss"].ravel()}


def shapes(in_features, out_features, rows=3):
    """The notes' table: what goes into Linear(in, out), what it holds, and what comes out."""
    layer = nn.Linear(in_features, out_features)
    params, buffers = layer.init(jax.random.key(0))
    x = jnp.ones((rows, in_features), "float32")
    y, _ = layer.apply(params, buffers, x)
    return {"x": x.shape, "weight": params["weight"].shape, "bias": params["bias"].shape, "y": y.shape}


def main():
    for epochs in (100, 1000):
        print(epochs, train({"weight": [[0.5]], "bias": [0.0]}, epochs)["prediction for 4"])
    print(shapes(8, 6))


optimizer = optim.sgd(lr=0.01)
step = make_step(loss, optimizer)

if __name__ == "__main__":
    main()
