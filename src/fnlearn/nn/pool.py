"""Pooling layers: the functions of the same purpose in `fnlearn.functional`, with their options fixed."""

from typing import Any

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn.functional.pool_adaptive import Sizes
from fnlearn.functional.pool_fractional import Ratios
from fnlearn.functional.pool_window import Ints
from fnlearn.functional.typing import ArrayLike
from fnlearn.nn.layer import Layer, Tree, stateless


def AvgPool1d(
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Layer:
    """Mean of each window of a sequence.

    Torch: `torch.nn.AvgPool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ).
    Args: as for `fnlearn.functional.avg_pool1d`.
    Raises: as `fnlearn.functional.avg_pool1d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.avg_pool1d`.
    """
    return stateless(
        F.avg_pool1d,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )


def AvgPool2d(
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layer:
    """Mean of each window of an image.

    Torch: `torch.nn.AvgPool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: as for `fnlearn.functional.avg_pool2d`.
    Raises: as `fnlearn.functional.avg_pool2d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.avg_pool2d`.
    """
    return stateless(
        F.avg_pool2d,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


def AvgPool3d(
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layer:
    """Mean of each window of a volume.

    Torch: `torch.nn.AvgPool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: as for `fnlearn.functional.avg_pool3d`.
    Raises: as `fnlearn.functional.avg_pool3d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.avg_pool3d`.
    """
    return stateless(
        F.avg_pool3d,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


def MaxPool1d(
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    return_indices: bool = False,
    ceil_mode: bool = False,
) -> Layer:
    """Maximum of each window of a sequence.

    Torch: `torch.nn.MaxPool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ).
    Args: as for `fnlearn.functional.max_pool1d`.
    Raises: as `fnlearn.functional.max_pool1d`, when applied.
    Differs: as for `fnlearn.functional.max_pool1d`.
    Source: `fnlearn.functional.max_pool1d`.
    """
    return stateless(
        F.max_pool1d,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        return_indices=return_indices,
        ceil_mode=ceil_mode,
    )


def MaxPool2d(
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    return_indices: bool = False,
    ceil_mode: bool = False,
) -> Layer:
    """Maximum of each window of an image.

    Torch: `torch.nn.MaxPool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: as for `fnlearn.functional.max_pool2d`.
    Raises: as `fnlearn.functional.max_pool2d`, when applied.
    Differs: as for `fnlearn.functional.max_pool2d`.
    Source: `fnlearn.functional.max_pool2d`.
    """
    return stateless(
        F.max_pool2d,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        return_indices=return_indices,
        ceil_mode=ceil_mode,
    )


def MaxPool3d(
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    return_indices: bool = False,
    ceil_mode: bool = False,
) -> Layer:
    """Maximum of each window of a volume.

    Torch: `torch.nn.MaxPool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: as for `fnlearn.functional.max_pool3d`.
    Raises: as `fnlearn.functional.max_pool3d`, when applied.
    Differs: as for `fnlearn.functional.max_pool3d`.
    Source: `fnlearn.functional.max_pool3d`.
    """
    return stateless(
        F.max_pool3d,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        return_indices=return_indices,
        ceil_mode=ceil_mode,
    )


def MaxUnpool1d(kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> Layer:
    """The maxima of a sequence put back where they were; apply takes (input, indices, output_size=None).

    Torch: `torch.nn.MaxUnpool1d`.
    Shape: (N, C, Lₒ) or (C, Lₒ), twice → (N, C, L) or (C, L).
    Args: as for `fnlearn.functional.max_unpool1d`.
    Raises: as `fnlearn.functional.max_unpool1d`, when applied.
    Differs: as for `fnlearn.functional.max_unpool1d`.
    Source: `fnlearn.functional.max_unpool1d`.
    """
    return stateless(F.max_unpool1d, kernel_size=kernel_size, stride=stride, padding=padding)


def MaxUnpool2d(kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> Layer:
    """The maxima of an image put back where they were; apply takes (input, indices, output_size=None).

    Torch: `torch.nn.MaxUnpool2d`.
    Shape: (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ), twice → (N, C, H, W) or (C, H, W).
    Args: as for `fnlearn.functional.max_unpool2d`.
    Raises: as `fnlearn.functional.max_unpool2d`, when applied.
    Differs: as for `fnlearn.functional.max_unpool2d`.
    Source: `fnlearn.functional.max_unpool2d`.
    """
    return stateless(F.max_unpool2d, kernel_size=kernel_size, stride=stride, padding=padding)


def MaxUnpool3d(kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> Layer:
    """The maxima of a volume put back where they were; apply takes (input, indices, output_size=None).

    Torch: `torch.nn.MaxUnpool3d`.
    Shape: (N, C, Dₒ, Hₒ, Wₒ) or without N, twice → (N, C, D, H, W) or without N.
    Args: as for `fnlearn.functional.max_unpool3d`.
    Raises: as `fnlearn.functional.max_unpool3d`, when applied.
    Differs: as for `fnlearn.functional.max_unpool3d`.
    Source: `fnlearn.functional.max_unpool3d`.
    """
    return stateless(F.max_unpool3d, kernel_size=kernel_size, stride=stride, padding=padding)


def AdaptiveAvgPool1d(output_size: Sizes) -> Layer:
    """Mean of each of a given number of windows of a sequence.

    Torch: `torch.nn.AdaptiveAvgPool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ).
    Args: as for `fnlearn.functional.adaptive_avg_pool1d`.
    Raises: as `fnlearn.functional.adaptive_avg_pool1d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.adaptive_avg_pool1d`.
    """
    return stateless(F.adaptive_avg_pool1d, output_size=output_size)


def AdaptiveAvgPool2d(output_size: Sizes) -> Layer:
    """Mean of each of a given number of windows of an image.

    Torch: `torch.nn.AdaptiveAvgPool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: as for `fnlearn.functional.adaptive_avg_pool2d`.
    Raises: as `fnlearn.functional.adaptive_avg_pool2d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.adaptive_avg_pool2d`.
    """
    return stateless(F.adaptive_avg_pool2d, output_size=output_size)


def AdaptiveAvgPool3d(output_size: Sizes) -> Layer:
    """Mean of each of a given number of windows of a volume.

    Torch: `torch.nn.AdaptiveAvgPool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: as for `fnlearn.functional.adaptive_avg_pool3d`.
    Raises: as `fnlearn.functional.adaptive_avg_pool3d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.adaptive_avg_pool3d`.
    """
    return stateless(F.adaptive_avg_pool3d, output_size=output_size)


def AdaptiveMaxPool1d(output_size: Sizes, return_indices: bool = False) -> Layer:
    """Maximum of each of a given number of windows of a sequence.

    Torch: `torch.nn.AdaptiveMaxPool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ).
    Args: as for `fnlearn.functional.adaptive_max_pool1d`.
    Raises: as `fnlearn.functional.adaptive_max_pool1d`, when applied.
    Differs: as for `fnlearn.functional.adaptive_max_pool1d`.
    Source: `fnlearn.functional.adaptive_max_pool1d`.
    """
    return stateless(F.adaptive_max_pool1d, output_size=output_size, return_indices=return_indices)


def AdaptiveMaxPool2d(output_size: Sizes, return_indices: bool = False) -> Layer:
    """Maximum of each of a given number of windows of an image.

    Torch: `torch.nn.AdaptiveMaxPool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: as for `fnlearn.functional.adaptive_max_pool2d`.
    Raises: as `fnlearn.functional.adaptive_max_pool2d`, when applied.
    Differs: as for `fnlearn.functional.adaptive_max_pool2d`.
    Source: `fnlearn.functional.adaptive_max_pool2d`.
    """
    return stateless(F.adaptive_max_pool2d, output_size=output_size, return_indices=return_indices)


def AdaptiveMaxPool3d(output_size: Sizes, return_indices: bool = False) -> Layer:
    """Maximum of each of a given number of windows of a volume.

    Torch: `torch.nn.AdaptiveMaxPool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: as for `fnlearn.functional.adaptive_max_pool3d`.
    Raises: as `fnlearn.functional.adaptive_max_pool3d`, when applied.
    Differs: as for `fnlearn.functional.adaptive_max_pool3d`.
    Source: `fnlearn.functional.adaptive_max_pool3d`.
    """
    return stateless(F.adaptive_max_pool3d, output_size=output_size, return_indices=return_indices)


def FractionalMaxPool2d(
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
) -> Layer:
    """Maximum of windows of an image whose steps vary at random, in evaluation too.

    Torch: `torch.nn.FractionalMaxPool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: as for `fnlearn.functional.fractional_max_pool2d`.
    Raises: as `fnlearn.functional.fractional_max_pool2d`, when applied.
    Differs: as for `fnlearn.functional.fractional_max_pool2d`; a key is
        needed in evaluation too, unless _random_samples are given, which are then a buffer.
    Source: `fnlearn.functional.fractional_max_pool2d`.
    """
    return _drawing(
        F.fractional_max_pool2d,
        kernel_size=kernel_size,
        output_size=output_size,
        output_ratio=output_ratio,
        return_indices=return_indices,
        _random_samples=_random_samples,
    )


def FractionalMaxPool3d(
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
) -> Layer:
    """Maximum of windows of a volume whose steps vary at random, in evaluation too.

    Torch: `torch.nn.FractionalMaxPool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: as for `fnlearn.functional.fractional_max_pool3d`.
    Raises: as `fnlearn.functional.fractional_max_pool3d`, when applied.
    Differs: as for `fnlearn.functional.fractional_max_pool3d`; a key is
        needed in evaluation too, unless _random_samples are given, which are then a buffer.
    Source: `fnlearn.functional.fractional_max_pool3d`.
    """
    return _drawing(
        F.fractional_max_pool3d,
        kernel_size=kernel_size,
        output_size=output_size,
        output_ratio=output_ratio,
        return_indices=return_indices,
        _random_samples=_random_samples,
    )


def LPPool1d(norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Layer:
    """Norm of each window of a sequence.

    Torch: `torch.nn.LPPool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ).
    Args: as for `fnlearn.functional.lp_pool1d`.
    Raises: as `fnlearn.functional.lp_pool1d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.lp_pool1d`.
    """
    return stateless(F.lp_pool1d, norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)


def LPPool2d(norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Layer:
    """Norm of each window of an image.

    Torch: `torch.nn.LPPool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: as for `fnlearn.functional.lp_pool2d`.
    Raises: as `fnlearn.functional.lp_pool2d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.lp_pool2d`.
    """
    return stateless(F.lp_pool2d, norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)


def LPPool3d(norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Layer:
    """Norm of each window of a volume.

    Torch: `torch.nn.LPPool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: as for `fnlearn.functional.lp_pool3d`.
    Raises: as `fnlearn.functional.lp_pool3d`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.lp_pool3d`.
    """
    return stateless(F.lp_pool3d, norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)


def _drawing(function: Any, _random_samples: ArrayLike | None, **options: Any) -> Layer:
    """A layer whose function draws in training and in evaluation, unless its samples are given: a buffer, in torch."""
    given: Tree = {} if _random_samples is None else {"_random_samples": jnp.asarray(_random_samples)}

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        return function(input, **options, **buffers, key=key), buffers

    return Layer(lambda key: ({}, dict(given)), apply)
