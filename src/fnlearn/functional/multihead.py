"""Attention of several heads, with its projections: what `torch.nn.MultiheadAttention` computes."""

import math
import warnings

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.attention import _drop, _product, scaled_dot_product_attention
from fnlearn.functional.linear import linear
from fnlearn.functional.softmax import softmax
from fnlearn.functional.typing import ArrayLike


def multi_head_attention_forward(
    query: ArrayLike,
    keys: ArrayLike,
    value: ArrayLike,
    /,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: ArrayLike | None,
    in_proj_bias: ArrayLike | None,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: ArrayLike,
    out_proj_bias: ArrayLike | None,
    training: bool = True,
    key_padding_mask: ArrayLike | None = None,
    need_weights: bool = True,
    attn_mask: ArrayLike | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: ArrayLike | None = None,
    k_proj_weight: ArrayLike | None = None,
    v_proj_weight: ArrayLike | None = None,
    static_k: ArrayLike | None = None,
    static_v: ArrayLike | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array | None]:
    """Attention of several heads between a projection of query, keys and value and one of the result.

    Torch: `torch.nn.functional.multi_head_attention_forward`.
    Shape: query (L, E) or (L, N, E), keys (S, K) or (S, N, K), value (S, V) or (S, N, V) → (L, E) or (L, N, E), and the
        weights (L, S) or (N, L, S), with a dimension of heads before L when they are not averaged, or None.
    Args: query, keys, value: floating-point, of one dtype. embed_dim_to_check: E. num_heads: a divisor of E.
        in_proj_weight: (3 · E, E), the three projections one below the other. in_proj_bias: (3 · E). bias_k, bias_v:
        (1, 1, E), one more key and value. add_zero_attn: one more key and value, of zeros. dropout_p: the share of
        weights that is dropped in training. out_proj_weight, out_proj_bias: (E, E) and (E). training: whether in
        training. key_padding_mask: (N, S) or (S), True where a key is ignored, or numbers that are added. need_weights:
        whether to return the weights too. attn_mask: (L, S) or (N · heads, L, S), True where a key is ignored, or
        numbers that are added. use_separate_proj_weight: use q_proj_weight (E, E), k_proj_weight (E, K) and
        v_proj_weight (E, V). static_k, static_v: (N · heads, S, E / heads), projected already. average_attn_weights:
        whether the weights returned are the mean over the heads. is_causal: attn_mask is the causal one.
        key: needed when dropout draws.
    Raises: ValueError when shapes don't fit, arguments exclude each other, or a key is missing; TypeError when dtypes
        are wrong.
    Differs: query, keys and value are given by position, since key is the random key, as everywhere here.
    Source: Vaswani et al.: Attention Is All You Need (2017).
    """
    q, k, v = check.floating("query", query), check.floating("keys", keys), check.floating("value", value)
    check.same_dtype(query=q, keys=k, value=v)
    padding = None if key_padding_mask is None else jnp.asarray(key_padding_mask)
    mask = None if attn_mask is None else jnp.asarray(attn_mask)
    _check_ranks(q, k, v, padding, mask)
    batched = q.ndim == 3
    if not batched:
        q, k, v = q[:, None], k[:, None], v[:, None]
        padding = None if padding is None else padding[None]
    length, number, width = q.shape
    _check_sizes(q, k, v, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if padding is not None and mask is not None and padding.dtype != mask.dtype:
        message = "key_padding_mask and attn_mask of different dtypes are deprecated; use one for both."
        warnings.warn(message, stacklevel=2)
    if is_causal and mask is None:
        raise ValueError("is_causal says that attn_mask is the causal one: give attn_mask too")
    causal = is_causal and padding is None and not need_weights  # then the hint serves instead of the mask
    mask = None if mask is None or causal else _additive("attn_mask", mask, q.dtype)
    padding = None if padding is None else _additive("key_padding_mask", padding, q.dtype)
    if mask is not None:
        expected = (length, k.shape[0]) if mask.ndim == 2 else (number * num_heads, length, k.shape[0])
        if mask.shape != expected:
            raise ValueError(f"attn_mask must have shape {expected}, got {mask.shape}")
        mask = mask.reshape(-1, num_heads if mask.ndim == 3 else 1, *mask.shape[-2:])  # (N or 1, H or 1, L, S)
    weights = (
        (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else _thirds(in_proj_weight, width)
    )
    q, k, v = _project((q, k, v), weights, in_proj_bias)
    k, v, more = _one_more(k, v, bias_k, bias_v, static_k is not None or static_v is not None)
    q = _split(q, num_heads)  # (N, H, L, E / H)
    k = _split(k, num_heads) if static_k is None else _static("static_k", static_k, number, num_heads, q)
    v = _split(v, num_heads) if static_v is None else _static("static_v", static_v, number, num_heads, q)
    if add_zero_attn:
        k, v = (jnp.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0))) for x in (k, v))
    widen = more + bool(add_zero_attn)
    mask = None if mask is None else jnp.pad(mask, ((0, 0), (0, 0), (0, 0), (0, widen)))
    if padding is not None:
        padding = jnp.pad(padding, ((0, 0), (0, widen)))
        if padding.shape != (number, k.shape[-2]):
            raise ValueError(f"key_padding_mask must have shape {(number, k.shape[-2] - widen)}, got {padding.shape}")
        padding = padding[:, None, None]
        mask = padding if mask is None else mask + padding
    p = dropout_p if training else 0.0
    if p > 0 and key is None:
        raise ValueError("multi_head_attention_forward drops weights: pass key=jax.random.key(...)")
    if need_weights:
        out, shares = _with_weights(q, k, v, mask, p, key)
    else:
        out, shares = scaled_dot_product_attention(q, k, v, mask, p, causal, key=key), None
    out = linear(jnp.moveaxis(out, 2, 0).reshape(length, number, width), out_proj_weight, out_proj_bias)
    if shares is not None and average_attn_weights:
        shares = shares.mean(1)
    return (out, shares) if batched else (out[:, 0], None if shares is None else shares[0])


