"""Normally distributed numbers from uniform ones: Box and Muller's transform in the three forms that ATen has.

Below 16 numbers each pair is made in float64, and its second half is kept for the next call. From 16 on the numbers are
made in groups of 16, the first eight the radius and the last eight the angle; in float32 a processor with vector
instructions then takes log, sine and cosine from polynomials.
"""

from typing import Any

import numpy as np

from fnlearn.random import cephes, compiled, libm
from fnlearn.random.fused import fma
from fnlearn.random.uniform import unit

GROUP = 16


def pairs(u1: np.ndarray, u2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two standard normal numbers of each pair of float64 uniform ones, for what is drawn one by one."""
    radius = np.sqrt(-2.0 * libm.log1p(-u2))
    cos, sin = libm.cos_sin(2 * np.pi * u1)
    return radius * cos, radius * sin


def scaled(normal: np.ndarray, mean: float, std: float, fused: bool) -> np.ndarray:
    """N(0, 1) → N(mean, std²)."""
    mean_, std_ = (np.asarray(value, normal.dtype) for value in (mean, std))
    return fma(normal, std_, mean_) if fused and mean else normal * std_ + mean_  # + 0 takes the sign from −0


def fill(part: np.ndarray, drawn: np.ndarray, mean: float, std: float, vector: bool) -> None:
    """As many normal numbers as there are words, or pairs of them: a multiple of 16."""
    inner = np.float32 if drawn.dtype == np.uint32 else np.float64
    constants = [np.asarray(value, inner) for value in (2 * np.pi, std, mean)]
    first, second = (half.ravel().view(drawn.dtype) for half in _halves(drawn))
    if vector and inner is np.float32:
        made = compiled.run(_cephes, part.dtype, first, second, *constants)
    else:
        made = _library(part.dtype, first, second, mean, std)
    for half, values in zip(_halves(part), made, strict=True):
        half[...] = values.view(half.dtype)


def _halves(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first eight of each group and the last eight; each eight is one item, which numpy copies faster."""
    eights = groups.view(np.dtype((np.void, GROUP // 2 * groups.itemsize)))
    return eights[0::2], eights[1::2]


def _cephes(xp: Any, fma: Any, dtype: np.dtype, first: Any, second: Any, turn: Any, std: Any, mean: Any) -> Any:
    """A full turn is an argument since XLA multiplies constants with each other first."""
    halves = cephes.box_muller(np.float32(1) - unit(first), turn * unit(second), xp, fma)
    return tuple(fma(half, std, mean).astype(dtype) for half in halves)


def _library(dtype: np.dtype, first: np.ndarray, second: np.ndarray, mean: float, std: float) -> compiled.Arrays:
    """The angle is multiplied in float64 and then rounded."""
    radius, u2 = np.sqrt(-2 * libm.log(1 - unit(first))), unit(second)
    halves = libm.cos_sin((2 * np.pi * u2.astype(np.float64)).astype(u2.dtype))
    return tuple(scaled(radius * half, mean, std, True).astype(dtype, copy=False) for half in halves)
