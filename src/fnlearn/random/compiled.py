"""Whole blocks of arithmetic by XLA, where that gives the very numbers of the exact emulation in numpy.

XLA's compiler for the host fuses a multiplication with the addition that follows, as torch's compiler does, but nobody
promises it. So the first block of each kind is computed in both ways: where a single bit differs, numpy goes on alone.
Every block runs the same instructions, and a product that is rounded by itself shows in a third of all sums.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.random.fused import fma

BLOCK = 1 << 18  # draws at a time: few enough to stay in the cache, and enough to outweigh a call; a multiple of 16

Arrays = tuple[np.ndarray, ...]
Kernel = Callable[..., tuple[Any, ...]]  # (array module, fused multiply–add, dtype of the result, *arrays) → arrays


def run(kernel: Kernel, dtype: np.dtype, *args: np.ndarray) -> Arrays:
    """The kernel by numpy, or compiled where its first array is as long as a block's."""
    whole = args[0].size in (BLOCK, BLOCK // 2)
    program = _program(kernel, dtype, tuple((x.dtype, x.size) for x in args)) if whole else None
    return kernel(np, fma, dtype, *args) if program is None else program(*args)


@cache
def _program(
    kernel: Kernel, dtype: np.dtype, signature: tuple[tuple[np.dtype, int], ...]
) -> Callable[..., Arrays] | None:
    """The kernel compiled for the host, if it gives what numpy gives on a sample."""
    try:
        host = jax.devices("cpu")[0]
    except RuntimeError:  # JAX was told to leave it alone
        return None
    sample = [_sample(*each) for each in signature]
    with jax.enable_x64(True), jax.default_device(host):
        program = jax.jit(lambda *args: kernel(jnp, _plainly, dtype, *args)).lower(*sample).compile()

    def call(*args: np.ndarray) -> Arrays:
        with jax.enable_x64(True):
            return tuple(np.asarray(x) for x in program(*args))

    pairs = zip(call(*sample), kernel(np, fma, dtype, *sample), strict=True)
    return call if all(found.tobytes() == x.tobytes() for found, x in pairs) else None


def _sample(dtype: np.dtype, size: int) -> np.ndarray:
    """Words, or one number between 0 and 1."""
    drawn = np.random.default_rng(size)
    if dtype.kind == "u":
        return drawn.integers(0, np.iinfo(dtype).max, size, dtype, endpoint=True)
    return np.asarray(drawn.random(), dtype)


def _plainly(a: Any, b: Any, c: Any) -> Any:
    return a * b + c
