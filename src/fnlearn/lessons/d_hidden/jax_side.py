"""Lesson D in JAX: an 8-6-4-1 network of sigmoids from torch's seed, on the Pima diabetes table."""

from functools import cache

import jax
import jax.numpy as jnp

import fnlearn.functional as F
from fnlearn import nn, optim, random, tree
from fnlearn.lessons.d_hidden import pima
from fnlearn.train import TrainState, fit, make_step

SEED = 0


def Net():
    def forward(net, x):
        x = F.sigmoid(net.linear1(x))
        x = F.sigmoid(net.linear2(x))
        return F.sigmoid(net.linear3(x))

    return nn.compose(forward, linear1=nn.Linear(8, 6), linear2=nn.Linear(6, 4), linear3=nn.Linear(4, 1))


def start(dtype="float32"):
    """The parameters as torch's seed draws them, nothing copied: in float32, whatever they are trained in."""
    params, _ = Net().init(random.TorchGenerator(SEED))
    return jax.tree.map(lambda param: param.astype(dtype), params)


def loss(params, buffers, batch, key):
    x, y = batch
    prediction, buffers = Net().apply(params, buffers, x, train=True, key=key)
    return F.binary_cross_entropy(prediction, y), (buffers, {})


def accuracy(params, x, y):
    prediction, _ = Net().apply(params, {}, x)
    return ((prediction > 0.5) == (y > 0.5)).astype(x.dtype).mean()


def train(table, epochs, batch_size, lr, dtype="float32"):
    """The loss of every step, the accuracy on the test rows, and the weights."""
    x, y, x_test, y_test = (jnp.asarray(part, dtype) for part in table)
    optimizer, step = training(lr)
    state = TrainState.create(start(dtype), optimizer)
    state, history = fit(state, step, (x, y), epochs=epochs, batch_size=batch_size)
    flat = tree.flatten(state.params)
    return {"loss": history["loss"].ravel(), "test accuracy": accuracy(state.params, x_test, y_test), **flat}


def main():
    result = train(pima.load(), epochs=100, batch_size=32, lr=0.1)
    print("loss", float(result["loss"][-1]), "test accuracy", float(result["test accuracy"]))


@cache
def training(lr):
    """The same step for the same rate, so that it is compiled once."""
    optimizer = optim.sgd(lr)
    return optimizer, make_step(loss, optimizer)


if __name__ == "__main__":
    main()
