"""Box and Muller's transform in float32 with Cephes' polynomials, as ATen writes it for vector instructions.

It is written once, for an array module (numpy or jax.numpy) and its way of a fused multiply–add.
"""

from typing import Any

import numpy as np

F = np.float32

# Moshier: Cephes Mathematical Library, single precision: logf.c, sinf.c
LOG: tuple[float, ...] = (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1)
LOG += (-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
LN2_LOW, LN2_HIGH, SQRT_HALF = F(-2.12194440e-4), F(0.693359375), F(0.707106781186547524)
SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
QUARTER_PI = (0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8)  # in three parts
FOUR_OVER_PI = F(1.27323954473516)


def box_muller(u1: Any, theta: Any, xp: Any, fma: Any) -> tuple[Any, Any]:
    """Two normal numbers of a uniform one above 0 and a uniform angle."""
    radius = xp.sqrt(F(-2) * _log(u1, xp, fma))
    cos, sin = _cos_sin(theta, xp, fma)
    return radius * cos, radius * sin


def _log(x: Any, xp: Any, fma: Any) -> Any:
    """Of normal numbers above 0: x = 2ᵉ · m with m from √½ to √2."""
    bits = x.view(np.int32)
    m = ((bits & 0x007FFFFF) | 0x3F000000).view(F)  # from ½ to 1
    small = m < SQRT_HALF
    e = ((bits >> 23) - 126 - small.astype(np.int32)).astype(F)
    m = xp.where(small, m + (m - F(1)), m - F(1))
    square = m * m
    y = _horner(LOG, m, fma) * m
    y = fma(y, square, e * LN2_LOW)
    y = y - F(0.5) * square
    return fma(e, LN2_HIGH, m + y)


def _cos_sin(x: Any, xp: Any, fma: Any) -> tuple[Any, Any]:
    """Of numbers from 0 on: x less a multiple of π/2, and which quarter that was."""
    octant = ((FOUR_OVER_PI * x).astype(np.int32) + 1) & ~1
    for part in QUARTER_PI:
        x = fma(octant.astype(F), F(-part), x)
    square = x * x
    cos = _horner(COS, square, fma) * square
    cos = fma(cos, square, F(-0.5) * square) + F(1)
    sin = _horner(SIN, square, fma) * square
    sin = fma(sin, x, x)
    swapped = (octant & 2) != 0
    cos, sin = xp.where(swapped, sin, cos), xp.where(swapped, cos, sin)
    cos_negative = ((octant - 2) & 4) == 0
    return xp.where(cos_negative, -cos, cos), xp.where((octant & 4) != 0, -sin, sin)


def _horner(coefficients: tuple[float, ...], x: Any, fma: Any) -> Any:
    value = fma(x, F(coefficients[0]), F(coefficients[1]))
    for coefficient in coefficients[2:]:
        value = fma(value, x, F(coefficient))
    return value
