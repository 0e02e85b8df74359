"""a · b + c with one rounding, as the processor's fused multiply–add has it and numpy has not."""

from typing import Any

import numpy as np

Number = Any  # an array, or a number of its dtype

TIE, BELOW = 0x10000000, 0x1FFFFFFF  # of the 29 bits that a float64 has and a float32 has not
SMALLEST_NORMAL = 2.0**-126
SPLIT = 2.0**27 + 1


def fma(a: np.ndarray, b: Number, c: Number) -> np.ndarray:
    """The sum a · b + c in the dtype of a, float32 or float64, rounded once."""
    return fma32(a, b, c) if a.dtype == np.float32 else fma64(a, b, c)


def fma32(a: np.ndarray, b: Number, c: Number) -> np.ndarray:
    """The product of two float32 is exact in float64; only the sum there may round, and then once more to float32."""
    product, addend = a * b.astype(np.float64), c.astype(np.float64)
    total = product + addend
    halfway = (total.view(np.int64) & BELOW) == TIE
    if halfway.any() or (np.abs(total) < SMALLEST_NORMAL).any():  # rounding twice may matter
        total = _odd(total, _lost(product, addend, total))
    return total.astype(np.float32)


def fma64(a: np.ndarray, b: Number, c: Number) -> np.ndarray:
    """Boldo, Melquiond: Emulation of FMA and Correctly Rounded Sums (2008), for results that don't overflow."""
    high = a * b
    low = _product_lost(a, b, high)
    near = c + low
    rest = _lost(c, low, near)
    total = near + high
    small = _lost(near, high, total)
    tail = small + rest
    return total + _odd(tail, _lost(small, rest, tail))


def _lost(x: Number, y: Number, total: np.ndarray) -> np.ndarray:
    """What rounding took from total = x + y, exactly (Knuth)."""
    part = total - x
    return (x - (total - part)) + (y - part)


def _product_lost(x: np.ndarray, y: Number, product: np.ndarray) -> np.ndarray:
    """What rounding took from product = x · y, exactly (Dekker, Veltkamp)."""
    (x1, x2), (y1, y2) = _halves(x), _halves(y)
    return x2 * y2 - (((product - x1 * y1) - x2 * y1) - x1 * y2)


def _halves(x: Number) -> tuple[Number, Number]:
    scaled = SPLIT * x
    high = scaled - (scaled - x)
    return high, x - high


def _odd(rounded: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Of the two neighbours of an inexact number the one with an odd last bit: rounding that again is rounding once."""
    even = (rounded.view(np.int64) & 1) == 0
    return np.where(even & (lost != 0), np.nextafter(rounded, np.copysign(np.inf, lost)), rounded)
