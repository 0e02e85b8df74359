"""Fractional maximum pooling: windows of a fixed size at drawn places, so that the output shrinks by any factor."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.pool_window import Ints, flat_index, sized, spatial
from fnlearn.functional.typing import ArrayLike
from fnlearn.random import draw

Pair = tuple[jax.Array, jax.Array]
Ratios = float | Sequence[float]


def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    key: jax.Array | None = None,
) -> jax.Array | Pair:
    """Maximum of windows of an image whose steps vary at random.

    Torch: `torch.nn.functional.fractional_max_pool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, *output_size) or (C, *output_size).
    Args: input: floating-point. kernel_size: one integer or one a dimension. output_size: likewise, or instead of it
        output_ratio: factors between 0 and 1 that the input's sizes are multiplied with. return_indices: whether to
        return (maxima, indices) in place of the maxima alone. _random_samples: (N, C, 2) numbers in [0, 1) that place
        the windows along W and along H; drawn from key when left out. key: needed to draw.
    Raises: ValueError when shapes, window and output don't fit, when both or neither of output_size and output_ratio
        are given, or nothing to place the windows by; TypeError when input is not floating-point.
    Differs: the samples come from a JAX key, not from torch's generator; indices are int32 unless x64 is enabled.
    Source: Graham: Fractional Max-Pooling (2014); ATen `FractionalMaxPool2d.cpp`.
    """
    values, index = _maxima(input, 2, kernel_size, output_size, output_ratio, _random_samples, key)
    return (values, index) if return_indices else values


def fractional_max_pool2d_with_indices(
    input: ArrayLike,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    key: jax.Array | None = None,
) -> Pair:
    """Maximum of windows of an image whose steps vary at random, and where it was.

    Torch: `torch.nn.functional.fractional_max_pool2d_with_indices`.
    Shape: as `fractional_max_pool2d`, twice.
    Args: as for `fractional_max_pool2d`; return_indices is ignored.
    Raises: as `fractional_max_pool2d`.
    Differs: as for `fractional_max_pool2d`.
    Source: Graham: Fractional Max-Pooling (2014); ATen `FractionalMaxPool2d.cpp`.
    """
    return _maxima(input, 2, kernel_size, output_size, output_ratio, _random_samples, key)


def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    key: jax.Array | None = None,
) -> jax.Array | Pair:
    """Maximum of windows of a volume whose steps vary at random.

    Torch: `torch.nn.functional.fractional_max_pool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → (N, C, *output_size) or (C, *output_size).
    Args: as for `fractional_max_pool2d`; _random_samples: (N, C, 3) numbers that place the windows along D, H and W.
    Raises: as `fractional_max_pool2d`.
    Differs: as for `fractional_max_pool2d`.
    Source: Graham: Fractional Max-Pooling (2014); ATen `FractionalMaxPool3d.cpp`.
    """
    values, index = _maxima(input, 3, kernel_size, output_size, output_ratio, _random_samples, key)
    return (values, index) if return_indices else values


def fractional_max_pool3d_with_indices(
    input: ArrayLike,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    key: jax.Array | None = None,
) -> Pair:
    """Maximum of windows of a volume whose steps vary at random, and where it was.

    Torch: `torch.nn.functional.fractional_max_pool3d_with_indices`.
    Shape: as `fractional_max_pool3d`, twice.
    Args: as for `fractional_max_pool3d`; return_indices is ignored.
    Raises: as `fractional_max_pool2d`.
    Differs: as for `fractional_max_pool2d`.
    Source: Graham: Fractional Max-Pooling (2014); ATen `FractionalMaxPool3d.cpp`.
    """
    return _maxima(input, 3, kernel_size, output_size, output_ratio, _random_samples, key)


def _maxima(
    input: ArrayLike,
    count: int,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Ratios | None,
    samples: ArrayLike | None,
    key: jax.Array | None,
) -> Pair:
    x = check.floating("input", input)
    sizes, kernel = spatial(x, count), sized("kernel_size", kernel_size, count)
    outs = _outputs(sizes, kernel, output_size, output_ratio)
    places = _samples(x, count, samples, key)
    index = flat_index(x, count)
    for dim in reversed(range(count)):
        which = count - 1 - dim if count == 2 else dim  # in two dimensions the first sample is for W
        start = _starts(places[..., which], sizes[dim], outs[dim], kernel[dim])
        x, index = _largest(x, index, x.ndim - count + dim, start, kernel[dim])
    return x, index.astype(jax.dtypes.canonicalize_dtype(jnp.int64))


def _outputs(
    sizes: tuple[int, ...], kernel: tuple[int, ...], output_size: Ints | None, output_ratio: Ratios | None
) -> tuple[int, ...]:
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"give output_size or output_ratio, got {output_size!r} and {output_ratio!r}")
    if output_size is not None:
        outs = sized("output_size", output_size, len(sizes))
    else:
        ratios = tuple(output_ratio) if isinstance(output_ratio, Sequence) else (output_ratio,) * len(sizes)
        if len(ratios) != len(sizes) or not all(r is not None and 0 < r < 1 for r in ratios):
            raise ValueError(f"output_ratio must be one or {len(sizes)} numbers between 0 and 1, got {output_ratio!r}")
        outs = tuple(int(size * r) for size, r in zip(sizes, ratios, strict=True) if r is not None)
    for size, out, k in zip(sizes, outs, kernel, strict=True):
        if out < 1 or k < 1 or out + k - 1 > size:
            raise ValueError(f"kernel_size {k} and output_size {out} don't fit into an input of size {size}")
    return outs


def _samples(x: jax.Array, count: int, samples: ArrayLike | None, key: jax.Array | None) -> jax.Array:
    """Numbers in [0, 1), with the dimensions of the input before the spatial ones, and one for each of these."""
    outer = x.shape[: x.ndim - count]
    if samples is None:
        if key is None:
            raise ValueError(f"fractional_max_pool{count}d draws its windows: pass key=jax.random.key(...)")
        return draw.rand(key, (*outer, count), x.dtype)
    given = check.floating("_random_samples", samples)
    check.same_dtype(input=x, _random_samples=given)
    expected = (outer[0] if len(outer) == 2 else 1, outer[-1], count)
    if given.ndim != 3 or given.shape[0] < expected[0] or given.shape[1:] != expected[1:]:
        raise ValueError(f"_random_samples must have shape {expected}, or more rows, got {given.shape}")
    return given[: expected[0]].reshape(*outer, count)


def _starts(sample: jax.Array, size: int, out: int, kernel: int) -> jax.Array:
    """(*, out): where the windows begin; the last one ends where the input does."""
    sample = sample[..., None]
    if out == 1:
        return jnp.full(sample.shape, size - kernel)
    step = jnp.asarray(size - kernel, sample.dtype) / jnp.asarray(out - 1, sample.dtype)
    count = jnp.broadcast_to(jnp.arange(out - 1).astype(sample.dtype), (*sample.shape[:-1], out - 1))
    start = ((count + sample) * step).astype(int) - (sample * step).astype(int)
    return jnp.concatenate([start, jnp.full(sample.shape, size - kernel, start.dtype)], -1)


def _largest(x: jax.Array, index: jax.Array, axis: int, start: jax.Array, kernel: int) -> Pair:
    """The maximum of each window along one dimension: the first, or the last NaN, and its index."""
    outer = start.ndim - 1
    shape = (*start.shape[:-1], *(1 if d != axis else start.shape[-1] for d in range(outer, x.ndim)))
    first = start.reshape(shape)
    best, at = (jnp.take_along_axis(values, first, axis) for values in (x, index))
    for tap in range(1, kernel):
        part, place = (jnp.take_along_axis(values, first + tap, axis) for values in (x, index))
        take = (part > best) | (part != part)
        best, at = jnp.where(take, part, best), jnp.where(take, place, at)
    return best, at
