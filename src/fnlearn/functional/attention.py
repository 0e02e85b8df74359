"""Attention: softmax(Q · Kᵀ · scale + mask) · V, alone and with the projections of several heads."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import NARROW, accumulator
from fnlearn.functional.softmax import shares
from fnlearn.functional.typing import ArrayLike
from fnlearn.random import TorchGenerator, draw

# More scores than this (64 MiB in float32) are computed again for the gradient. On a CPU they are then computed chunk
# by chunk of queries, each of about a quarter as many; elsewhere that is slow, and all are computed at once, as long as
# they are no more than MOST_SCORES (4 GiB).
MANY_SCORES = 1 << 24
MOST_SCORES = 1 << 30


def scaled_dot_product_attention(
    query: ArrayLike,
    keys: ArrayLike,
    value: ArrayLike,
    /,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    key: jax.Array | None = None,
) -> jax.Array:
    """Attention of queries to keys and values, softmax(Q · Kᵀ · scale + mask) · V.

    Torch: `torch.nn.functional.scaled_dot_product_attention`.
    Shape: query (*, H, L, E), keys (*, H, S, E), value (*, H, S, F), leading dimensions broadcast → (*, H, L, F).
    Args: query, keys, value: floating-point, of one dtype. attn_mask: broadcast to (*, H, L, S); boolean, True where a
        key takes part, or numbers that are added. dropout_p: the share of weights that is dropped, whatever the mode.
        is_causal: query i attends to the keys 0 … i only. scale: 1 / √E when left out. enable_gqa: keys and value have
        fewer heads, each of which serves a group of queries' heads. key: needed when dropout_p is above 0.
    Raises: ValueError when shapes don't fit, a mask is given with is_causal, or a key is missing; TypeError when dtypes
        are wrong.
    Differs: query, keys and value are given by position, since key is the random key, as everywhere here; dropout
        draws from it, not from torch's generator. On a CUDA GPU more than 2 ** 24 scores of narrow dtypes, with no
        mask but the causal one, go through cuDNN's kernel, which has gradients alone: no `jax.jvp`, no second order.
    Source: Vaswani et al.: Attention Is All You Need (2017); ATen `attention.cpp`.
    """
    q, k, v = check.floating("query", query), check.floating("keys", keys), check.floating("value", value)
    check.same_dtype(query=q, keys=k, value=v)
    _check_shapes(q, k, v, enable_gqa)
    mask = None if attn_mask is None else _mask("attn_mask", attn_mask, q.dtype)
    if mask is not None and is_causal:
        raise ValueError("attn_mask and is_causal exclude each other, got both")
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"dropout_p must be between 0 and 1, got {dropout_p}")
    if dropout_p > 0 and key is None:
        raise ValueError("scaled_dot_product_attention drops weights: pass key=jax.random.key(...)")
    options: dict[str, Any] = {
        "dropout_p": dropout_p,
        "causal": is_causal,
        "scale": q.shape[-1] ** -0.5 if scale is None else scale,
    }
    scores = math.prod(jnp.broadcast_shapes(q.shape[:-2], _heads(k, q, enable_gqa))) * q.shape[-2] * k.shape[-2]
    if mask is not None:
        _check_mask(mask, q, k, enable_gqa)
    one_order = isinstance(key, TorchGenerator)  # in which torch draws the whole mask
    if scores > MANY_SCORES and q.shape[-2] > 1 and not one_order:
        return _many(q, k, v, mask, key, scores, options)
    return _attend(q, k, v, mask, key, 0, **options)


def _check_shapes(q: jax.Array, k: jax.Array, v: jax.Array, grouped: bool) -> None:
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ValueError(f"query, keys and value must have shape (*, L, E), got {q.shape}, {k.shape} and {v.shape}")
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            f"query (*, L, E), keys (*, S, E) and value (*, S, F) don't fit: {q.shape}, {k.shape}, {v.shape}"
        )
    if grouped:
        if min(q.ndim, k.ndim, v.ndim) < 3:
            raise ValueError(f"enable_gqa needs heads, (*, H, L, E), got {q.shape}, {k.shape} and {v.shape}")
        if k.shape[-3] != v.shape[-3] or not k.shape[-3] or q.shape[-3] % k.shape[-3]:
            raise ValueError(
                f"{q.shape[-3]} heads of query can't be shared by {k.shape[-3]} of keys, {v.shape[-3]} of value"
            )
    try:
        jnp.broadcast_shapes(q.shape[:-2], _heads(k, q, grouped), _heads(v, q, grouped))
    except ValueError as error:
        raise ValueError(
            f"query {q.shape}, keys {k.shape} and value {v.shape} don't fit: other leading shapes"
        ) from error


def _heads(x: jax.Array, q: jax.Array, grouped: bool) -> tuple[int, ...]:
    """The leading dimensions of keys, as if each query's head had its own."""
    return (*x.shape[:-3], q.shape[-3]) if grouped else x.shape[:-2]


