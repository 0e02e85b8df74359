"""U-Net of two levels, for pictures of any even size."""

import torch
from torch import nn


class DoubleConv(nn.Module):
    def __init__(self, channels, out_channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        return torch.relu(self.conv2(x))


class UNet(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.enter = DoubleConv(1, width)
        self.down1 = DoubleConv(width, 2 * width)
        self.down2 = DoubleConv(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.leave2 = DoubleConv(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.leave1 = DoubleConv(2 * width, width)
        self.out = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        # the way down
        skip1 = self.enter(x)
        skip2 = self.down1(self.pool(skip1))
        x = self.down2(self.pool(skip2))
        # and up again, beside what was there on the way down
        x = self.leave2(torch.cat([skip2, self.up2(x)], dim=1))
        x = self.leave1(torch.cat([skip1, self.up1(x)], dim=1))
        return self.out(x)


def example():
    return UNet(), (torch.randn(2, 1, 16, 16),)
