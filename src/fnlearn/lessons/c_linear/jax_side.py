"""Lesson C in JAX: one linear layer from torch's seed, summed squared error, SGD."""

import jax
import jax.numpy as jnp

import fnlearn.functional as F
from fnlearn import nn, optim, random
from fnlearn.train import TrainState, fit, make_step

SEED = 0
X, Y = [[1.0], [2.0], [3.0]], [[2.0], [4.0], [6.0]]


def start(bias=True, dtype="float32"):
    """Linear(1, 1)'s parameters as torch's seed draws them, none copied: in float32, whatever they are trained in."""
    params, _ = nn.Linear(1, 1, bias=bias).init(random.TorchGenerator(SEED))
    return jax.tree.map(lambda param: param.astype(dtype), params)


def loss(params, buffers, batch, key):
    x, y = batch
    return F.mse_loss(F.linear(x, **params), y, reduction="sum"), (buffers, {})


def train(epochs, bias=True, dtype="float32"):
    """The weights, the prediction for 4.0, and every epoch's loss."""
    state = TrainState.create(start(bias, dtype), optimizer)
    state, history = fit(state, step, (jnp.array(X, dtype), jnp.array(Y, dtype)), epochs=epochs)
    prediction = F.linear(jnp.array([[4.0]], dtype), **state.params)
    return {**state.params, "prediction for 4": prediction, "loss": history["loss"].ravel()}


def shapes(in_features, out_features, rows=3):
    """The notes' table: what goes into Linear(in, out), what it holds, and what comes out."""
    layer = nn.Linear(in_features, out_features)
    params, buffers = layer.init(random.TorchGenerator(SEED))
    x = jnp.ones((rows, in_features), "float32")
    y, _ = layer.apply(params, buffers, x)
    return {"x": x.shape, "weight": params["weight"].shape, "bias": params["bias"].shape, "y": y.shape}


def main():
    for epochs in (100, 1000):
        print(epochs, train(epochs)["prediction for 4"])
    print(shapes(8, 6))


optimizer = optim.sgd(lr=0.01)
step = make_step(loss, optimizer)

if __name__ == "__main__":
    main()
