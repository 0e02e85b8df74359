"""Adam and its relatives: running means of the gradient and of its square."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fnlearn.optim.parameterwise import (
    Kept,
    Number,
    Option,
    cast,
    check,
    check_betas,
    is_zero,
    lerp,
    parameterwise,
)

Betas = tuple[Option, Option]
MEANS = {"exp_avg": jnp.zeros_like, "exp_avg_sq": jnp.zeros_like}


def adam(
    lr: Option = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Option = 1e-8,
    weight_decay: Option = 0,
    amsgrad: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    decoupled_weight_decay: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Adam, p ← p − lr · m̂ / (√v̂ + eps) with the running means m of g and v of g², corrected for their start at 0.

    Torch: `torch.optim.Adam`.
    Shape: any tree of arrays.
    Args: lr: the step; like all numbers here it may be an array, traced or not, or a schedule, a function of the
        update's index. betas: shares of m and of v that are kept. eps: added to the root. weight_decay: factor of p
        that is added to g or, decoupled_weight_decay, times lr taken off p. amsgrad: divide by the greatest v so far.
        maximize: climb instead. foreach, capturable, differentiable, fused: accepted for the signature's sake.
    Raises: ValueError when a number is negative or a beta not below 1.
    Differs: as `sgd`.
    Source: Kingma, Ba: Adam: A Method for Stochastic Optimization (2015); Reddi et al.: On the Convergence of Adam and
        Beyond (2018).
    """
    check(lr=lr, eps=eps, weight_decay=weight_decay)
    check_betas(betas)
    slots = MEANS | ({"max_exp_avg_sq": jnp.zeros_like} if amsgrad else {})
    options = _options(lr, betas, eps)
    return parameterwise(
        _adam,
        slots,
        options,
        numbers=_adam_numbers,
        weight_decay=weight_decay,
        decoupled=decoupled_weight_decay,
        maximize=maximize,
    )


