"""Layers that rearrange channels and pixels."""

from fnlearn import functional as F
from fnlearn.nn.layer import Layer, stateless


def PixelShuffle(upscale_factor: int) -> Layer:
    """Spread groups of r² channels over r × r pixels.

    Torch: `torch.nn.PixelShuffle`.
    Shape: (*, C · r², H, W) → (*, C, H · r, W · r).
    Args: as for `fnlearn.functional.pixel_shuffle`.
    Raises: as `fnlearn.functional.pixel_shuffle`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pixel_shuffle`.
    """
    return stateless(F.pixel_shuffle, upscale_factor=upscale_factor)


def PixelUnshuffle(downscale_factor: int) -> Layer:
    """Gather r × r pixels into r² channels.

    Torch: `torch.nn.PixelUnshuffle`.
    Shape: (*, C, H · r, W · r) → (*, C · r², H, W).
    Args: as for `fnlearn.functional.pixel_unshuffle`.
    Raises: as `fnlearn.functional.pixel_unshuffle`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pixel_unshuffle`.
    """
    return stateless(F.pixel_unshuffle, downscale_factor=downscale_factor)


def ChannelShuffle(groups: int) -> Layer:
    """Interleave groups of channels.

    Torch: `torch.nn.ChannelShuffle`.
    Shape: (N, C, *) → (N, C, *).
    Args: as for `fnlearn.functional.channel_shuffle`.
    Raises: as `fnlearn.functional.channel_shuffle`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.channel_shuffle`.
    """
    return stateless(F.channel_shuffle, groups=groups)