def _with_weights(
    q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, p: float, key: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """The attention and its weights; unlike in the other form, a query whose keys are all ignored gets NaN."""
    scores = _product(q * math.sqrt(1 / q.shape[-1]), k, "le,se->ls")
    if mask is not None:
        scores = scores + jnp.broadcast_to(mask.astype(scores.dtype), scores.shape)
    shares = softmax(scores, -1)
    if p > 0:
        shares = _drop(shares, p, key)
    shares = shares.astype(v.dtype)
    return _product(shares, v, "ls,sf->lf").astype(v.dtype), shares


def _check_ranks(q: jax.Array, k: jax.Array, v: jax.Array, padding: jax.Array | None, mask: jax.Array | None) -> None:
    if q.ndim not in (2, 3) or not q.ndim == k.ndim == v.ndim:
        raise ValueError(f"query, keys and value must be (L, E) or (L, N, E), all, got {q.shape}, {k.shape}, {v.shape}")
    if padding is not None and padding.ndim != q.ndim - 1:
        raise ValueError(
            f"key_padding_mask must have {q.ndim - 1} dimension(s) for query {q.shape}, got {padding.shape}"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise ValueError(f"attn_mask must have 2 or 3 dimensions, got {mask.shape}")


def _check_sizes(q: jax.Array, k: jax.Array, v: jax.Array, width: int, heads: int, separate: bool) -> None:
    if q.shape[-1] != width:
        raise ValueError(f"query must have {width} features (embed_dim_to_check), got {q.shape}")
    if heads < 1 or width % heads:
        raise ValueError(f"num_heads must divide the embedding dimension {width}, got {heads}")
    if k.shape[:2] != v.shape[:2] or (not separate and k.shape != v.shape):
        raise ValueError(f"keys and value must have one shape, got {k.shape} and {v.shape}")
    if k.shape[1] != q.shape[1]:
        raise ValueError(f"query and keys must have one batch size, got {q.shape} and {k.shape}")


def _additive(name: str, mask: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """A mask as numbers to add; True, here, is what is ignored."""
    if mask.dtype == jnp.bool_:
        return jnp.where(mask, jnp.asarray(-jnp.inf, dtype), jnp.zeros((), dtype))
    if not jnp.issubdtype(mask.dtype, jnp.floating):
        raise TypeError(f"{name} must be boolean or floating-point, got dtype {mask.dtype}")
    return mask.astype(dtype)


def _thirds(weight: ArrayLike | None, width: int) -> tuple[ArrayLike | None, ...]:
    if weight is None:
        return None, None, None
    stacked = check.floating("in_proj_weight", weight)
    if stacked.shape != (3 * width, width):
        raise ValueError(f"in_proj_weight must have shape {(3 * width, width)}, got {stacked.shape}")
    return tuple(jnp.split(stacked, 3))


def _project(
    inputs: tuple[jax.Array, ...], weights: tuple[ArrayLike | None, ...], bias: ArrayLike | None
) -> tuple[jax.Array, ...]:
    if any(weight is None for weight in weights):
        raise ValueError("in_proj_weight, or with use_separate_proj_weight q_, k_ and v_proj_weight, must be given")
    biases = (None, None, None) if bias is None else jnp.split(check.floating("in_proj_bias", bias), 3)
    return tuple(linear(x, a, b) for x, a, b in zip(inputs, weights, biases, strict=True) if a is not None)


def _one_more(
    k: jax.Array, v: jax.Array, bias_k: ArrayLike | None, bias_v: ArrayLike | None, static: bool
) -> tuple[jax.Array, jax.Array, int]:
    """Keys and values with the learnt one appended, and how many were appended."""
    if bias_k is None and bias_v is None:
        return k, v, 0
    if bias_k is None or bias_v is None:
        raise ValueError("bias_k and bias_v go together, got only one of them")
    if static:
        raise ValueError("bias_k and bias_v can't be appended to static_k and static_v")

    def append(name: str, x: jax.Array, bias: ArrayLike) -> jax.Array:
        row = check.floating(name, bias)
        if row.shape not in ((1, 1, x.shape[-1]), (1, x.shape[-1]), (x.shape[-1],)):
            raise ValueError(f"{name} must have shape {(1, 1, x.shape[-1])}, got {row.shape}")
        row = row.reshape(1, 1, -1)
        return jnp.concatenate([x, jnp.broadcast_to(row, (1, *x.shape[1:]))])

    return append("bias_k", k, bias_k), append("bias_v", v, bias_v), 1


def _split(x: jax.Array, heads: int) -> jax.Array:
    """(L, N, E) → (N, H, L, E / H)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2, 0, 3)


def _static(name: str, value: ArrayLike, number: int, heads: int, q: jax.Array) -> jax.Array:
    x = check.floating(name, value)
    if x.ndim != 3 or x.shape[0] != number * heads or x.shape[2] != q.shape[-1]:
        raise ValueError(f"{name} must have shape ({number * heads}, S, {q.shape[-1]}), got {x.shape}")
    return x.reshape(number, heads, *x.shape[1:])
