"""Adaptive pooling: windows chosen so that the output has a given size."""

from collections.abc import Sequence

import jax

from fnlearn.functional import check
from fnlearn.functional.pool_reduce import indexed_maxima, maxima, totals
from fnlearn.functional.pool_window import Windows, adaptive, along, spatial
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike

Sizes = int | Sequence[int | None] | None
Pair = tuple[jax.Array, jax.Array]


@wide_inside
def adaptive_avg_pool1d(input: ArrayLike, output_size: Sizes) -> jax.Array:
    """Mean of each of a given number of windows that cover a sequence.

    Torch: `torch.nn.functional.adaptive_avg_pool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ), Lₒ = output_size.
    Args: input: floating-point. output_size: the number of windows, at least 0; window i covers the elements from
        ⌊i·L/Lₒ⌋ to ⌈(i + 1)·L/Lₒ⌉.
    Raises: ValueError when shape or output_size don't fit; TypeError when input is not floating-point.
    Differs: nothing.
    Source: ATen `AdaptiveAveragePooling.cpp`.
    """
    return _averages(input, 1, output_size)


@wide_inside
def adaptive_avg_pool2d(input: ArrayLike, output_size: Sizes) -> jax.Array:
    """Mean of each of a given number of windows that cover an image.

    Torch: `torch.nn.functional.adaptive_avg_pool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, *output_size) or (C, *output_size).
    Args: input: floating-point. output_size: one number of windows, or one a dimension; None keeps the input's size.
        As for `adaptive_avg_pool1d` otherwise.
    Raises: as `adaptive_avg_pool1d`.
    Differs: nothing.
    Source: ATen `AdaptiveAveragePooling.cpp`.
    """
    return _averages(input, 2, output_size)


@wide_inside
def adaptive_avg_pool3d(input: ArrayLike, output_size: Sizes) -> jax.Array:
    """Mean of each of a given number of windows that cover a volume.

    Torch: `torch.nn.functional.adaptive_avg_pool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → (N, C, *output_size) or (C, *output_size).
    Args: input: floating-point. output_size: one number of windows, or one a dimension; None keeps the input's size.
        As for `adaptive_avg_pool1d` otherwise.
    Raises: as `adaptive_avg_pool1d`.
    Differs: nothing.
    Source: ATen `AdaptiveAveragePooling3d.cpp`.
    """
    return _averages(input, 3, output_size)


def adaptive_max_pool1d(input: ArrayLike, output_size: Sizes, return_indices: bool = False) -> jax.Array | Pair:
    """Maximum of each of a given number of windows that cover a sequence.

    Torch: `torch.nn.functional.adaptive_max_pool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ), Lₒ = output_size.
    Args: input, output_size: as for `adaptive_avg_pool1d`. return_indices: whether to return (maxima, indices) in
        place of the maxima alone.
    Raises: as `adaptive_avg_pool1d`.
    Differs: nothing; indices are int32 unless JAX's x64 is enabled.
    Source: ATen `AdaptiveMaxPooling2d.cpp`.
    """
    x, windows = _covered(input, 1, output_size)
    return indexed_maxima(x, windows) if return_indices else maxima(x, windows)


def adaptive_max_pool1d_with_indices(input: ArrayLike, output_size: Sizes, return_indices: bool = False) -> Pair:
    """Maximum of each of a given number of windows that cover a sequence, and where it was.

    Torch: `torch.nn.functional.adaptive_max_pool1d_with_indices`.
    Shape: as `adaptive_max_pool1d`, twice.
    Args: as for `adaptive_max_pool1d`; return_indices is ignored.
    Raises: as `adaptive_avg_pool1d`.
    Differs: as for `adaptive_max_pool1d`.
    Source: ATen `AdaptiveMaxPooling2d.cpp`.
    """
    return indexed_maxima(*_covered(input, 1, output_size))