def _mask(name: str, value: ArrayLike, dtype: Any) -> jax.Array:
    mask = jnp.asarray(value)
    if mask.dtype != jnp.bool_ and mask.dtype != dtype:
        raise TypeError(f"{name} must be boolean or of query's dtype {dtype}, got dtype {mask.dtype}")
    return mask


def _check_mask(mask: jax.Array, q: jax.Array, k: jax.Array, grouped: bool) -> None:
    shape = (*jnp.broadcast_shapes(q.shape[:-2], _heads(k, q, grouped)), q.shape[-2], k.shape[-2])
    try:
        jnp.broadcast_shapes(mask.shape, shape)
    except ValueError as error:
        raise ValueError(f"attn_mask {mask.shape} can't be broadcast to {shape}") from error


def _attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None,
    key: jax.Array | None,
    first: jax.Array | int,
    *,
    dropout_p: float,
    causal: bool,
    scale: float,
) -> jax.Array:
    """The attention of the queries from the `first` on."""
    scores = _product(q, k, "le,se->ls") * scale
    if causal:
        last = jnp.arange(q.shape[-2])[:, None] + first
        mask = jnp.arange(k.shape[-2])[None] <= last
    if mask is not None:
        lines = mask if mask.dtype == jnp.bool_ else mask.astype(scores.dtype)  # so that its gradient is summed wide
        lines = jnp.expand_dims(lines, tuple(range(scores.ndim - mask.ndim))) if mask.ndim < scores.ndim else lines
        shape = jnp.broadcast_shapes(lines.shape, scores.shape)
        lines, scores = jnp.broadcast_to(lines, shape), jnp.broadcast_to(scores, shape)
        scores = jnp.where(lines, scores, -jnp.inf) if mask.dtype == jnp.bool_ else scores + lines
    weights = _softmax(scores) if mask is not None else shares(scores, -1)
    if dropout_p > 0:
        weights = _drop(weights, dropout_p, key)
    if v.dtype not in NARROW:
        return _product(weights, v, "ls,sf->lf")
    most = lax.stop_gradient(jnp.maximum(weights.max(-1, keepdims=True), jnp.finfo(weights.dtype).tiny))
    return (_mixed(weights / most, v) * most).astype(v.dtype)  # the greatest weight is then not rounded


def _product(x: jax.Array, y: jax.Array, form: str) -> jax.Array:
    """A product of matrices in the last dimensions, where a head of y may serve several of x."""
    left, right, out = form[:2], form[3:5], form[-2:]
    wide = accumulator(x.dtype)
    if x.ndim < 3 or y.ndim < 3 or y.shape[-3] in (1, x.shape[-3]) or x.shape[-3] == 1:
        return jnp.einsum(f"...{left},...{right}->...{out}", x, y, preferred_element_type=wide)
    grouped = x.reshape(*x.shape[:-3], y.shape[-3], -1, *x.shape[-2:])
    product = jnp.einsum(f"...hg{left},...h{right}->...hg{out}", grouped, y, preferred_element_type=wide)
    return product.reshape(*product.shape[:-4], x.shape[-3], *product.shape[-2:])


@jax.custom_jvp
def _mixed(weights: jax.Array, v: jax.Array) -> jax.Array:
    """The product of weights in float32 and narrow values, narrow itself; the weights' gradient is not rounded."""
    return _product(weights.astype(v.dtype), v, "ls,sf->lf")


