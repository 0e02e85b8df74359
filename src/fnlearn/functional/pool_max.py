"""Maximum pooling over windows of a fixed size.

At a tie the first maximum has the whole gradient, a NaN wins over every number, and an index counts the elements of one
channel as they lie in memory: all as in ATen.
"""

from typing import Any

import jax

from fnlearn.functional import check
from fnlearn.functional.pool_reduce import indexed_maxima, maxima
from fnlearn.functional.pool_window import Ints, Windows, strided
from fnlearn.functional.typing import ArrayLike

Pair = tuple[jax.Array, jax.Array]


def max_pool1d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> jax.Array | Pair:
    """Maximum of each window of a sequence.

    Torch: `torch.nn.functional.max_pool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ); the size as for `avg_pool1d`, the kernel's
        being dilation · (kernel_size − 1) + 1.
    Args: input: real numbers, integers included. kernel_size, stride, padding, ceil_mode: as for `avg_pool1d`; the
        padding is −∞. dilation: the step between the elements of a window. return_indices: whether to return
        (maxima, indices) in place of the maxima alone.
    Raises: ValueError when shape, window, step or padding don't fit; TypeError when input is no array of numbers.
    Differs: nothing; indices are int32 unless JAX's x64 is enabled.
    Source: ATen `DilatedMaxPool2d.cpp`.
    """
    x, windows = _maximised(input, 1, kernel_size, stride, padding, dilation, ceil_mode)
    return indexed_maxima(x, windows) if return_indices else maxima(x, windows)


def max_pool1d_with_indices(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pair:
    """Maximum of each window of a sequence, and where it was.

    Torch: `torch.nn.functional.max_pool1d_with_indices`.
    Shape: as `max_pool1d`, twice.
    Args: as for `max_pool1d`; return_indices is ignored.
    Raises: as `max_pool1d`.
    Differs: as for `max_pool1d`.
    Source: ATen `DilatedMaxPool2d.cpp`.
    """
    x, windows = _maximised(input, 1, kernel_size, stride, padding, dilation, ceil_mode)
    return indexed_maxima(x, windows)


def max_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> jax.Array | Pair:
    """Maximum of each window of an image.

    Torch: `torch.nn.functional.max_pool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ); the sizes as for `avg_pool1d`, the kernel's
        being dilation · (kernel_size − 1) + 1.
    Args: as for `max_pool1d`, sizes being one integer or one a dimension.
    Raises: as `max_pool1d`.
    Differs: as for `max_pool1d`.
    Source: ATen `DilatedMaxPool2d.cpp`.
    """
    x, windows = _maximised(input, 2, kernel_size, stride, padding, dilation, ceil_mode)
    return indexed_maxima(x, windows) if return_indices else maxima(x, windows)


def max_pool2d_with_indices(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pair:
    """Maximum of each window of an image, and where it was.

    Torch: `torch.nn.functional.max_pool2d_with_indices`.
    Shape: as `max_pool2d`, twice.
    Args: as for `max_pool2d`; return_indices is ignored.
    Raises: as `max_pool2d`.
    Differs: as for `max_pool1d`.
    Source: ATen `DilatedMaxPool2d.cpp`.
    """
    x, windows = _maximised(input, 2, kernel_size, stride, padding, dilation, ceil_mode)
    return indexed_maxima(x, windows)


def max_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> jax.Array | Pair:
    """Maximum of each window of a volume.

    Torch: `torch.nn.functional.max_pool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ; the sizes as for `avg_pool1d`, the kernel's
        being dilation · (kernel_size − 1) + 1.
    Args: as for `max_pool1d`, sizes being one integer or one a dimension.
    Raises: as `max_pool1d`.
    Differs: as for `max_pool1d`.
    Source: ATen `DilatedMaxPool3d.cpp`.
    """
    x, windows = _maximised(input, 3, kernel_size, stride, padding, dilation, ceil_mode)
    return indexed_maxima(x, windows) if return_indices else maxima(x, windows)


def max_pool3d_with_indices(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pair:
    """Maximum of each window of a volume, and where it was.

    Torch: `torch.nn.functional.max_pool3d_with_indices`.
    Shape: as `max_pool3d`, twice.
    Args: as for `max_pool3d`; return_indices is ignored.
    Raises: as `max_pool3d`.
    Differs: as for `max_pool1d`.
    Source: ATen `DilatedMaxPool3d.cpp`.
    """
    x, windows = _maximised(input, 3, kernel_size, stride, padding, dilation, ceil_mode)
    return indexed_maxima(x, windows)


def _maximised(input: ArrayLike, count: int, *options: Any) -> tuple[jax.Array, list[Windows]]:
    x = check.number("input", input)
    return x, strided(x, count, *options)
