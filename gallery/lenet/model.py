import jax.numpy as jnp

import fnlearn.functional as F


def le_net(params, x):  # gallery.lenet.torch_model.LeNet
    x = F.max_pool2d(jnp.tanh(F.conv2d(x, **params["conv1"], padding=2)), 2)
    x = F.max_pool2d(jnp.tanh(F.conv2d(x, **params["conv2"])), 2)
    x = x.reshape(x.shape[0], -1)
    x = jnp.tanh(F.linear(x, **params["fc1"]))
    x = jnp.tanh(F.linear(x, **params["fc2"]))
    return F.linear(x, **params["fc3"])


def apply(params, buffers, x, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    if x.shape[1] != 1:
        raise ValueError(f"the model was ported for x.shape[1] == 1, got {x.shape[1]}")
    return le_net(params, x), buffers
