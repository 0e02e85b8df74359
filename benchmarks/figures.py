"""How numbers are written in the tables."""

import math
from collections.abc import Iterable


def times(ratio: float) -> str:
    """Three digits of it, and no exponent."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def unit(seconds: float) -> tuple[float, str]:
    """The unit in which a time is a number from 1 up, and how many of it a second has."""
    return next(((f, n) for f, n in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if seconds * f >= 1), (1e9, "ns"))


def duration(seconds: float) -> str:
    """With its unit."""
    factor, name = unit(seconds)
    return f"{seconds * factor:.3g} {name}"


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows))


def mean_times(ratios: Iterable[float | None]) -> str:
    """The geometric mean of those that are there, "–" where none is."""
    there = [ratio for ratio in ratios if ratio is not None]
    return f"{times(geometric_mean(there))}×" if there else "–"


def geometric_mean(ratios: Iterable[float]) -> float:
    """The ratio that counts twice as fast and half as fast alike."""
    logarithms = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logarithms) / len(logarithms))
