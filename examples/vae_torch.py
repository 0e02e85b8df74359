"""The twin of vae.py in PyTorch: the same network, weights to start from, images and optimizer.

Run `python examples/vae_torch.py --epochs 100`.
"""

import numpy as np
import torch
import tyro
from torch import nn
from torch.nn import functional as F

from fnlearn import equivalence, optim, random
from vae import BATCH, HIDDEN, LATENT, LR, PIXELS, drawing, init, load, vae
from vae import negative_elbo as jax_negative_elbo


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(PIXELS, HIDDEN)
        self.mean = nn.Linear(HIDDEN, LATENT)
        self.logvar = nn.Linear(HIDDEN, LATENT)
        self.fc3 = nn.Linear(LATENT, HIDDEN)
        self.fc4 = nn.Linear(HIDDEN, PIXELS)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.mean(h), self.logvar(h)

    def decode(self, z):
        return self.fc4(F.relu(self.fc3(z)))  # logits of ink

    def forward(self, x):
        mean, logvar = self.encode(x)
        noise = torch.randn_like(mean)
        return self.decode(mean + torch.exp(0.5 * logvar) * noise), mean, logvar


def negative_elbo(out, x):
    logits, mean, logvar = out
    ink = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mean**2 - torch.exp(logvar))
    return (ink + kl) / len(x)


def compare(steps: int = 20, dtypes=("float32",)) -> equivalence.Answer:
    """Whether this network and `vae` have the same losses, gradients and weights at each of some steps."""
    torch.manual_seed(0)
    batches = [((x,), x) for x in _batches(load()[0], np.random.default_rng(0))][:steps]
    losses = (negative_elbo, jax_negative_elbo)
    both = equivalence.pair(VAE(), vae, init(random.TorchGenerator(0)), {})
    return equivalence.training(
        both, lambda p: torch.optim.Adam(p, lr=LR), optim.adam(lr=LR), batches, losses, dtypes=dtypes
    )


def _batches(x, rng):
    return np.split(x[rng.permutation(len(x))], range(BATCH, len(x), BATCH))


def main(epochs: int = 100, seed: int = 0) -> float:
    """Train, draw, and return the loss on the images that were kept apart.

    Args:
        epochs: how often every image is seen.
        seed: of the weights, the order of the images and what is drawn.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x, x_test = load()
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    for epoch in range(epochs):
        for batch in map(torch.from_numpy, _batches(x, rng)):
            optimizer.zero_grad()
            loss = negative_elbo(model(batch), batch)
            loss.backward()
            optimizer.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3}  loss {loss.item():.2f}", flush=True)
    with torch.no_grad():
        x_test = torch.from_numpy(x_test)
        loss = negative_elbo(model(x_test), x_test).item()
        print(f"test {loss:.2f} nats an image; digits that nobody wrote:\n")
        print(drawing(torch.sigmoid(model.decode(torch.randn(6, LATENT)))))
    return loss


if __name__ == "__main__":
    tyro.cli(main)
