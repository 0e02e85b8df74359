"""Uniform numbers from the words of the stream, as ATen makes them."""

from typing import Any

import numpy as np

from fnlearn.random import compiled

BITS = {4: 24, 8: 53}  # that a uniform number has, by the bytes of what it is made of


def wide(words: np.ndarray) -> np.ndarray:
    """(2n,) words → (n,) uint64: the first of two words is the high one."""
    high = words[0::2].astype(np.uint64)
    high <<= np.uint64(32)
    high |= words[1::2]
    return high


def unit(drawn: Any) -> Any:
    """uint32 → float32 and uint64 → float64, in [0, 1)."""
    bits = BITS[drawn.dtype.itemsize]
    number = np.float32 if bits == 24 else np.float64
    return (drawn & drawn.dtype.type(2**bits - 1)).astype(number) * number(2.0**-bits)


def between(drawn: np.ndarray, low: float, high: float, dtype: np.dtype, fused: bool) -> np.ndarray:
    """U(low, high) of a dtype; what rounds up to the bound becomes the lower one, as in torch."""
    inner: type[np.floating] = np.float32 if drawn.dtype == np.uint32 else np.float64
    low_, high_ = inner(low), inner(high)
    if fused and (low or high != 1 or dtype != inner):
        (values,) = compiled.run(_stretched, dtype, drawn, np.asarray(high_ - low_), np.asarray(low_))
    else:
        values = unit(drawn) if high == 1 and not low else unit(drawn) * (high_ - low_) + low_
        values = values.astype(dtype, copy=False)
    top = values == high_.astype(dtype)
    return np.where(top, np.asarray(low_).astype(dtype), values) if top.any() else values


def _stretched(xp: Any, fma: Any, dtype: np.dtype, drawn: Any, width: Any, low: Any) -> tuple[Any]:
    return (fma(unit(drawn), width, low).astype(dtype),)
