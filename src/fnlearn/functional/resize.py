"""Resizing: every mode is a banded matrix along each dimension, whose few taps are known before anything is computed.

A table of taps says which inputs an output sums, and with what weights. Its transpose is such a table too, so that the
gradient gathers as the value does, and nothing is scattered.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike

MANY_TAPS = 16  # above so many, a product with the whole matrix is faster than gathering
RANKS = {"linear": (3,), "bilinear": (4,), "trilinear": (5,), "bicubic": (4,), "lanczos": (4,)}
MODES = ("nearest", "nearest-exact", "area", *RANKS)
Sizes = int | Sequence[int]
Factors = float | Sequence[float]


class Taps(NamedTuple):
    """What each output sums: inputs and weights (outputs, taps), and which taps count at all."""

    source: np.ndarray
    weight: np.ndarray
    valid: np.ndarray


def interpolate(
    input: ArrayLike,
    size: Sizes | None = None,
    scale_factor: Factors | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> jax.Array:
    """Resize the spatial dimensions, to a size or by a factor.

    Torch: `torch.nn.functional.interpolate`.
    Shape: (N, C, *) of one, two or three spatial dimensions → (N, C, *size).
    Args: input: floating-point, or uint8. size: one number, or one for each spatial dimension. scale_factor: likewise,
        instead of size. mode: "nearest", "nearest-exact", "linear" (3-D input), "bilinear", "bicubic", "lanczos" (4-D),
        "trilinear" (5-D) or "area". align_corners: whether the corners' centres coincide; for the linear modes and
        bicubic only. recompute_scale_factor: derive the factor again from the rounded size. antialias: widen the filter
        when shrinking; for bilinear, bicubic and lanczos, which needs it.
    Raises: ValueError when sizes, mode and options don't fit; TypeError when input is neither float nor uint8.
    Differs: where a scale_factor leaves the size as it is, torch's bicubic gradient is the identity's, ours the
        function's. uint8 is computed in float32 and rounded once, torch after each dimension: by 1 apart, by up to 8
        seen in bicubic mode, which overshoots. Where an output sums more than 16 inputs, a NaN or infinity reaches all
        outputs of its row.
    Source: ATen `UpSample.h`, `UpSampleKernel.cpp`; Keys: Cubic convolution interpolation (1981).
    """
    x = check.number("input", input)
    if x.dtype != jnp.uint8:
        x = check.floating("input", x)
    check.option("mode", mode, MODES)
    if x.ndim not in RANKS.get(mode, (3, 4, 5)):
        raise ValueError(f"input must have {RANKS.get(mode, (3, 4, 5))} dimensions for mode {mode!r}, got {x.shape}")
    _check_options(x, mode, align_corners, antialias)
    sizes, factors = _sizes(
        x, size, scale_factor, mode == "area" or bool(recompute_scale_factor), recompute_scale_factor
    )
    tables = [
        _table(mode, old, new, factor, bool(align_corners), antialias)
        for old, new, factor in zip(x.shape[2:], sizes, factors, strict=True)
    ]
    if mode.startswith("nearest"):
        return _each_dimension(_pick, x, tables)
    if x.dtype == jnp.uint8:
        return jnp.clip(jnp.round(_sums(x.astype(jnp.float32), tables)), 0, 255).astype(x.dtype)
    return _sums(x, tables)


def upsample(
    input: ArrayLike,
    size: Sizes | None = None,
    scale_factor: Factors | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> jax.Array:
    """Deprecated name of `interpolate`.

    Torch: `torch.nn.functional.upsample`.
    Shape: (N, C, *) → (N, C, *size).
    Args: input, size, scale_factor, mode, align_corners: as for `interpolate`.
    Raises: as `interpolate`; warns that it is deprecated.
    Differs: as `interpolate`.
    Source: `torch.nn.functional.upsample`.
    """
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: ArrayLike, size: Sizes | None = None, scale_factor: Factors | None = None) -> jax.Array:
    """Deprecated name of `interpolate` with mode "nearest".

    Torch: `torch.nn.functional.upsample_nearest`.
    Shape: (N, C, *) → (N, C, *size).
    Args: input, size, scale_factor: as for `interpolate`.
    Raises: as `interpolate`; warns that it is deprecated.
    Differs: nothing.
    Source: `torch.nn.functional.upsample_nearest`.
    """
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: ArrayLike, size: Sizes | None = None, scale_factor: Factors | None = None) -> jax.Array:
    """Deprecated name of `interpolate` with mode "bilinear" and aligned corners.

    Torch: `torch.nn.functional.upsample_bilinear`.
    Shape: (N, C, H, W) → (N, C, *size).
    Args: input, size, scale_factor: as for `interpolate`.
    Raises: as `interpolate`; warns that it is deprecated.
    Differs: as `interpolate`.
    Source: `torch.nn.functional.upsample_bilinear`.
    """
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, "bilinear", True)


def _deprecated(name: str) -> None:
    warnings.warn(f"{name} is deprecated; use interpolate.", stacklevel=3)


def _check_options(x: jax.Array, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError(f"align_corners must be left out for mode {mode!r}, got {align_corners}")
    if antialias and mode not in ("bilinear", "bicubic", "lanczos"):
        raise ValueError(f"antialias needs mode 'bilinear', 'bicubic' or 'lanczos', got {mode!r}")
    if mode == "lanczos" and (align_corners or not antialias):
        raise ValueError(f"mode 'lanczos' needs antialias=True and no align_corners, got {antialias}, {align_corners}")
    if min(x.shape[1:]) < 1:
        raise ValueError(f"input must not be empty but for its batch, got {x.shape}")


def _sizes(
    x: jax.Array, size: Sizes | None, scale_factor: Factors | None, forget: bool, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    """The new sizes, and the factors that positions are computed with: None where the sizes' ratio serves."""
    rank = x.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ValueError(f"exactly one of size and scale_factor must be given, got {size} and {scale_factor}")
    factors: list[float] = []
    if scale_factor is None:
        if recompute:
            raise ValueError("recompute_scale_factor needs scale_factor, got size")
        sizes = _expand("size", size, rank)
        if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in sizes):
            raise TypeError(f"size must be made of integers, got {size}")
    else:
        factors = [float(f) for f in _expand("scale_factor", scale_factor, rank)]
        sizes = [int(n * f) for n, f in zip(x.shape[2:], factors, strict=True)]
    if min(sizes) < 1:
        raise ValueError(f"the new size must be positive, got {sizes} from input {x.shape}")
    return sizes, [None if forget or f <= 0 else f for f in factors] or [None] * rank


