"""Truncated normal numbers: everything is drawn again, and taken where the last draw was refused."""

import math
from typing import TYPE_CHECKING

import numpy as np

from fnlearn.random import libm

if TYPE_CHECKING:
    from fnlearn.random.generator import TorchGenerator


def draw(
    source: "TorchGenerator", mean: float, std: float, a: float, b: float, shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """As torch: normal numbers where enough of them fall in [a, b], else uniform ones by the density."""
    inside = _below((b - mean) / std) - _below((a - mean) / std)
    options = (source, mean, std, a, b, shape, dtype)
    return _from_normal(*options) if inside > 0.3 else _from_uniform(*options)


def _below(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _from_normal(
    source: "TorchGenerator", mean: float, std: float, a: float, b: float, shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    low, high = (np.asarray(bound).astype(dtype) for bound in (a, b))
    drawn = source.normal(mean, std, shape, dtype=dtype)
    while (refused := (drawn < low) | (drawn > high)).any():
        drawn = np.where(refused, source.normal(mean, std, shape, dtype=dtype), drawn)
    return drawn


def _from_uniform(
    source: "TorchGenerator", mean: float, std: float, a: float, b: float, shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    drawn, refused = np.zeros(shape, dtype), np.ones(shape, bool)
    while refused.any():
        proposed = source.uniform(a, b, shape, dtype=dtype)
        drawn = np.where(refused, proposed, drawn)
        refused &= _log(source.rand(shape, dtype=dtype)) > _log_density(proposed, mean, std, peak)
    return drawn


def _log(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return libm.log(x.astype(np.float64)).astype(x.dtype)


def _log_density(x: np.ndarray, mean: float, std: float, peak: float) -> np.ndarray:
    """−½ ((x − mean) / std)² − peak, each step rounded to x's dtype."""
    inner = np.float64 if x.dtype == np.float64 else np.float32
    steps = (lambda v: v - inner(mean), lambda v: v / inner(std), lambda v: v * v, lambda v: v * inner(-0.5))
    for step in (*steps, lambda v: v - inner(peak)):
        x = step(x.astype(inner)).astype(x.dtype)
    return x
