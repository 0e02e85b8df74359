import jax.numpy as jnp

import fnlearn.functional as F


def vae(params, x, noise):  # gallery.vae.torch_model.VAE
    h = F.relu(F.linear(x.reshape(x.shape[0], -1), **params["fc1"]))
    mean = F.linear(h, **params["mean"])
    logvar = F.linear(h, **params["logvar"])
    std = jnp.exp(0.5 * logvar)
    z = mean + noise * std  # the same as a draw from N(mean, std²)
    return F.sigmoid(F.linear(F.relu(F.linear(z, **params["fc3"])), **params["fc4"])), mean, logvar


def apply(params, buffers, x, noise, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return vae(params, x, noise), buffers
