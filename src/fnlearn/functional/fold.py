"""Sliding windows of images as columns, and back."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike

Ints = int | Sequence[int]
Pair = tuple[int, int]


@wide_inside
def unfold(input: ArrayLike, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> jax.Array:
    """Every window of an image as a column.

    Torch: `torch.nn.functional.unfold`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C · K₁ · K₂, L) or (C · K₁ · K₂, L), L the number of windows.
    Args: input: numbers. kernel_size: the window. dilation: steps between the elements of a window. padding: zeros at
        both ends. stride: steps between windows. Each is one number, or one for each of the two dimensions.
    Raises: ValueError when an option is too small or no window fits; TypeError when input is no array of numbers.
    Differs: booleans are refused.
    Source: ATen `Im2Col.cpp`.
    """
    x = check.number("input", input)
    if x.ndim not in (3, 4):
        raise ValueError(f"input must have shape (N, C, H, W) or (C, H, W), got {x.shape}")
    kernel, steps, pads, holes = _options(kernel_size, stride, padding, dilation)
    counts = _counts("input", (x.shape[-2], x.shape[-1]), kernel, steps, pads, holes)
    rows = x.shape[-3] * math.prod(kernel)
    return _windows(x, kernel, steps, pads, holes).reshape(*x.shape[:-3], rows, math.prod(counts))


@wide_inside
def fold(
    input: ArrayLike,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> jax.Array:
    """The sum of columns as overlapping windows of an image: the transpose of `unfold`.

    Torch: `torch.nn.functional.fold`.
    Shape: (N, C · K₁ · K₂, L) or (C · K₁ · K₂, L) → (N, C, H, W) or (C, H, W), L the number of windows.
    Args: input: floating-point or complex. output_size: H and W. kernel_size, dilation, padding, stride: as for
        `unfold`.
    Raises: ValueError when an option is too small or input doesn't fit them; TypeError when input holds integers.
    Differs: booleans are refused.
    Source: ATen `Col2Im.cpp`.
    """
    x = check.inexact("input", input)
    if x.ndim not in (2, 3):
        raise ValueError(f"input must have shape (N, C · K₁ · K₂, L) or (C · K₁ · K₂, L), got {x.shape}")
    size = _pair("output_size", output_size, 1)
    kernel, steps, pads, holes = _options(kernel_size, stride, padding, dilation)
    counts, taps = _counts("output_size", size, kernel, steps, pads, holes), math.prod(kernel)
    if x.shape[-2] % taps or x.shape[-1] != math.prod(counts):
        raise ValueError(
            f"input must have a multiple of {taps} rows and {math.prod(counts)} columns for {counts} windows of "
            f"{kernel} in {size}, got shape {x.shape}"
        )
    image = jax.ShapeDtypeStruct((*x.shape[:-2], x.shape[-2] // taps, *size), x.dtype)
    back = jax.linear_transpose(lambda image: _windows(image, kernel, steps, pads, holes), image)
    (out,) = back(x.reshape(*image.shape[:-2], *kernel, *counts))
    return out


def _windows(x: jax.Array, kernel: Pair, steps: Pair, pads: Pair, holes: Pair) -> jax.Array:
    """(…, H, W) → (…, K₁, K₂, L₁, L₂), one dimension after the other: K₁ + K₂ slices instead of K₁ · K₂."""
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in pads])
    tall = _taps(x, x.ndim - 2, kernel[0], steps[0], holes[0])  # (…, K₁, L₁, W)
    wide = _taps(tall, tall.ndim - 1, kernel[1], steps[1], holes[1])  # (…, K₁, L₁, K₂, L₂)
    return wide.swapaxes(-3, -2)


def _taps(x: jax.Array, axis: int, k: int, step: int, hole: int) -> jax.Array:
    """One dimension of size n as (K, L)."""
    count = (x.shape[axis] - hole * (k - 1) - 1) // step + 1
    if step == k and hole == 1:  # windows side by side: a transposition
        cut = lax.slice_in_dim(x, 0, count * k, axis=axis)
        return cut.reshape(*x.shape[:axis], count, k, *x.shape[axis + 1 :]).swapaxes(axis, axis + 1)
    reach = (count - 1) * step + 1
    taps = [lax.slice_in_dim(x, i * hole, i * hole + reach, step, axis) for i in range(k)]
    return jnp.stack(taps, axis)


def _options(kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints) -> tuple[Pair, Pair, Pair, Pair]:
    return (
        _pair("kernel_size", kernel_size, 1),
        _pair("stride", stride, 1),
        _pair("padding", padding, 0),
        _pair("dilation", dilation, 1),
    )


def _pair(name: str, value: Ints, least: int) -> Pair:
    numbers = (value,) if isinstance(value, int) else tuple(value)
    if len(numbers) not in (1, 2) or any(n < least for n in numbers):
        raise ValueError(f"{name} must be at least {least}, one number or two, got {value}")
    return numbers[0], numbers[-1]


def _counts(name: str, size: Pair, kernel: Pair, steps: Pair, pads: Pair, holes: Pair) -> Pair:
    """How many windows fit in each dimension."""
    ends = zip(size, kernel, steps, pads, holes, strict=True)
    counts = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in ends]
    if min(counts) < 1:
        raise ValueError(f"{name} {size} with padding {pads} has no window of {kernel} with dilation {holes}")
    return counts[0], counts[1]