def adamw(
    lr: Option = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Option = 1e-8,
    weight_decay: Option = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
) -> optax.GradientTransformationExtraArgs:
    """`adam` with decoupled weight decay, p ← (1 − lr · weight_decay) · p − lr · m̂ / (√v̂ + eps).

    Torch: `torch.optim.AdamW`.
    Shape: any tree of arrays.
    Args: weight_decay: times lr, the share of p that is taken off at each step. All others: as for `adam`.
    Raises: as `adam`.
    Differs: as `sgd`.
    Source: Loshchilov, Hutter: Decoupled Weight Decay Regularization (2019).
    """
    return adam(lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


def _adam_numbers(
    t: jax.Array, before: Kept, *, lr: jax.Array, beta1: Number, beta2: Number, **_: Any
) -> tuple[Kept, Kept]:
    return {"size": _size(lr, beta1, t), "part": 1 / jnp.sqrt(_missing(beta2, t))}, {}


def _adam(
    g: jax.Array,
    p: jax.Array,
    kept: Kept,
    *,
    beta1: Number,
    beta2: Number,
    eps: Number,
    size: jax.Array,
    part: jax.Array,
    **_: Any,
) -> tuple[jax.Array, Kept]:
    means = _means(g, kept, beta1, beta2)
    if "max_exp_avg_sq" in kept:
        means["max_exp_avg_sq"] = jnp.maximum(kept["max_exp_avg_sq"], means["exp_avg_sq"])
    v = means.get("max_exp_avg_sq", means["exp_avg_sq"])
    return -size * (means["exp_avg"] / (jnp.sqrt(v) * part + eps)), means


def adamax(
    lr: Option = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: Option = 1e-8,
    weight_decay: Option = 0,
    foreach: bool | None = None,
    *,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Adam by the greatest gradient, p ← p − lr · m̂ / u with u ← max(beta₂ · u, |g| + eps).

    Torch: `torch.optim.Adamax`.
    Shape: any tree of arrays.
    Args: lr, betas, eps, weight_decay, maximize: as for `adam`. foreach, differentiable, capturable: accepted for the
        signature's sake.
    Raises: as `adam`.
    Differs: as `sgd`.
    Source: Kingma, Ba: Adam: A Method for Stochastic Optimization (2015).
    """
    check(lr=lr, eps=eps, weight_decay=weight_decay)
    check_betas(betas)
    slots = {"exp_avg": jnp.zeros_like, "exp_inf": jnp.zeros_like}
    options = _options(lr, betas, eps)
    return parameterwise(_adamax, slots, options, numbers=_adamax_numbers, weight_decay=weight_decay, maximize=maximize)


def _adamax_numbers(t: jax.Array, before: Kept, *, lr: jax.Array, beta1: Number, **_: Any) -> tuple[Kept, Kept]:
    return {"size": _size(lr, beta1, t)}, {}


def _adamax(
    g: jax.Array, p: jax.Array, kept: Kept, *, beta1: Number, beta2: Number, eps: Number, size: jax.Array, **_: Any
) -> tuple[jax.Array, Kept]:
    mean = lerp(kept["exp_avg"], g, 1 - beta1)
    greatest = jnp.maximum(kept["exp_inf"] * beta2, jnp.abs(g) + eps)
    return -size * (mean / greatest), {"exp_avg": mean, "exp_inf": greatest}


def nadam(
    lr: Option = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: Option = 1e-8,
    weight_decay: Option = 0,
    momentum_decay: Option = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Adam with Nesterov's momentum, whose share μ of step t is beta₁ · (1 − ½ · 0.96^(t · momentum_decay)).

    Torch: `torch.optim.NAdam`.
    Shape: any tree of arrays.
    Args: lr, betas, eps, weight_decay, decoupled_weight_decay, maximize: as for `adam`. momentum_decay: how fast μ
        grows. foreach, capturable, differentiable: accepted for the signature's sake.
    Raises: as `adam`.
    Differs: as `sgd`. The product of all μ is float32 whatever the parameters are, as torch keeps it with float32 as
        its default dtype.
    Source: Dozat: Incorporating Nesterov Momentum into Adam (2016).
    """
    check(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
    check_betas(betas)
    options = {**_options(lr, betas, eps), "momentum_decay": momentum_decay}
    return parameterwise(
        _nadam,
        MEANS,
        options,
        numbers=_nadam_numbers,
        first={"mu_product": 1},
        weight_decay=weight_decay,
        decoupled=decoupled_weight_decay,
        maximize=maximize,
    )


def _nadam_numbers(
    t: jax.Array, before: Kept, *, lr: jax.Array, beta1: Number, beta2: Number, momentum_decay: Number, **_: Any
) -> tuple[Kept, Kept]:
    mu, following = (beta1 * (1 - 0.5 * 0.96 ** (n * momentum_decay)) for n in (t, t + 1))
    kept = before["mu_product"] * mu.astype(jnp.float32)
    product, lr = kept.astype(t.dtype), lr.astype(t.dtype)
    sizes = {"now": lr * (1 - mu) / (1 - product), "ahead": lr * following / (1 - product * following)}
    return {**sizes, "part": 1 / _missing(beta2, t)}, {"mu_product": kept}


def _nadam(
    g: jax.Array,
    p: jax.Array,
    kept: Kept,
    *,
    beta1: Number,
    beta2: Number,
    eps: Number,
    now: jax.Array,
    ahead: jax.Array,
    part: jax.Array,
    **_: Any,
) -> tuple[jax.Array, Kept]:
    means = _means(g, kept, beta1, beta2)
    return -(now * g + ahead * means["exp_avg"]) / (jnp.sqrt(means["exp_avg_sq"] * part) + eps), means


def radam(
    lr: Option = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Option = 1e-8,
    weight_decay: Option = 0,
    decoupled_weight_decay: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Adam whose steps are rectified for the variance of v, and plain momentum while that is beyond bounds.

    Torch: `torch.optim.RAdam`.
    Shape: any tree of arrays.
    Args: lr, betas, eps, weight_decay, decoupled_weight_decay, maximize: as for `adam`. foreach, capturable,
        differentiable: accepted for the signature's sake.
    Raises: as `adam`.
    Differs: as `sgd`.
    Source: Liu et al.: On the Variance of the Adaptive Learning Rate and Beyond (2020).
    """
    check(lr=lr, eps=eps, weight_decay=weight_decay)
    check_betas(betas)
    return parameterwise(
        _radam,
        MEANS,
        _options(lr, betas, eps),
        numbers=_radam_numbers,
        weight_decay=weight_decay,
        decoupled=decoupled_weight_decay,
        maximize=maximize,
    )


def _radam_numbers(
    t: jax.Array, before: Kept, *, lr: jax.Array, beta1: Number, beta2: Number, **_: Any
) -> tuple[Kept, Kept]:
    length, longest = _length(beta2, t), 2 / (1 - beta2) - 1
    far = jnp.maximum(length, 5)  # so that the branch not taken has no root of a negative number
    rectified = jnp.sqrt((far - 4) * (far - 2) * longest / ((longest - 4) * (longest - 2) * far))
    adapted = {"adapts": length > 5, "adapted": rectified * jnp.sqrt(_missing(beta2, t))}
    return {**adapted, "size": _size(lr, beta1, t)}, {}


def _radam(
    g: jax.Array,
    p: jax.Array,
    kept: Kept,
    *,
    beta1: Number,
    beta2: Number,
    eps: Number,
    size: jax.Array,
    adapts: jax.Array,
    adapted: jax.Array,
    **_: Any,
) -> tuple[jax.Array, Kept]:
    means = _means(g, kept, beta1, beta2)
    factor = jnp.where(adapts, adapted / (jnp.sqrt(means["exp_avg_sq"]) + eps), 1)
    return -size * means["exp_avg"] * factor, means


def _length(beta: Number, t: jax.Array) -> jax.Array:
    """2 / (1 − β) − 1 − 2 · t · βᵗ / (1 − βᵗ), of which both parts are about 2 / (1 − β) and cancel each other.

    With l = −log β and u = l · t it is coth(l / 2) − 2 / l, nearly 0, and 2 / l · (1 − u / (eᵘ − 1)), about t.
    """
    rate = -_log(beta)
    u = rate * t
    few = u / 2 - u**2 / 12 + u**4 / 720 - u**6 / 30240 + u**8 / 1209600  # Bernoulli's numbers
    grown = jnp.where(u < 0.5, few, 1 - u / jnp.expm1(jnp.maximum(u, 0.5)))
    first = (1 + beta) / (1 - beta) - 2 / rate
    return first + 2 / rate * grown


def sparseadam(
    lr: Option = 1e-3, betas: Betas = (0.9, 0.999), eps: Option = 1e-8, maximize: bool = False
) -> optax.GradientTransformationExtraArgs:
    """Adam that leaves alone what has no gradient: rows of zeros keep their parameters and their running means.

    Torch: `torch.optim.SparseAdam`.
    Shape: any tree of arrays, of which a row is what has one index in the first dimension.
    Args: lr, betas, eps, maximize: as for `adam`; lr and eps are above 0.
    Raises: ValueError when lr or eps is not positive or a beta not in [0, 1); TypeError for complex parameters.
    Differs: gradients are dense. A row that torch's sparse gradient holds although all of it is 0 is left alone here.
    Source: Kingma, Ba: Adam: A Method for Stochastic Optimization (2015).
    """
    check(low=math.ulp(0.0), lr=lr, eps=eps)
    check_betas(betas)
    slots = {name: partial(_real_zeros, "sparseadam") for name in MEANS}
    return parameterwise(_sparseadam, slots, _options(lr, betas, eps), numbers=_sparseadam_numbers, maximize=maximize)


def _sparseadam_numbers(
    t: jax.Array, before: Kept, *, lr: jax.Array, beta1: Number, beta2: Number, **_: Any
) -> tuple[Kept, Kept]:
    return {"size": _size(lr * jnp.sqrt(_missing(beta2, t)).astype(lr.dtype), beta1, t)}, {}


def _sparseadam(
    g: jax.Array, p: jax.Array, kept: Kept, *, beta1: Number, beta2: Number, eps: Number, size: jax.Array, **_: Any
) -> tuple[jax.Array, Kept]:
    there = jnp.any(g != 0, axis=tuple(range(1, g.ndim)), keepdims=True)
    means = _means(g, kept, beta1, beta2)
    step = -size * (means["exp_avg"] / (jnp.sqrt(means["exp_avg_sq"]) + eps))
    chosen = jnp.broadcast_to(there, g.shape)
    means = {name: jnp.where(chosen, mean, kept[name]) for name, mean in means.items()}
    return jnp.where(chosen, step, jnp.zeros_like(step)), means


def _real_zeros(optimizer: str, p: Any) -> jax.Array:
    if jnp.iscomplexobj(p):
        raise TypeError(f"{optimizer} has no complex parameters, got {p.dtype} of shape {p.shape}")
    return jnp.zeros_like(p)


def _options(lr: Option, betas: Betas, eps: Option) -> dict[str, Option]:
    return {"lr": lr, "beta1": betas[0], "beta2": betas[1], "eps": eps}


def _means(g: jax.Array, kept: Kept, beta1: Number, beta2: Number) -> Kept:
    """The running means of the gradient and of its square."""
    return {
        "exp_avg": lerp(kept["exp_avg"], g, 1 - beta1),
        "exp_avg_sq": beta2 * kept["exp_avg_sq"] + (1 - beta2) * (g * g),
    }


def _size(lr: jax.Array, beta: Number, t: jax.Array) -> jax.Array:
    """The rate, corrected for a mean's start at 0; divided in the rate's own dtype."""
    return (lr / _missing(beta, t).astype(lr.dtype)).astype(t.dtype)


def _missing(beta: Number, t: jax.Array) -> jax.Array:
    """1 − βᵗ, to the last digit also where βᵗ is nearly 1."""
    if is_zero(beta):
        return jnp.ones_like(t)
    return -jnp.expm1(cast(_log(beta), t.dtype) * t)


def _log(beta: Number) -> Number:
    return math.log(beta) if isinstance(beta, int | float) else jnp.log(beta)
