"""How a kernel moves over its input, and what it sees there."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Shape = tuple[int, ...]


class Window(NamedTuple):
    """One number a dimension; padding is (before, after)."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    input_dilation: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def outputs(self, sizes: Shape, kernel: Shape) -> Shape:
        """How many windows fit in each dimension."""
        rows = zip(sizes, kernel, self.strides, self.padding, self.input_dilation, self.dilation, strict=True)
        return tuple(((n - 1) * gap + sum(ends) - d * (k - 1)) // s + 1 for n, k, s, ends, gap, d in rows)


again = partial(jax.checkpoint, prevent_cse=False)
"""Of a loop's step: what it makes of the input is made again where it is needed; the transpose of its transpose would
keep the windows of all steps."""


def padded(x: jax.Array, window: Window) -> jax.Array:
    """The last dimensions spread out by the input's dilation, with zeros around; a negative number cuts off."""
    ends = [(low, high, gap - 1) for (low, high), gap in zip(window.padding, window.input_dilation, strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * (x.ndim - len(ends)) + ends)


def taps(x: jax.Array, kernel: Shape, outputs: Shape, window: Window) -> Iterator[tuple[Shape, jax.Array]]:
    """For each element of the kernel, what it sees of the padded input."""
    first = x.ndim - len(kernel)
    for tap in itertools.product(*map(range, kernel)):
        starts = [d * i for d, i in zip(window.dilation, tap, strict=True)]
        ends = [i + (m - 1) * s + 1 for i, m, s in zip(starts, outputs, window.strides, strict=True)]
        whole = x.shape[:first]
        yield tap, lax.slice(x, (0,) * first + tuple(starts), (*whole, *ends), (1,) * first + window.strides)


def untaps(parts: list[jax.Array], sizes: Shape, kernel: Shape, window: Window) -> jax.Array:
    """The transpose of `taps` of a padded input: every part is added where it was seen."""
    lead, outputs = parts[0].shape[: -len(kernel)], parts[0].shape[-len(kernel) :]
    image = jax.ShapeDtypeStruct((*lead, *sizes), parts[0].dtype)
    seen = lambda x: [part for _, part in taps(padded(x, window), kernel, outputs, window)]  # noqa: E731
    (x,) = jax.linear_transpose(seen, image)(parts)
    return x


def reversed_convolution(w: jax.Array, sizes: Shape, outputs: Shape, window: Window) -> tuple[jax.Array, Window]:
    """The kernel and the window of the input's gradient, which is a convolution of the outputs' gradient: spread out by
    the strides, the kernel reversed and its channels exchanged.
    """
    pads, ones = [], (1,) * len(sizes)
    for n, m, k, s, d, (low, _) in zip(
        sizes, outputs, w.shape[2:], window.strides, window.dilation, window.padding, strict=True
    ):
        pads.append((d * (k - 1) - low, n - (m - 1) * s - 1 + low))
    grouped = w.reshape(window.groups, -1, *w.shape[1:]).swapaxes(1, 2)
    kernel = jnp.flip(grouped.reshape(-1, w.shape[0] // window.groups, *w.shape[2:]), range(2, w.ndim))
    return kernel, Window(ones, tuple(pads), window.strides, window.dilation, window.groups)
