"""Optimizers that look at a parameter as a matrix: Adafactor, which keeps sums of rows and columns, and Muon."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fnlearn.optim.parameterwise import Kept, Number, Option, check, lerp, parameterwise

Coefficients = tuple[float, float, float]

SMALL = 16**3  # multiplications, up to which torch leaves bfloat16 matrices to itself and not to oneDNN


def adafactor(
    lr: Option = 1e-2,
    beta2_decay: Option = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: Option = 1.0,
    weight_decay: Option = 0.0,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Adafactor: the running mean of g² as the product of its rows' and its columns' means, and steps relative to p.

    Torch: `torch.optim.Adafactor`.
    Shape: any tree of real arrays; the last two dimensions of those that have as many are factored.
    Args: lr: the greatest relative step. beta2_decay: power of t by which the means are renewed, at most 0. eps: the
        least mean (that of the dtype if None), squared where it is taken the root of; and the least size of p that the
        step is relative to. d: to how much, as a root of the mean of squares, an update is clipped. weight_decay: times
        lr, the share of p that is taken off. maximize: climb instead. foreach: accepted for the signature's sake.
    Raises: ValueError when a number is negative, beta2_decay above 0 or d below 1; TypeError for complex parameters.
    Differs: nothing.
    Source: Shazeer, Stern: Adafactor: Adaptive Learning Rates with Sublinear Memory Cost (2018).
    """
    check(lr=lr, weight_decay=weight_decay, **{"eps[1]": eps[1], "eps[0]": 0 if eps[0] is None else eps[0]})
    check(low=1.0, d=d)
    if isinstance(beta2_decay, int | float) and beta2_decay > 0:
        raise ValueError(f"beta2_decay must be at most 0, got {beta2_decay}")
    slots = {"row_var": _rows, "col_var": _columns, "variance": _whole}
    options = {"lr": lr, "beta2_decay": beta2_decay, "d": d}
    return parameterwise(
        partial(_adafactor, eps),
        slots,
        options,
        numbers=_adafactor_numbers,
        weight_decay=weight_decay,
        decoupled=True,
        maximize=maximize,
    )


def _adafactor_numbers(
    t: jax.Array, before: Kept, *, lr: jax.Array, beta2_decay: Number, **_: Any
) -> tuple[Kept, Kept]:
    return {"renewed": t**beta2_decay, "relative": jnp.minimum(lr.astype(t.dtype), 1 / jnp.sqrt(t))}, {}


def _adafactor(
    eps: tuple[float | None, float],
    g: jax.Array,
    p: jax.Array,
    kept: Kept,
    *,
    d: Number,
    renewed: jax.Array,
    relative: jax.Array,
    **_: Any,
) -> tuple[jax.Array, Kept]:
    least = float(jnp.finfo(p.dtype).eps) if eps[0] is None else eps[0]
    root = math.sqrt(p.size)
    size = jnp.maximum(eps[1], _norm(p) / root) * relative
    if g.ndim > 1:
        rows = lerp(kept["row_var"], jnp.mean(g * g, -1, keepdims=True), renewed)
        columns = lerp(kept["col_var"], jnp.mean(g * g, -2, keepdims=True), renewed)
        after = {"row_var": rows, "col_var": columns}
        squares = rows * (columns / jnp.maximum(jnp.mean(rows, -2, keepdims=True), least))
    else:
        after = {"variance": lerp(kept["variance"], g * g, renewed)}
        squares = after["variance"]
    update = g / jnp.sqrt(jnp.maximum(squares, least * least))
    return -size / jnp.maximum(1, _norm(update) / (root * d)) * update, after


def _rows(p: Any) -> jax.Array:
    return jnp.zeros((*_real("adafactor", p).shape[:-1], 1) if p.ndim > 1 else (0,), p.dtype)


def _columns(p: Any) -> jax.Array:
    return jnp.zeros((*p.shape[:-2], 1, p.shape[-1]) if p.ndim > 1 else (0,), p.dtype)


def _whole(p: Any) -> jax.Array:
    return jnp.zeros((0,) if p.ndim > 1 else p.shape, p.dtype)