def _expand(name: str, value: Any, rank: int) -> list[Any]:
    if not isinstance(value, Sequence | np.ndarray):
        return [value] * rank
    if len(value) != rank:
        raise ValueError(f"{name} must have one number for each of {rank} spatial dimension(s), got {tuple(value)}")
    return list(value)


def _table(mode: str, old: int, new: int, factor: float | None, align: bool, antialias: bool) -> Taps:
    if mode.startswith("nearest"):
        return _nearest(old, new, factor, 0.5 if mode == "nearest-exact" else 0.0)
    if mode == "area":
        return _area(old, new)
    step = (old - 1) / max(new - 1, 1) if align else 1 / factor if factor else old / new
    if antialias:
        return _antialiased(mode, old, new, (old - 1) / (new - 1) if align and new > 1 else 0.0 if align else step)
    centres = np.arange(new) * step if align else (np.arange(new) + 0.5) * step - 0.5
    if mode == "bicubic":
        return _cubic(old, centres)
    return _linear(old, np.arange(new, dtype=float) if old == new else np.maximum(centres, 0))


def _taps(index: np.ndarray, weight: np.ndarray, counts: np.ndarray | None = None) -> Taps:
    return Taps(index, weight, np.ones(index.shape, bool) if counts is None else counts)


def _nearest(old: int, new: int, factor: float | None, shift: float) -> Taps:
    """In float32, whatever the input's dtype, as ATen does: rounding decides which input is the nearest."""
    positions = np.arange(new)
    if old != new and new != 2 * old:
        step = np.float32(1 / factor) if factor else np.float32(old) / np.float32(new)
        centres = (positions.astype(np.float32) + np.float32(shift)) * step
        positions = np.minimum(np.floor(centres).astype(int), old - 1)
    elif new == 2 * old:
        positions = positions // 2
    return _taps(positions[:, None], np.ones((new, 1)))


