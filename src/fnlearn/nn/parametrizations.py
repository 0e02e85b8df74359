"""Layers whose weight is computed from other parameters: weight and spectral normalisation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn import random
from fnlearn.nn import init as initial
from fnlearn.nn.layer import Layer, Tree

# the parametrised part of the parameters and buffers, train → the weight, the buffers afterwards
Weight = Callable[[Tree, Tree, bool], tuple[jax.Array, Tree]]


def weight_norm(module: Layer, name: str = "weight", dim: int | None = 0) -> Layer:
    """A layer whose weight is a length times a direction, g · v / ‖v‖, each learnt by itself.

    Torch: `torch.nn.utils.parametrizations.weight_norm`.
    Shape: the layer's own; parameters parametrizations.NAME.original0, g, of size 1 in all dimensions but `dim`, and
        parametrizations.NAME.original1, v, of the weight's shape.
    Args: module: a layer. name: which of its parameters. dim: the dimension that keeps a length for each entry; None
        for one length of the whole weight.
    Raises: ValueError, when initialised, if the layer has no parameter of that name.
    Differs: a new layer is returned, and the one given stays as it is.
    Source: Salimans, Kingma: Weight Normalization (2016).
    """

    def start(key: jax.Array, weight: jax.Array) -> tuple[Tree, Tree]:
        return {"original0": _norm_except(weight, dim), "original1": weight}, {}

    def compute(own: Tree, state: Tree, train: bool) -> tuple[jax.Array, Tree]:
        direction = own["original1"]
        factor = own["original0"] / _norm_except(direction, dim)
        return direction * jnp.broadcast_to(factor, direction.shape), state

    return _parametrized(module, name, start, compute)


def spectral_norm(
    module: Layer, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Layer:
    """A layer whose weight is divided by its largest singular value, estimated by power iteration.

    Torch: `torch.nn.utils.parametrizations.spectral_norm`.
    Shape: the layer's own; parameter parametrizations.NAME.original, buffers parametrizations.NAME.0._u and ._v.
    Args: module: a layer. name: which of its parameters. n_power_iterations: steps of the estimate at each call in
        training. eps: the least length by which a vector is divided. dim: the dimension of the outputs, 0 when left
        out.
    Raises: ValueError when n_power_iterations is not positive, and, when initialised, if the layer has no parameter of
        that name.
    Differs: a new layer is returned; a transposed convolution is not recognised as such: pass dim=1 for it.
    Source: Miyato et al.: Spectral Normalization for Generative Adversarial Networks (2018).
    """
    if n_power_iterations < 1:
        raise ValueError(f"n_power_iterations must be at least 1, got {n_power_iterations}")

    def start(key: jax.Array, weight: jax.Array) -> tuple[Tree, Tree]:
        if weight.ndim < 2:
            return {"original": weight}, {}
        matrix = _as_matrix(weight, dim or 0)
        rows, columns = matrix.shape
        u = _unit(initial.normal(random.named(key, "_u"), (rows,), dtype=weight.dtype), eps)
        v = _unit(initial.normal(random.named(key, "_v"), (columns,), dtype=weight.dtype), eps)
        u, v = _iterate(matrix, u, v, 15, eps)
        return {"original": weight}, {"0": {"_u": u, "_v": v}}

    def compute(own: Tree, state: Tree, train: bool) -> tuple[jax.Array, Tree]:
        weight = own["original"]
        if weight.ndim < 2:
            return _unit(weight, eps), state
        matrix = _as_matrix(weight, dim or 0)
        u, v = state["0"]["_u"], state["0"]["_v"]
        if train:
            u, v = lax.stop_gradient(_iterate(lax.stop_gradient(matrix), u, v, n_power_iterations, eps))
        return weight / jnp.vdot(u, matrix @ v), {"0": {"_u": u, "_v": v}}

    return _parametrized(module, name, start, compute)


def _parametrized(
    module: Layer, name: str, start: Callable[[jax.Array, jax.Array], tuple[Tree, Tree]], compute: Weight
) -> Layer:
    """The layer with one parameter replaced, under torch's names."""

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        params, buffers = module.init(key)
        if name not in params:
            raise ValueError(f"the layer has no parameter {name!r}; it has {', '.join(params) or 'none'}")
        own, state = start(random.named(key, f"parametrizations.{name}"), params[name])
        rest = {other: value for other, value in params.items() if other not in (name, "parametrizations")}
        before = params.get("parametrizations", {}), buffers.get("parametrizations", {})
        buffers = buffers | ({"parametrizations": before[1] | {name: state}} if state else {})
        return rest | {"parametrizations": before[0] | {name: own}}, buffers

    def apply(
        params: Tree, buffers: Tree, *inputs: Any, train: bool = False, key: jax.Array | None = None, **named: Any
    ) -> tuple[Any, Tree]:
        state = buffers.get("parametrizations", {}).get(name, {})
        inner = dict(params["parametrizations"])
        weight, state = compute(inner.pop(name), state, train)
        rest = {other: value for other, value in params.items() if other != "parametrizations"}
        given = {**rest, name: weight} | ({"parametrizations": inner} if inner else {})
        out, buffers = module.apply(given, buffers, *inputs, train=train, key=key, **named)
        others = buffers.get("parametrizations", {})
        return out, {**buffers, "parametrizations": {**others, name: state}} if state else buffers

    return Layer(init, apply)


def _norm_except(x: jax.Array, dim: int | None) -> jax.Array:
    """The length along all dimensions but one, each of which stays with size 1."""
    if dim is None:
        return jnp.linalg.norm(x.ravel())
    others = tuple(axis for axis in range(x.ndim) if axis != dim % x.ndim)
    return jnp.sqrt(jnp.square(x).sum(others, keepdims=True))


def _as_matrix(weight: jax.Array, dim: int) -> jax.Array:
    return jnp.moveaxis(weight, dim, 0).reshape(weight.shape[dim], -1)


def _iterate(matrix: jax.Array, u: jax.Array, v: jax.Array, steps: int, eps: float) -> tuple[jax.Array, jax.Array]:
    for _ in range(steps):
        u = _unit(matrix @ v, eps)
        v = _unit(matrix.T @ u, eps)
    return u, v


def _unit(x: jax.Array, eps: float) -> jax.Array:
    return x / jnp.maximum(jnp.linalg.norm(x), eps)