def adaptive_max_pool2d(input: ArrayLike, output_size: Sizes, return_indices: bool = False) -> jax.Array | Pair:
    """Maximum of each of a given number of windows that cover an image.

    Torch: `torch.nn.functional.adaptive_max_pool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, *output_size) or (C, *output_size).
    Args: input, output_size: as for `adaptive_avg_pool2d`. return_indices: whether to return (maxima, indices) in
        place of the maxima alone.
    Raises: as `adaptive_avg_pool2d`.
    Differs: nothing; indices are int32 unless JAX's x64 is enabled.
    Source: ATen `AdaptiveMaxPooling2d.cpp`.
    """
    x, windows = _covered(input, 2, output_size)
    return indexed_maxima(x, windows) if return_indices else maxima(x, windows)


def adaptive_max_pool2d_with_indices(input: ArrayLike, output_size: Sizes, return_indices: bool = False) -> Pair:
    """Maximum of each of a given number of windows that cover an image, and where it was.

    Torch: `torch.nn.functional.adaptive_max_pool2d_with_indices`.
    Shape: as `adaptive_max_pool2d`, twice.
    Args: as for `adaptive_max_pool2d`; return_indices is ignored.
    Raises: as `adaptive_avg_pool2d`.
    Differs: as for `adaptive_max_pool2d`.
    Source: ATen `AdaptiveMaxPooling2d.cpp`.
    """
    return indexed_maxima(*_covered(input, 2, output_size))


def adaptive_max_pool3d(input: ArrayLike, output_size: Sizes, return_indices: bool = False) -> jax.Array | Pair:
    """Maximum of each of a given number of windows that cover a volume.

    Torch: `torch.nn.functional.adaptive_max_pool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → (N, C, *output_size) or (C, *output_size).
    Args: input, output_size: as for `adaptive_avg_pool3d`. return_indices: whether to return (maxima, indices) in
        place of the maxima alone.
    Raises: as `adaptive_avg_pool3d`.
    Differs: nothing; indices are int32 unless JAX's x64 is enabled.
    Source: ATen `AdaptiveMaxPooling3d.cpp`.
    """
    x, windows = _covered(input, 3, output_size)
    return indexed_maxima(x, windows) if return_indices else maxima(x, windows)


def adaptive_max_pool3d_with_indices(input: ArrayLike, output_size: Sizes, return_indices: bool = False) -> Pair:
    """Maximum of each of a given number of windows that cover a volume, and where it was.

    Torch: `torch.nn.functional.adaptive_max_pool3d_with_indices`.
    Shape: as `adaptive_max_pool3d`, twice.
    Args: as for `adaptive_max_pool3d`; return_indices is ignored.
    Raises: as `adaptive_avg_pool3d`.
    Differs: as for `adaptive_max_pool3d`.
    Source: ATen `AdaptiveMaxPooling3d.cpp`.
    """
    return indexed_maxima(*_covered(input, 3, output_size))


def _averages(input: ArrayLike, count: int, output_size: Sizes) -> jax.Array:
    x, windows = _covered(input, count, output_size)
    mean = totals(x, windows)
    for axis, w in enumerate(windows, x.ndim - count):
        mean = mean / along(w.length, axis, mean.ndim, mean.shape).astype(mean.dtype)
    return mean


def _covered(input: ArrayLike, count: int, output_size: Sizes) -> tuple[jax.Array, list[Windows]]:
    x = check.floating("input", input)
    sizes = spatial(x, count)
    given = (output_size,) * count if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(given) == 1:
        given *= count
    if len(given) != count:
        raise ValueError(f"output_size must be one integer or {count}, got {output_size!r}")
    wanted = [size if out is None else int(out) for size, out in zip(sizes, given, strict=True)]
    if min(wanted) < 0:
        raise ValueError(f"output_size must be at least 0, got {output_size!r}")
    return x, [adaptive(size, out) for size, out in zip(sizes, wanted, strict=True)]