def _area(old: int, new: int) -> Taps:
    first = np.arange(new) * old // new
    last = -(-(np.arange(1, new + 1) * old) // new)
    offsets = np.arange((last - first).max())[None, :]
    counts = offsets < (last - first)[:, None]
    weight = np.where(counts, 1 / (last - first)[:, None], 0)
    return _taps(np.where(counts, first[:, None] + offsets, first[:, None]), weight, counts)


def _linear(old: int, centres: np.ndarray) -> Taps:
    left = np.minimum(centres.astype(int), old - 1)
    right = np.minimum(left + 1, old - 1)
    share = np.clip(centres - left, 0, 1)
    return _taps(np.stack([left, right], 1), np.stack([1 - share, share], 1))


def _cubic(old: int, centres: np.ndarray) -> Taps:
    left = np.floor(centres)
    offsets = np.arange(-1, 3)
    index = np.clip(left[:, None].astype(int) + offsets, 0, old - 1)
    return _taps(index, _keys((centres - left)[:, None] - offsets, -0.75))


def _antialiased(mode: str, old: int, new: int, step: float) -> Taps:
    """A filter as wide as the outputs lie apart, cut off at the border, and with weights that sum to 1."""
    radius, shape = FILTERS[mode]
    stretch = max(step, 1.0)
    support = radius * stretch
    centres = step * (np.arange(new) + 0.5)
    first = np.maximum((centres - support + 0.5).astype(int), 0)
    last = np.minimum((centres + support + 0.5).astype(int), old)
    offsets = np.arange(max((last - first).max(), 1))[None, :]
    counts = offsets < (last - first)[:, None]
    index = np.where(counts, first[:, None] + offsets, np.minimum(first, old - 1)[:, None])
    weight = np.where(counts, shape((index - centres[:, None] + 0.5) / stretch), 0)
    total = weight.sum(1, keepdims=True)
    return _taps(index, weight / np.where(total == 0, 1, total), counts)


def _keys(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic of slope a at 1."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


FILTERS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "bilinear": (1.0, lambda x: np.maximum(1 - np.abs(x), 0)),
    "bicubic": (2.0, lambda x: _keys(x, -0.5)),
    "lanczos": (3.0, lambda x: np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)),
}


def _each_dimension(apply: Callable[..., jax.Array], x: jax.Array, tables: list[Taps]) -> jax.Array:
    """Those that shrink come first, so that what is between is small."""
    growth = [len(taps.source) / old for taps, old in zip(tables, x.shape[2:], strict=True)]
    for i in sorted(range(len(tables)), key=growth.__getitem__):
        x = apply(x, tables[i], i + 2)
    return x


@wide_inside
def _sums(x: jax.Array, tables: list[Taps]) -> jax.Array:
    return _each_dimension(_weighted, x, tables)


def _pick(x: jax.Array, taps: Taps, axis: int) -> jax.Array:
    """One input for each output; whole repetitions are broadcast, for their gradient is then a plain sum."""
    index, old = taps.source[:, 0], x.shape[axis]
    times = len(index) // old
    if times and np.array_equal(index, np.repeat(np.arange(old), times)):
        wide = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
        return jnp.broadcast_to(jnp.expand_dims(x, axis + 1), wide).reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
    return _weighted(x, taps, axis) if jnp.issubdtype(x.dtype, jnp.floating) else jnp.take(x, index, axis)


def _weighted(x: jax.Array, taps: Taps, axis: int) -> jax.Array:
    if taps.source.shape[1] > MANY_TAPS:
        return _product(x, taps, axis)
    shape = [1] * x.ndim
    shape[axis] = len(taps.source)
    total: Any = 0
    for index, weight, counts in zip(taps.source.T, taps.weight.T, taps.valid.T, strict=True):
        part = jnp.take(x, index, axis, mode="clip")
        if not (weight == 1).all():
            part = part * jnp.broadcast_to(jnp.asarray(weight, x.dtype).reshape(shape), part.shape)
        if not counts.all():  # not a product with 0, which NaN and infinity would survive
            part = jnp.where(jnp.broadcast_to(counts.reshape(shape), part.shape), part, jnp.zeros_like(part))
        total = total + part
    return total


def _product(x: jax.Array, taps: Taps, axis: int) -> jax.Array:
    matrix = np.zeros((len(taps.source), x.shape[axis]))
    np.add.at(matrix, (np.arange(len(taps.source))[:, None], taps.source), taps.weight)
    y = lax.dot_general(x, jnp.asarray(matrix, x.dtype), (((axis,), (1,)), ((), ())), precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(y, -1, axis)
