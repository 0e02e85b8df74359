"""Variational autoencoder; what is drawn comes in, as noise."""

import torch
from torch import nn


class VAE(nn.Module):
    def __init__(self, inputs=20, hidden=12, latent=3):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.mean = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, inputs)

    def encode(self, x):
        h = torch.relu(self.fc1(x))
        return self.mean(h), self.logvar(h)

    def decode(self, z):
        return torch.sigmoid(self.fc4(torch.relu(self.fc3(z))))

    def forward(self, x, noise):
        mean, logvar = self.encode(x.flatten(1))
        std = torch.exp(0.5 * logvar)
        z = mean + noise * std  # the same as a draw from N(mean, std²)
        return self.decode(z), mean, logvar


def example():
    return VAE(), (torch.rand(4, 4, 5), torch.randn(4, 3))