@_mixed.defjvp
def _(primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    (weights, v), (dw, dv) = primals, tangents
    tangent = _product(dw, v.astype(dw.dtype), "ls,sf->lf") + _product(weights.astype(v.dtype), dv, "ls,sf->lf")
    return _mixed(weights, v), tangent


def _softmax(scores: jax.Array) -> jax.Array:
    """Softmax of the last dimension; all 0, and without gradient, where every score is -inf."""
    masked = (scores == -jnp.inf).all(-1, keepdims=True)
    safe = jnp.where(masked, 0, scores)
    return jnp.where(masked, 0, shares(safe, -1))


def _drop(weights: jax.Array, p: float, key: jax.Array | None) -> jax.Array:
    if key is None:
        raise ValueError("attention drops weights: pass a key")
    if p == 1:
        return jnp.zeros_like(weights)
    kept = draw.bernoulli(key, 1 - p, weights.shape)
    return jnp.where(kept, weights / (1 - p), 0)


def _many(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None,
    key: jax.Array | None,
    scores: int,
    options: dict[str, Any],
) -> jax.Array:
    """The same without keeping the scores, in the form that is fast on the machine at hand."""

    def chunks(most: int, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        rows = max(q.shape[-2] * most // (4 * scores), 1)
        return _by_chunks(q, k, v, mask, key, rows, options)

    @jax.checkpoint
    def whole(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return _attend(q, k, v, mask, key, 0, **options)

    default = partial(chunks, MOST_SCORES) if scores > MOST_SCORES else whole
    cuda = default if mask is not None else _kernel(q, k, v, **options) or default
    return lax.platform_dependent(q, k, v, cpu=partial(chunks, MANY_SCORES), cuda=cuda, default=default)


def _kernel(
    q: jax.Array, k: jax.Array, v: jax.Array, *, dropout_p: float, causal: bool, scale: float
) -> Callable[..., jax.Array] | None:
    """Attention by one kernel of cuDNN, where JAX says that it is there and takes these and their gradients, else None.

    It wants even lengths: a row more is masked, and left out of the result.
    """
    queries, keys = q.shape[-2], k.shape[-2]
    if dropout_p > 0 or (causal and queries != keys):
        return None

    def fused(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        even = [jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, x.shape[-2] % 2), (0, 0)]) for x in (q, k, v)]
        lengths: dict[str, Any] = {}
        if queries % 2 or keys % 2:
            rows = q.shape[:-3] or (1,)
            lengths = {
                "query_seq_lengths": jnp.full(rows, queries, jnp.int32),
                "key_value_seq_lengths": jnp.full(rows, keys, jnp.int32),
            }
        inside = [jnp.moveaxis(x, -3, -2) for x in even]  # (*, L, H, E)
        out = jax.nn.dot_product_attention(*inside, scale=scale, is_causal=causal, implementation="cudnn", **lengths)
        return jnp.moveaxis(out, -2, -3)[..., :queries, :]

    try:
        jax.eval_shape(lambda *x: jax.vjp(fused, *x)[1](x[0]), q, k, v)
    except (RuntimeError, NotImplementedError, ValueError):  # no cuDNN; not these dtypes; not these shapes
        return None
    return fused


def _by_chunks(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None,
    key: jax.Array | None,
    rows: int,
    options: dict[str, Any],
) -> jax.Array:
    """The same over chunks of queries, one after the other, so that L × S scores never exist at once."""
    length = q.shape[-2]
    number = -(-length // rows)
    fill = number * rows - length
    split = mask is not None and mask.ndim > 1 and mask.shape[-2] == length

    def chunks(x: jax.Array) -> jax.Array:
        padded = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, fill), (0, 0)])
        return jnp.moveaxis(padded.reshape(*x.shape[:-2], number, rows, x.shape[-1]), -3, 0)

    @jax.checkpoint
    def one(chunk: tuple[jax.Array, jax.Array, jax.Array | None]) -> jax.Array:
        position, queries, lines = chunk
        drawn = None if key is None else draw.fold_in(key, position)
        return _attend(queries, k, v, lines if split else mask, drawn, position * rows, **options)

    out = lax.map(one, (jnp.arange(number), chunks(q), chunks(mask) if split and mask is not None else None))
    out = jnp.moveaxis(out, 0, -3)  # (*, chunks, rows, F)
    return out.reshape(*out.shape[:-3], number * rows, out.shape[-1])[..., :length, :]
