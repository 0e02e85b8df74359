"""Sampling of images at the points of a grid, and grids of affine maps.

A point's value is a sum over the few pixels around it (2, 4, 8 or 16 of them), each gathered for all points at once.
"""

import itertools
import warnings
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike

CUBIC_SLOPE = -0.75


@wide_inside
def grid_sample(
    input: ArrayLike,
    grid: ArrayLike,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> jax.Array:
    """Values of an image at the points of a grid, whose coordinates run from −1 to 1 across the image.

    Torch: `torch.nn.functional.grid_sample`.
    Shape: input (N, C, H, W), grid (N, H', W', 2) → (N, C, H', W'); input (N, C, D, H, W), grid (N, D', H', W', 3) →
        (N, C, D', H', W').
    Args: input: floating-point. grid: of the same dtype; a point's coordinates are (x, y) or (x, y, z): the last
        spatial dimension first. mode: "bilinear" (trilinear in 5-D), "nearest", or "bicubic" in 4-D. padding_mode: what
        lies outside: "zeros", the "border"'s pixels, or the "reflection". align_corners: whether ±1 are the centres of
        the corner pixels, or their outer edges; leaving it out means False, and warns.
    Raises: ValueError when shapes or options don't fit; TypeError when dtypes differ or are not floating-point.
    Differs: nothing, but where a coordinate is NaN or infinite: there torch's answers depend on the kernel it takes,
        and those here are of its vectorised one.
    Source: ATen `GridSampler.h`; Jaderberg et al.: Spatial Transformer Networks (2015).
    """
    x, points = check.floating("input", input), check.floating("grid", grid)
    check.same_dtype(input=x, grid=points)
    check.option("mode", mode, ("bilinear", "nearest", "bicubic"))
    check.option("padding_mode", padding_mode, ("zeros", "border", "reflection"))
    align = _aligned(align_corners)
    _check_shapes(x, points, mode)
    sizes = x.shape[2:]
    flat = points.reshape(x.shape[0], -1, len(sizes))
    axes = [_pixel(flat[..., ~i], size, align) for i, size in enumerate(sizes)]  # y and x, of shape (N, P)
    if mode == "bicubic":
        around = [_four(at, size, padding_mode, align) for at, size in zip(axes, sizes, strict=True)]
    else:
        inside = [_padded(at, size, padding_mode, align) for at, size in zip(axes, sizes, strict=True)]
        around = [_one(at) if mode == "nearest" else _two(at) for at in inside]
    return _sum(x, around).reshape(*x.shape[:2], *points.shape[1:-1])


def _aligned(align_corners: bool | None) -> bool:
    if align_corners is None:
        message = "align_corners is left out and taken to be False; pass align_corners=True or False."
        warnings.warn(message, stacklevel=4)
    return bool(align_corners)


def _check_shapes(x: jax.Array, points: jax.Array, mode: str) -> None:
    if x.ndim not in (4, 5) or (mode == "bicubic" and x.ndim == 5):
        expected = "4 dimensions" if mode == "bicubic" else "4 or 5 dimensions"
        raise ValueError(f"input must have {expected} for mode {mode!r}, got {x.shape}")
    if points.ndim != x.ndim or points.shape[0] != x.shape[0] or points.shape[-1] != x.ndim - 2:
        raise ValueError(
            f"grid must have shape ({x.shape[0]}, …, {x.ndim - 2}) for input {x.shape}, got {points.shape}"
        )
    if min(x.shape[2:]) < 1:
        raise ValueError(f"input must have pixels, got {x.shape}")


def _pixel(at: jax.Array, size: int, align: bool) -> jax.Array:
    """A coordinate from −1 … 1 to pixels."""
    return (at + 1) / 2 * (size - 1) if align else ((at + 1) * size - 1) / 2


def _padded(at: jax.Array, size: int, padding_mode: str, align: bool) -> jax.Array:
    """Where to look instead."""
    if padding_mode == "zeros":
        return at
    if padding_mode == "reflection":
        at = _reflected(at, *((0, size - 1) if align else (-0.5, size - 0.5)))
    at = jnp.where(at > 0, at, 0.0)
    return jnp.where(at < size - 1, at, float(size - 1))


def _reflected(at: jax.Array, low: float, high: float) -> jax.Array:
    span = high - low
    if span == 0:
        return jnp.zeros_like(at)
    at = jnp.where(jnp.isfinite(at), at, low)
    distance = jnp.where(at < low, low - at, at - low)
    flips = lax.stop_gradient(jnp.floor(distance / span))
    rest = distance - flips * span
    return jnp.where(flips % 2 == 0, rest + low, high - rest)


Weighted = list[tuple[jax.Array, jax.Array | None]]  # pixels along one dimension, and their weights (None: 1)


def _one(at: jax.Array) -> Weighted:
    return [(lax.stop_gradient(jnp.round(at)), None)]


def _two(at: jax.Array) -> Weighted:
    left = lax.stop_gradient(jnp.floor(at))
    return [(left, left + 1 - at), (left + 1, at - left)]


def _four(at: jax.Array, size: int, padding_mode: str, align: bool) -> Weighted:
    left = lax.stop_gradient(jnp.floor(at))
    t = at - left
    weights = [_far(t + 1), _near(t), _near(1 - t), _far(2 - t)]
    return [(_padded(left + i - 1, size, padding_mode, align), weight) for i, weight in enumerate(weights)]


def _near(x: jax.Array) -> jax.Array:
    return ((CUBIC_SLOPE + 2) * x - (CUBIC_SLOPE + 3)) * x * x + 1


def _far(x: jax.Array) -> jax.Array:
    return ((CUBIC_SLOPE * x - 5 * CUBIC_SLOPE) * x + 8 * CUBIC_SLOPE) * x - 4 * CUBIC_SLOPE


def _sum(x: jax.Array, around: list[Weighted]) -> jax.Array:
    """Σ pixel · weight over all combinations; x (N, C, *) → (N, C, P)."""
    flat = x.reshape(*x.shape[:2], -1)
    gather = jax.vmap(lambda image, index: image.at[:, index].get(mode="promise_in_bounds"))
    parts = []
    for corner in itertools.product(*around):
        index, inside = _place([pixel for pixel, _ in corner], x.shape[2:])
        part = gather(flat, index)
        part = jnp.where(jnp.broadcast_to(inside[:, None], part.shape), part, jnp.zeros_like(part))
        for weight in _given(corner):  # after the zeros: a coordinate that is NaN gives NaN, as in torch
            part = part * jnp.broadcast_to(weight[:, None], part.shape)
        parts.append(part)
    return sum(parts[1:], parts[0])


def _given(corner: tuple[tuple[jax.Array, jax.Array | None], ...]) -> Iterator[jax.Array]:
    """The product of a corner's weights, if it has any: one array, multiplied before it meets all channels."""
    weights = [weight for _, weight in corner if weight is not None]
    if weights:
        product = weights[0]
        for weight in weights[1:]:
            product = product * weight
        yield product


def _place(pixels: list[jax.Array], sizes: Sequence[int]) -> tuple[jax.Array, jax.Array]:
    """The position in the flattened image, and whether the pixels are inside it at all."""
    index, inside = jnp.zeros(pixels[0].shape, jnp.int32), jnp.ones(pixels[0].shape, bool)
    for pixel, size in zip(pixels, sizes, strict=True):
        inside = inside & (pixel >= 0) & (pixel <= size - 1)
        index = index * size + jnp.clip(pixel, 0, size - 1).astype(jnp.int32)
    return jnp.where(inside, index, 0), inside


@wide_inside
def affine_grid(theta: ArrayLike, size: Sequence[int], align_corners: bool | None = None) -> jax.Array:
    """The grid for `grid_sample` that maps an image affinely.

    Torch: `torch.nn.functional.affine_grid`.
    Shape: theta (N, 2, 3) → (N, H, W, 2); theta (N, 3, 4) → (N, D, H, W, 3).
    Args: theta: the maps, floating-point. size: (N, C, H, W) or (N, C, D, H, W) of the image to be made. align_corners:
        as for `grid_sample`.
    Raises: ValueError when theta and size don't fit; TypeError when theta is not floating-point.
    Differs: nothing.
    Source: ATen `AffineGridGenerator.cpp`.
    """
    maps, rank = check.floating("theta", theta), len(size) - 2
    if rank not in (2, 3) or min(size) < 1:
        raise ValueError(f"size must be (N, C, H, W) or (N, C, D, H, W), all positive, got {tuple(size)}")
    if maps.shape != (size[0], rank, rank + 1):
        raise ValueError(f"theta must have shape {(size[0], rank, rank + 1)} for size {tuple(size)}, got {maps.shape}")
    align = _aligned(align_corners)
    lines = [_line(n, align, maps) for n in size[2:]]
    axes = jnp.meshgrid(*lines, indexing="ij")[::-1]  # x first
    points = jnp.stack([*axes, jnp.ones_like(axes[0])], -1)
    return jnp.einsum("...i,noi->n...o", points, maps, precision=lax.Precision.HIGHEST)


def _line(n: int, align: bool, like: jax.Array) -> jax.Array:
    if n == 1:
        return jnp.zeros(1, like.dtype)
    return jnp.linspace(-1, 1, n, dtype=like.dtype) * (1 if align else (n - 1) / n)
