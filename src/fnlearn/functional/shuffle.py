"""Rearrangements of channels and pixels."""

import math

import jax
import jax.numpy as jnp

from fnlearn.functional.typing import ArrayLike


def pixel_shuffle(input: ArrayLike, upscale_factor: int) -> jax.Array:
    """Spread groups of r² channels over r × r pixels.

    Torch: `torch.nn.functional.pixel_shuffle`.
    Shape: (*, C · r², H, W) → (*, C, H · r, W · r).
    Args: input: an array of any dtype. upscale_factor: r, at least 1.
    Raises: ValueError when r is below 1 or r² doesn't divide the channels.
    Differs: nothing.
    Source: Shi et al.: Real-Time Single Image and Video Super-Resolution … (2016).
    """
    x, r = _image(input), upscale_factor
    *lead, channels, height, width = x.shape
    if r < 1 or channels % (r * r):
        raise ValueError(f"upscale_factor must be positive and its square divide {channels} channels, got {r}")
    y = x.reshape(*lead, channels // (r * r), r, r, height, width)
    y = jnp.moveaxis(y, (-4, -3), (-3, -1))  # (*, C, H, r, W, r)
    return y.reshape(*lead, channels // (r * r), height * r, width * r)


def pixel_unshuffle(input: ArrayLike, downscale_factor: int) -> jax.Array:
    """Gather r × r pixels into r² channels: the reverse of `pixel_shuffle`.

    Torch: `torch.nn.functional.pixel_unshuffle`.
    Shape: (*, C, H · r, W · r) → (*, C · r², H, W).
    Args: input: an array of any dtype. downscale_factor: r, at least 1.
    Raises: ValueError when r is below 1 or doesn't divide height and width.
    Differs: nothing.
    Source: ATen `PixelShuffle.cpp`.
    """
    x, r = _image(input), downscale_factor
    *lead, channels, height, width = x.shape
    if r < 1 or height % r or width % r:
        raise ValueError(f"downscale_factor must be positive and divide height {height} and width {width}, got {r}")
    y = x.reshape(*lead, channels, height // r, r, width // r, r)
    y = jnp.moveaxis(y, (-3, -1), (-4, -3))  # (*, C, r, r, H, W)
    return y.reshape(*lead, channels * r * r, height // r, width // r)


def channel_shuffle(input: ArrayLike, groups: int) -> jax.Array:
    """Interleave groups of channels.

    Torch: `torch.nn.functional.channel_shuffle`.
    Shape: (N, C, *) → (N, C, *).
    Args: input: an array of any dtype, of three or more dimensions. groups: how many; divides C.
    Raises: ValueError when input has fewer dimensions or groups doesn't divide the channels.
    Differs: nothing.
    Source: Zhang et al.: ShuffleNet (2017).
    """
    x = jnp.asarray(input)
    if x.ndim < 3:
        raise ValueError(f"input must have shape (N, C, *), of three or more dimensions, got {x.shape}")
    if groups < 1 or x.shape[1] % groups:
        raise ValueError(f"groups must be positive and divide {x.shape[1]} channels, got {groups}")
    batch, channels, *rest = x.shape
    y = x.reshape(batch, groups, channels // groups, math.prod(rest))
    return jnp.swapaxes(y, 1, 2).reshape(x.shape)


def native_channel_shuffle(input: ArrayLike, groups: int) -> jax.Array:
    """Another name of `channel_shuffle`.

    Torch: `torch.nn.functional.native_channel_shuffle`.
    Shape: (N, C, *) → (N, C, *).
    Args: input, groups: as for `channel_shuffle`.
    Raises: as `channel_shuffle`.
    Differs: nothing.
    Source: ATen `ChanelShuffle.cpp`.
    """
    return channel_shuffle(input, groups)


def _image(input: ArrayLike) -> jax.Array:
    x = jnp.asarray(input)
    if x.ndim < 3:
        raise ValueError(f"input must have shape (*, C, H, W), of three or more dimensions, got {x.shape}")
    return x
