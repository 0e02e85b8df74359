"""How a kernel moves over its input."""

from typing import NamedTuple


class Window(NamedTuple):
    """One number a dimension; padding is (before, after)."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    input_dilation: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def outputs(self, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
        """How many windows fit in each dimension, where the input is not dilated."""
        rows = zip(sizes, kernel, self.strides, self.padding, self.dilation, strict=True)
        return tuple((n + sum(ends) - d * (k - 1) - 1) // s + 1 for n, k, s, ends, d in rows)
