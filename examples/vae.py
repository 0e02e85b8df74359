"""A variational autoencoder on scikit-learn's digits, in plain functions of parameters; it draws new digits at the end.

Run `python examples/vae.py --epochs 100`.

The twin in PyTorch is vae_torch.py; both start from the same weights, those of `torch.manual_seed(seed)`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fnlearn import functional as F
from fnlearn import nn, optim, random, train

LR, BATCH = 1e-3, 64
PIXELS, HIDDEN, LATENT = 64, 256, 8
INK = " .:-=+*#%@"  # from 0 to 1


def load():
    """Images (N, 64) from 0 to 1: 1437 to learn from, 360 to be tested on, the same rows as digits_cnn.py has."""
    digits = load_digits()
    x = (digits.data / 16).astype("float32")
    return train_test_split(x, test_size=360, stratify=digits.target, random_state=0)


def init(key):
    """The parameters, from a JAX key or a `TorchGenerator`."""
    layers = {
        "fc1": nn.Linear(PIXELS, HIDDEN),
        "mean": nn.Linear(HIDDEN, LATENT),
        "logvar": nn.Linear(HIDDEN, LATENT),
        "fc3": nn.Linear(LATENT, HIDDEN),
        "fc4": nn.Linear(HIDDEN, PIXELS),
    }
    return {name: layer.init(random.named(key, name))[0] for name, layer in layers.items()}


def encode(params, x):
    h = F.relu(F.linear(x, **params["fc1"]))
    return F.linear(h, **params["mean"]), F.linear(h, **params["logvar"])


def decode(params, z):
    return F.linear(F.relu(F.linear(z, **params["fc3"])), **params["fc4"])  # logits of ink


def vae(params, x, key):
    mean, logvar = encode(params, x)
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    return decode(params, mean + jnp.exp(0.5 * logvar) * noise), mean, logvar


def negative_elbo(out, x):
    """How many nats an image costs at most: of its ink given z, and of z beyond what N(0, 1) gives away."""
    logits, mean, logvar = out
    ink = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = -0.5 * jnp.sum(1 + logvar - mean**2 - jnp.exp(logvar))
    return (ink + kl) / len(x)


def loss_fn(params, buffers, x, key):
    return negative_elbo(vae(params, x, key), x), (buffers, {})


def new(params, key, count=6):
    """Images (count, 64) that are decoded from N(0, 1)."""
    return F.sigmoid(decode(params, jax.random.normal(key, (count, LATENT))))


def drawing(images):
    """Images (N, 64) beside each other, as text."""
    shades = np.round(np.asarray(images) * (len(INK) - 1)).astype(int).reshape(-1, 8, 8)
    return "\n".join("  ".join("".join(INK[s] * 2 for s in row) for row in rows) for rows in shades.swapaxes(0, 1))


def main(epochs: int = 100, seed: int = 0) -> float:
    """Train, draw, and return the loss on the images that were kept apart.

    Args:
        epochs: how often every image is seen.
        seed: of the weights, the order of the images and what is drawn.
    """
    x, x_test = load()
    optimizer = optim.adam(lr=LR)
    key, order, noise, latent = jax.random.split(jax.random.key(seed), 4)
    state = train.TrainState.create(init(random.TorchGenerator(seed)), optimizer, key=key)
    step = train.make_step(loss_fn, optimizer)
    state, history = train.fit(state, step, x, epochs=epochs, batch_size=BATCH, shuffle=order, progress=True)

    loss = float(jax.jit(loss_fn)(state.params, {}, x_test, noise)[0])
    pixels = x.mean(0).clip(1e-6, 1 - 1e-6)  # what is known without any model
    without = -(x_test * np.log(pixels) + (1 - x_test) * np.log(1 - pixels)).sum(1).mean()
    print(f"loss {history['loss'][0].mean():.2f} → {history['loss'][-1].mean():.2f} nats an image")
    print(f"test {loss:.2f} nats an image, {without:.2f} by each pixel's mean; digits that nobody wrote:\n")
    print(drawing(jax.jit(new)(state.params, latent)))
    return loss


if __name__ == "__main__":
    tyro.cli(main)
