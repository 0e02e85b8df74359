"""What a step computes, as its jaxpr has it: the operations of its products, and whether it convolves."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp

DEFAULT = "float32 by default"  # multiplied as the device does it when nothing is asked for
Products = dict[str, float]


def products(jaxpr: Any) -> Products:
    """Operations of all matrix products and convolutions, by the dtype in which it multiplies.

    The body of a scan counts as often as it runs, that of a while loop once, and of branches the longest.
    """
    return _sum(map(_products_of, jaxpr.eqns))


def convolves_on_cpu(jaxpr: Any) -> bool:
    """Whether a convolution of XLA's own is among what runs on a CPU."""

    def convolves(equation: Any) -> bool:
        inner = _inner({**equation.params, **_cpu_branch(equation.params)})
        return equation.primitive.name == "conv_general_dilated" or any(map(convolves_on_cpu, inner))

    return any(map(convolves, jaxpr.eqns))


def _cpu_branch(params: Mapping[str, Any]) -> dict[str, Any]:
    """Of branches for platforms (`jax.lax.platform_dependent`) a CPU's, which is the last if none has its name."""
    platforms = params.get("branches_platforms")
    if platforms is None:
        return {}
    return {"branches": next(b for b, names in zip(params["branches"], platforms, strict=True)
                             if names is None or "cpu" in names)}  # fmt: skip


def _products_of(equation: Any) -> Products:
    """2 · numbers that come out · numbers that are summed for each."""
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        summed: float = math.prod(shape[dim] for dim in contracted)
    elif name == "conv_general_dilated":
        kernel, out_dim = equation.invars[1].aval.shape, params["dimension_numbers"].rhs_spec[0]
        summed = math.prod(kernel) / kernel[out_dim] / math.prod(params["lhs_dilation"])  # zeros between rows: none
    else:
        inner = list(map(products, _inner(params)))
        if name == "cond":
            return max(inner, key=lambda found: sum(found.values()), default={})
        return _sum(inner, params["length"] if name == "scan" else 1)
    return {_multiplied(equation): 2.0 * math.prod(equation.outvars[0].aval.shape) * summed}


def _multiplied(equation: Any) -> str:
    """The dtype, of float32 whether it is multiplied exactly."""
    dtype = jnp.result_type(*(v.aval.dtype for v in equation.invars[:2])).name
    precision = equation.params.get("precision")
    asked = precision if isinstance(precision, tuple) else (precision,)
    exact = (jax.lax.Precision.HIGHEST, jax.lax.DotAlgorithmPreset.F32_F32_F32)
    return DEFAULT if dtype == "float32" and not any(p in exact for p in asked) else dtype


def _sum(found: Iterable[Products], times: int = 1) -> Products:
    total: Products = {}
    for each in found:
        for dtype, flops in each.items():
            total[dtype] = total.get(dtype, 0.0) + times * flops
    return total


def _inner(params: Mapping[str, Any]) -> list[Any]:
    """The jaxprs that an equation calls."""
    values = [x for value in params.values() for x in (value if isinstance(value, tuple | list) else (value,))]
    return [getattr(x, "jaxpr", x) for x in values if isinstance(x, jex.Jaxpr | jex.ClosedJaxpr)]
