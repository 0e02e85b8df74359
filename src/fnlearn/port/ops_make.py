"""Rows of what makes tensors, of dtypes, and of random numbers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from fnlearn.port.graph import Val
from fnlearn.port.source import said
from fnlearn.port.table import Dtype, ndim, row, sizes, with_

# made from nothing; the dtype is that of what torch made


def _filled(call: str, value: str = "") -> Callable[[Any], str]:
    def template(a: Any) -> str:
        a.size = sizes(a.size)
        dtype = "input.dtype" if a.dtype is None and hasattr(a, "input") else "dtype"
        return f"jnp.{call}(size{value}, {dtype})"

    return template


MADE = "dtype=None, device=None, requires_grad=False, layout=None, pin_memory=None, memory_format=None, names=None"
row("zeros", f"*size, {MADE}", _filled("zeros"))
row("ones", f"*size, {MADE}", _filled("ones"))
row("empty", f"*size, {MADE}", _filled("zeros"))
row("full", f"size, fill_value, *, {MADE}", lambda a: _filled("full", ", fill_value")(a))
row("new_zeros", f"input, *size, {MADE}", _filled("zeros"))
row("new_ones", f"input, *size, {MADE}", _filled("ones"))
row("new_empty", f"input, *size, {MADE}", _filled("zeros"))
row("new_full", f"input, size, fill_value, *, {MADE}", _filled("full", ", fill_value"))
row("zeros_like empty_like", f"input, *, {MADE}", "jnp.zeros_like(input, dtype=dtype)")
row("ones_like", f"input, *, {MADE}", "jnp.ones_like(input, dtype=dtype)")
row("full_like", f"input, fill_value, *, {MADE}", "jnp.full_like(input, fill_value, dtype=dtype)")
row("zero", "input", "jnp.zeros_like(input)")
row("fill", "input, value", "jnp.full_like(input, value)")
row("copy", "input, src, non_blocking=False", lambda a: _copy(a))
row("eye", f"n, m=None, *, {MADE}", "jnp.eye(n, m, dtype=dtype)")
row("linspace", f"start, end, steps, *, {MADE}", "jnp.linspace(start, end, steps, dtype=dtype)")
row("scalar_tensor", f"value, *, {MADE}", "jnp.asarray(value, dtype)")
row("tensor as_tensor asarray", f"value, *, {MADE}", "jnp.asarray(value, dtype)")
row(
    "new_tensor",
    f"input, value, *, {MADE}",
    lambda a: f"jnp.asarray(value, {'input.dtype' if a.dtype is None else 'dtype'})",
)


def with_args(a: Any) -> Any:
    """Sizes that are one sequence, as where they come one by one."""
    a.size = (tuple(a.size),)
    return a


def _copy(a: Any) -> str:
    cast = isinstance(a.src, Val) and a.src.dtype != a.input.dtype
    a.to = a.input.dtype
    same = isinstance(a.src, Val) and a.src.shape == a.input.shape
    source = "src.astype(to)" if cast else "src"
    return source if same else f"jnp.broadcast_to({source}, input.shape)"


def _arange(a: Any) -> str:
    if a.end is None:
        a.start, a.end = 0, a.start
    if a.start == 0 and a.step == 1:
        return "jnp.arange(end, dtype=dtype)"
    return "jnp.arange(start, end, dtype=dtype)" if a.step == 1 else "jnp.arange(start, end, step, dtype=dtype)"


row("arange", f"start, end=None, step=1, *, {MADE}", _arange)
row("logspace", f"start, end, steps, base=10.0, *, {MADE}", "jnp.logspace(start, end, steps, base=base, dtype=dtype)")
row("empty_permuted", f"size, physical_layout, *, {MADE}", lambda a: _filled("zeros")(with_args(a)))
row("new_empty_strided", f"input, size, stride, *, {MADE}", lambda a: _filled("zeros")(with_args(a)))
row("empty_strided", f"size, stride, *, {MADE}", lambda a: _filled("zeros")(with_args(a)))
row("tril_indices", f"row, col, offset=0, *, {MADE}", "jnp.stack(jnp.tril_indices(row, offset, col))")
row("triu_indices", f"row, col, offset=0, *, {MADE}", "jnp.stack(jnp.triu_indices(row, offset, col))")

# dtypes, and what leaves no trace

KEPT = [
    "contiguous",
    "clone",
    "cpu",
    "alias",
    "requires_grad_",
    "view_as_alias",
    "resolve_neg",
    "lift_fresh",
    "pin_memory",
    "alias_copy",
    "detach_copy",
]
for _name in KEPT:
    row(_name, "input, *args, **kwargs", "input")
row("detach data", "input", "jax.lax.stop_gradient(input)")


def _as(dtype: str, a: Any) -> str:
    """A cast by its own method: one to floats holds for inputs of other floats too."""
    a.to = Dtype(dtype)
    return "input" if a.input.dtype == dtype and "float" not in dtype else "input.astype(to)"


for _name, _dtype in {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "bfloat16": "bfloat16",
    "int": "int32",
    "long": "int64",
    "bool": "bool",
    "short": "int16",
    "char": "int8",
    "byte": "uint8",
    "cfloat": "complex64",
    "cdouble": "complex128",
}.items():
    row(_name, "input, memory_format=None", partial(_as, _dtype))


def _to(a: Any) -> str:
    """A cast to the dtype that the source names, or else to that of something else."""
    given = [*a.args, *a.kwargs.values()]
    others = [v for v in (a._dtype_of, *given) if isinstance(v, Val)]
    if others:
        return _of(a, others[0])
    wanted = [v for v in given if isinstance(v, torch.dtype)]
    dtype = str(wanted[0]).removeprefix("torch.") if wanted else a.input.dtype
    if a._dtype_of or (wanted and dtype in said(a._where)):
        return _as(dtype, a)
    a.to = Dtype(dtype, as_given=True, needless=a.input.dtype == dtype)
    return "input.astype(to)"


def _of(a: Any, other: Val) -> str:
    """A cast to the dtype of a value."""
    a.to = other
    return "input" if other is a.input else "input.astype(to.dtype)"


row("to type", "input, *args, **kwargs", _to)
row("type_as", "input, other", lambda a: _of(a, a.other))

# random numbers

row(
    "rand",
    f"*size, {MADE}, generator=None",
    lambda a: with_(a, size=sizes(a.size), then="jax.random.uniform(key, size, dtype)"),
    random=True,
)
row(
    "randn",
    f"*size, {MADE}, generator=None",
    lambda a: with_(a, size=sizes(a.size), then="jax.random.normal(key, size, dtype)"),
    random=True,
)
row("rand_like", f"input, *, {MADE}", "jax.random.uniform(key, input.shape, input.dtype)", random=True)
row("randint", f"low, high=None, size=None, *, {MADE}, generator=None", lambda a: _randint(a), random=True)
row("randint_like", f"input, low=0, high=None, *, {MADE}", lambda a: _randint(a), random=True)
row(
    "normal",
    f"mean=0.0, std=1.0, size=None, *, {MADE}, generator=None",
    lambda a: _normal(a),
    random=True,
)
row("multinomial", "input, num_samples, replacement=False, *, generator=None", lambda a: _multinomial(a), random=True)
row("randperm", f"n, *, {MADE}, generator=None", "jax.random.permutation(key, n)", random=True)
row(
    "cauchy",
    "input, median=0.0, sigma=1.0, *, generator=None",
    "median + sigma * jax.random.cauchy(key, input.shape, input.dtype)",
    random=True,
)
row(
    "exponential",
    "input, lambd=1.0, *, generator=None",
    "jax.random.exponential(key, input.shape, input.dtype) / lambd",
    random=True,
)
row(
    "geometric",
    "input, p, *, generator=None",
    "jax.random.geometric(key, p, input.shape).astype(input.dtype)",
    random=True,
)
row(
    "log_normal",
    "input, mean=1.0, std=2.0, *, generator=None",
    "jnp.exp(mean + std * jax.random.normal(key, input.shape, input.dtype))",
    random=True,
)
row("randn_like", f"input, *, {MADE}", "jax.random.normal(key, input.shape, input.dtype)", random=True)
row(
    "bernoulli",
    "input, p=None, *, generator=None, out=None",
    lambda a: f"jax.random.bernoulli(key, {'input' if a.p is None else 'p, input.shape'}).astype(input.dtype)",
    random=True,
)
row(
    "uniform",
    "input, a=0.0, b=1.0, *, generator=None",
    "jax.random.uniform(key, input.shape, input.dtype, a, b)",
    random=True,
)
row(
    "fill_normal",
    "input, mean=0.0, std=1.0, *, generator=None",
    lambda a: _scaled(a, "jax.random.normal(key, input.shape, input.dtype)"),
    random=True,
)


def _scaled(a: Any, drawn: str) -> str:
    """Normal numbers with a mean and a deviation, as far as these are other than 0 and 1."""
    spread = drawn if _is(a.std, 1) else f"std * {drawn}"
    return spread if _is(a.mean, 0) else f"mean + {spread}"


def _is(value: Any, number: int) -> bool:
    return isinstance(value, int | float) and value == number


def _randint(a: Any) -> str:
    if a.high is None or isinstance(a.high, tuple | list):  # randint(high, size)
        a.size = a.high if isinstance(a.high, tuple | list) else getattr(a, "size", None)
        a.low, a.high = 0, a.low
    if hasattr(a, "input"):
        return "jax.random.randint(key, input.shape, low, high).astype(dtype)"
    a.size = tuple(a.size)
    return "jax.random.randint(key, size, low, high).astype(dtype)"


def _normal(a: Any) -> str:
    """torch.normal: mean and std are numbers with a size, or tensors."""
    if a.size is not None:
        return _scaled(a, "jax.random.normal(key, size, dtype)")
    shaped = "mean.shape" if isinstance(a.mean, Val) else "std.shape"
    if isinstance(a.mean, Val) and isinstance(a.std, Val):
        shaped = "jnp.broadcast_shapes(mean.shape, std.shape)"
    return f"mean + std * jax.random.normal(key, {shaped}, {'mean' if isinstance(a.mean, Val) else 'std'}.dtype)"


def _multinomial(a: Any) -> str:
    if not a.replacement:  # the largest of perturbed logarithms are a draw without replacement
        return "jax.lax.top_k(jnp.log(input) + jax.random.gumbel(key, input.shape, input.dtype), num_samples)[1]"
    if ndim(a.input) > 1:
        return "jnp.moveaxis(jax.random.categorical(key, jnp.log(input), -1, (num_samples, *input.shape[:-1])), 0, -1)"
    a.shape0 = (a.num_samples,)
    return "jax.random.categorical(key, jnp.log(input), shape=shape0)"
