"""A permutation by Fisher and Yates's exchanges."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import lapack  # type: ignore[import-untyped]

LARGE = (2**32 - 1) // 20  # from here on 32 bits are too few for torch to choose a position fairly


def permutation(n: int, words: Callable[[int], np.ndarray], words64: Callable[[int], np.ndarray]) -> np.ndarray:
    """0 … n − 1 in torch's random order: exchanged from the front on by words below LARGE, else from within by two."""
    place = np.arange(n, dtype=np.int64)
    if n < 2:
        return place
    if n < LARGE:
        other = words(n - 1) % np.arange(n, 1, -1, dtype=np.uint32)
        other += np.arange(n - 1, dtype=np.uint32)
    else:
        other = words64(n) % np.arange(1, n + 1, dtype=np.uint64)
    return exchanged(place, other)


def exchanged(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`values` after values[i] ↔ values[other[i]] for i = 0, 1, …: LAPACK's row exchanges, of rows of one number.

    Integers travel as the float64 of the same bits, which is only moved.
    """
    rows = values.view(np.float64).reshape(-1, 1)
    return lapack.dlaswp(rows, other.astype(np.int32), overwrite_a=1).ravel().view(np.int64)
