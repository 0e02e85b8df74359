"""What both sides are asked, and how numbers reach them: the same on both, rounded to the dtype under test."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.tree import as_numpy


class Inputs(NamedTuple):
    """A call with both positional and keyword arguments.

    Args: args: the positional ones. kwargs: the keyword ones.
    Raises: nothing.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


Call = tuple[Any, ...] | Mapping[str, Any] | Inputs
Losses = tuple[Callable[[Any], Any], Callable[[Any], Any]]
SEED = 7
MODES = ("eval", "train")


class Request(NamedTuple):
    """One call: computed in a dtype, of numbers that were rounded to the one that is seen."""

    call: int
    dtype: str
    seen: str
    train: bool

    @property
    def wide(self) -> "Request":
        """The same in float64."""
        return self._replace(dtype="float64")

    @property
    def at(self) -> str:
        """Where its leaves belong, as long as there is one call."""
        return f"{MODES[self.train]}.{self.dtype}"

    def among(self, calls: Sequence[Call]) -> str:
        """Where its leaves belong: mode.dtype, and the call's number where there are several."""
        return self.at if len(calls) == 1 else f"{self.at}[{self.call}]"


def requests(calls: Sequence[Call], dtypes: Sequence[str], modes: Sequence[str]) -> list[Request]:
    """What is asked of each side: every mode, dtype and call, float64 always among the dtypes."""
    if unknown := set(modes) - set(MODES):
        raise ValueError(f"modes must be of {MODES}, got {sorted(unknown)}")
    return [
        Request(position, dtype, dtype, mode == "train")
        for mode in modes
        for dtype in dict.fromkeys((*dtypes, "float64"))
        for position in range(len(calls))
    ]


def calls_of(inputs: Call | list[Call]) -> list[Call]:
    """One call or several, as several."""
    return inputs if isinstance(inputs, list) else [inputs]


def arguments(call: Call, read: Callable[[Any], Any] = as_numpy) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments, tensors among them as arrays."""
    if isinstance(call, Inputs):
        args, kwargs = tuple(call.args), dict(call.kwargs)
    else:
        args, kwargs = ((), dict(call)) if isinstance(call, Mapping) else (tuple(call), {})
    return jax.tree.map(lambda x: read(x) if hasattr(x, "shape") else x, (args, kwargs))


def plain(out: Any) -> Any:
    """A model's output as dicts and lists, without what is None."""
    if isinstance(out, Mapping):
        return {str(key): plain(value) for key, value in out.items() if value is not None}
    if dataclasses.is_dataclass(out) and not isinstance(out, type):
        return plain({part.name: getattr(out, part.name) for part in dataclasses.fields(out)})
    if isinstance(out, tuple | list):
        return [plain(value) for value in out if value is not None]
    return out


def array(value: Any, dtype: str) -> Any:
    """Floats in the dtype under test; Python's own numbers stay as they are, for options that must be known."""
    if not hasattr(value, "shape"):
        return value
    if jnp.issubdtype(value.dtype, jnp.complexfloating):
        return jnp.asarray(value, complex_of(dtype))
    return jnp.asarray(value, dtype) if jnp.issubdtype(value.dtype, jnp.floating) else jnp.asarray(value)


def complex_of(dtype: str) -> str:
    """The dtype of complex numbers beside real ones of a dtype."""
    return "complex128" if dtype == "float64" else "complex64"


def is_float(x: Any) -> bool:
    """Whether it is an array of real or complex numbers."""
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.inexact)


def cotangent(position: int, shape: tuple[int, ...], whole: bool) -> np.ndarray:
    """The random numbers that the output of a position is multiplied by; whole: whether they are complex, as it is."""
    draw = np.random.default_rng((SEED, position))
    real = np.asarray(draw.standard_normal(tuple(shape)))
    return real + 1j * draw.standard_normal(tuple(shape)) if whole else real


def float64_for(dtype: str) -> contextlib.AbstractContextManager[Any]:
    """JAX's switch, where a dtype needs it."""
    return jax.enable_x64(dtype == "float64" or has_x64())


def has_x64() -> bool:
    """Whether JAX has float64 at the moment."""
    return jax.dtypes.canonicalize_dtype("float64") == np.float64