def muon(
    lr: Option = 1e-3,
    weight_decay: Option = 0.1,
    momentum: Option = 0.95,
    nesterov: bool = True,
    ns_coefficients: Coefficients = (3.4445, -4.775, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Muon: the running mean of g with all its singular values brought near 1, by Newton's and Schulz's iteration.

    Torch: `torch.optim.Muon`.
    Shape: a tree of real matrices (out, in).
    Args: lr: the step. weight_decay: times lr, the share of p that is taken off. momentum: share of the mean that is
        kept. nesterov: look one step ahead. ns_coefficients: of the iteration's polynomial. eps: the least norm that g
        is divided by. ns_steps: iterations, below 100. adjust_lr_fn: "original" (or None) multiplies lr by √max(1, out
        / in), "match_rms_adamw" by 0.2 · √max(out, in).
    Raises: ValueError when a number is negative, ns_steps too large, adjust_lr_fn unknown, or a parameter no matrix;
        TypeError for complex parameters.
    Differs: the iteration runs in bfloat16, as in torch, but products of large matrices are summed in another order:
        some numbers of the update then round to a neighbour.
    Source: Jordan et al.: Muon: An Optimizer for Hidden Layers in Neural Networks (2024).
    """
    check(lr=lr, weight_decay=weight_decay, momentum=momentum)
    if ns_steps >= 100 or len(ns_coefficients) != 3:
        raise ValueError(f"ns_steps must be below 100 and ns_coefficients three, got {ns_steps} and {ns_coefficients}")
    if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
        raise ValueError(f"adjust_lr_fn must be 'original', 'match_rms_adamw' or None, got {adjust_lr_fn!r}")
    rule = partial(_muon, nesterov, ns_coefficients, eps, ns_steps, adjust_lr_fn)
    options = {"lr": lr, "momentum": momentum}
    return parameterwise(rule, {"momentum_buffer": _matrix}, options, weight_decay=weight_decay, decoupled=True)


def _muon(
    nesterov: bool,
    coefficients: Coefficients,
    eps: float,
    steps: int,
    adjust: str | None,
    g: jax.Array,
    p: jax.Array,
    kept: Kept,
    *,
    lr: jax.Array,
    momentum: Number,
) -> tuple[jax.Array, Kept]:
    mean = lerp(kept["momentum_buffer"], g, 1 - momentum)
    update = _orthogonal(lerp(g, mean, momentum) if nesterov else mean, coefficients, eps, steps)
    out, features = p.shape
    ratio = 0.2 * math.sqrt(max(out, features)) if adjust == "match_rms_adamw" else math.sqrt(max(1, out / features))
    return -(lr * ratio).astype(g.dtype) * update.astype(g.dtype), {"momentum_buffer": mean}


def _orthogonal(g: jax.Array, coefficients: Coefficients, eps: float, steps: int) -> jax.Array:
    """Every singular value x as a · x + b · x³ + c · x⁵, again and again, in bfloat16 as torch has it."""
    a, b, c = coefficients
    tall = g.shape[0] > g.shape[1]
    x = _wide(g).astype(jnp.bfloat16)
    x = x.T if tall else x
    norm = jnp.sqrt(jnp.sum(_wide(x) * _wide(x))).astype(jnp.bfloat16)
    x = (_wide(x) / _wide(jnp.maximum(norm, jnp.bfloat16(eps)))).astype(jnp.bfloat16)
    for _ in range(steps):
        gram = _product(1, x, x.T).astype(jnp.bfloat16)
        polynomial = (b * _wide(gram) + _product(c, gram, gram)).astype(jnp.bfloat16)
        x = (a * _wide(x) + _product(1, polynomial, x)).astype(jnp.bfloat16)
    return x.T if tall else x


def _product(factor: float, x: jax.Array, y: jax.Array) -> jax.Array:
    """Times factor, x @ y summed in float32; torch's own loop for small matrices multiplies x first."""
    if x.shape[0] * x.shape[1] * y.shape[1] <= SMALL:
        return (factor * _wide(x)) @ _wide(y)
    narrow = partial(jnp.matmul, preferred_element_type=jnp.float32)
    widened = lambda x, y: _wide(x) @ _wide(y)  # noqa: E731  # the same numbers; a CPU has no units for bfloat16
    return factor * jax.lax.platform_dependent(x, y, cpu=widened, default=narrow)


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32)


def _matrix(p: Any) -> jax.Array:
    if _real("muon", p).ndim != 2:
        raise ValueError(f"muon is for matrices alone, got a parameter of shape {p.shape}; give it another optimizer")
    return jnp.zeros_like(p)


def _real(optimizer: str, p: Any) -> Any:
    if jnp.iscomplexobj(p):
        raise TypeError(f"{optimizer} has no complex parameters, got {p.dtype} of shape {p.shape}")
    return p


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(x * x))
