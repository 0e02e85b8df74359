"""Random numbers that both sides share, so that a model which draws in training can be compared number by number.

Torch's kernels that draw are met below autograd, where every dropout of a module is one `bernoulli_`. Both sides get
numbers of ours: draw k of a step those of a numpy generator of its own. JAX's functions get them from `jax.random`.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap

from fnlearn.equivalence.asked import SEED


class Draw(NamedTuple):
    """Numbers that the torch side drew.

    Args: kind: "bernoulli", "uniform" or "normal". shape: torch's. p: of bernoulli, the probability of 1. step: of a
        run. position: among the draws of the step.
    """

    kind: str
    shape: tuple[int, ...]
    p: float
    step: int
    position: int

    @property
    def values(self) -> np.ndarray:
        """The numbers, in float64; of bernoulli bools."""
        source = np.random.default_rng((SEED, self.step, self.position))
        if self.kind == "normal":
            return np.asarray(source.standard_normal(self.shape))
        uniform = np.asarray(source.random(self.shape))
        return uniform < self.p if self.kind == "bernoulli" else uniform


@contextmanager
def drawn(seen: str, step: int = 0) -> Iterator[list[Draw]]:
    """Torch draws our numbers, rounded to the dtype that is seen; gives the list of what it drew."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    draws: list[Draw] = []

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = kwargs or {}
            out = func(*args, **given)
            kind, names = _KINDS.get(str(func), ("", ()))
            if not kind or not out.is_floating_point():
                return out
            named = {**_DEFAULTS, **given, **dict(zip(names, args[1:], strict=False))}
            options = [named[name] for name in names]
            p = float(options[0]) if kind == "bernoulli" else math.nan
            draws.append(Draw(kind, tuple(out.shape), p, step, len(draws)))
            values = torch.from_numpy(np.array(draws[-1].values, "float64"))
            if kind == "bernoulli":
                return out.copy_(values)
            low, high = options or (0.0, 1.0)
            scale = high if kind == "normal" else high - low  # the standard deviation, or the width
            return out.copy_((low + scale * values).to(getattr(torch, seen)))

    with Mode():
        yield draws


_DEFAULTS = {"p": 0.5, "from": 0.0, "to": 1.0, "mean": 0.0, "std": 1.0}
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {  # of torch's kernels: what they draw, and their options
    "aten.bernoulli_.float": ("bernoulli", ("p",)),
    "aten.bernoulli.p": ("bernoulli", ("p",)),
    "aten.rand.default": ("uniform", ()),
    "aten.rand_like.default": ("uniform", ()),
    "aten.uniform_.default": ("uniform", ("from", "to")),
    "aten.randn.default": ("normal", ()),
    "aten.randn_like.default": ("normal", ()),
    "aten.normal_.default": ("normal", ("mean", "std")),
}


