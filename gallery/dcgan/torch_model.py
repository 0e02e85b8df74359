"""DCGAN: pictures out of noise, and the judge of pictures."""

import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, noise=8, width=4):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(noise, 4 * width, 4, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(True),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, noise):
        return self.main(noise)


class Discriminator(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, 2 * width, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4 * width, 1, 4, bias=False),
        )

    def forward(self, picture):
        return self.main(picture).view(-1)


class GAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = Generator()
        self.discriminator = Discriminator()

    def forward(self, noise):
        fake = self.generator(noise)
        return fake, self.discriminator(fake)


def example():
    return GAN(), (torch.randn(3, 8, 1, 1),)