@contextmanager
def fed(draws: Sequence[Draw], values: Sequence[Any], problems: list[str]) -> Iterator[None]:
    """`jax.random` gives what torch drew, in the same order; problems are added where the sides draw unlike.

    A `jax.lax.scan` whose body draws goes step by step, so that each step gets numbers of its own. values: the numbers
    of the draws, as a traced program takes them. Without draws nothing is changed.
    """
    if not draws:
        yield
        return
    met = 0
    seen: list[str] | None = None  # what is drawn while a loop's body is looked at

    def given(kind: str, key: Any, shape: Any, p: Any = math.nan) -> Any:
        nonlocal met
        shape = tuple(shape)
        if seen is not None:
            seen.append(kind)
            return _nothing(kind, shape)
        position, met = met, met + 1
        if position >= len(draws):
            problems.append(f"JAX draws {kind} numbers {position + 1} times, PyTorch draws {len(draws)} times")
            return _nothing(kind, shape)
        of_torch = draws[position]
        if of_torch.kind != kind:
            problems.append(f"draw {position + 1}: PyTorch draws {of_torch.kind} numbers, JAX {kind} ones")
            return _nothing(kind, shape)
        if kind == "bernoulli" and isinstance(p, int | float) and abs(p - of_torch.p) > 1e-6:
            problems.append(f"draw {position + 1}: PyTorch keeps with a probability of {of_torch.p:g}, JAX of {p:g}")
        laid = _laid(values[position], shape)
        if laid is not None:
            return laid
        return _batched(kind, key, shape, values[position], problems, f"draw {position + 1}")

    def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, *args: Any, **kwargs: Any) -> Any:
        return given("bernoulli", key, jnp.shape(p) if shape is None else shape, p)

    def uniform(key: Any, shape: Any = (), dtype: Any = float, minval: Any = 0.0, maxval: Any = 1.0, **_: Any) -> Any:
        x = given("uniform", key, shape).astype(jax.dtypes.canonicalize_dtype(dtype))
        return minval + (maxval - minval) * x

    def normal(key: Any, shape: Any = (), dtype: Any = float, **_: Any) -> Any:
        return given("normal", key, shape).astype(jax.dtypes.canonicalize_dtype(dtype))

    def scan(
        f: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False, **options: Any
    ) -> Any:
        nonlocal seen
        steps = length if length is not None else len(jax.tree.leaves(xs)[0])
        rows = [jax.tree.map(lambda x, i=i: x[i], xs) for i in range(steps)]
        if rows and seen is None:
            seen = []
            try:
                jax.eval_shape(f, init, rows[0])
                draws_inside = bool(seen)
            finally:
                seen = None
            if draws_inside:
                return _step_by_step(f, init, rows, reverse)
        return scan_of_jax(f, init, xs, length, reverse, **options)

    scan_of_jax = jax.lax.scan
    with (
        mock.patch.multiple(jax.random, bernoulli=bernoulli, uniform=uniform, normal=normal),
        mock.patch.object(jax.lax, "scan", scan),
    ):
        yield
    if met < len(draws) and not problems:
        problems.append(f"JAX draws {met} times where PyTorch draws {len(draws)} times")


def _step_by_step(f: Any, carried: Any, rows: list[Any], reverse: bool) -> tuple[Any, Any]:
    outs = []
    for row in reversed(rows) if reverse else rows:
        carried, out = f(carried, row)
        outs.append(out)
    return carried, jax.tree.map(lambda *parts: jnp.stack(parts), *(reversed(outs) if reverse else outs))


def _laid(values: Any, shape: tuple[int, ...]) -> Any:
    """Torch's numbers in JAX's shape: as they are, without dimensions of one, with channels last, or sequence first.

    Heads may be a dimension of their own, or part of the batch.
    """
    if values.shape == shape:
        return values
    if values.ndim > 2:
        rest = tuple(range(2, values.ndim))
        for order in ((0, *rest, 1), (1, 0, *rest)):
            if tuple(values.shape[i] for i in order) == shape:
                return jnp.transpose(jnp.asarray(values), order)
    if [n for n in values.shape if n != 1] == [n for n in shape if n != 1]:
        return values.reshape(shape)
    if values.size == math.prod(shape) and values.shape[-2:] == shape[-2:] and values.shape[-2:]:
        return values.reshape(shape)
    return None


def _batched(kind: str, key: Any, shape: tuple[int, ...], values: Any, problems: list[str], what: str) -> Any:
    """Inside `jax.vmap` with a key for each example: the rows of torch's numbers."""
    unlike = f"{what}: PyTorch draws {kind} numbers of shape {values.shape}, JAX of {shape}"
    at = len(problems)

    @custom_vmap
    def one(key: Any) -> Any:
        return _nothing(kind, shape)

    @one.def_vmap
    def rows(size: int, batched: Any, key: Any) -> Any:
        laid = _laid(values, (size, *shape))
        if laid is not None:
            del problems[at:]
            return laid, True
        return _batched(kind, key, (size, *shape), values, problems, what), True

    problems.append(unlike)  # unless a batch is met
    return one(key)


def _nothing(kind: str, shape: tuple[int, ...]) -> Any:
    return jnp.ones(shape, bool) if kind == "bernoulli" else jnp.zeros(shape)
