"""Attention as a layer."""

from typing import Any

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn import random
from fnlearn.functional.typing import DTypeLike
from fnlearn.nn import init as initial
from fnlearn.nn.layer import Layer, Tree
from fnlearn.nn.linear import Linear


def MultiheadAttention(
    embed_dim: int,
    num_heads: int,
    dropout: float = 0.0,
    bias: bool = True,
    add_bias_kv: bool = False,
    add_zero_attn: bool = False,
    kdim: int | None = None,
    vdim: int | None = None,
    batch_first: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Attention of several heads, with a projection of query, key and value, and one of the result.

    Torch: `torch.nn.MultiheadAttention`.
    Shape: query (L, E), (L, N, E) or, batch_first, (N, L, E), key and value alike with S, kdim and vdim → the same with
        L and E, and the weights (L, S) or (N, L, S), or None; parameters in_proj_weight (3 · E, E) or q_proj_weight,
        k_proj_weight and v_proj_weight, in_proj_bias, bias_k, bias_v, out_proj.weight, out_proj.bias.
    Args: embed_dim: E. num_heads: a divisor of E. dropout: the share of weights dropped in training. bias: whether the
        projections have biases. add_bias_kv, add_zero_attn: whether there is one more key and value, learnt or zero.
        kdim, vdim: features of key and value, E when left out. batch_first: whether N comes first. device: None; JAX
        places arrays. dtype: of the parameters. When applied, key_padding_mask, need_weights, attn_mask,
        average_attn_weights and is_causal are as for `fnlearn.functional.multi_head_attention_forward`.
    Raises: ValueError when sizes don't fit, and, when applied, as `fnlearn.functional.multi_head_attention_forward`.
    Differs: the initial numbers come from a JAX key; their distributions are torch's. The argument `key` is the random
        key, so keys are given by position.
    Source: Vaswani et al.: Attention Is All You Need (2017).
    """
    if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
        raise ValueError(f"num_heads must divide embed_dim, got embed_dim={embed_dim} and num_heads={num_heads}")
    kdim, vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
    shapes = {"in_proj_weight": (3 * embed_dim, embed_dim)}
    separate = not kdim == vdim == embed_dim
    if separate:
        widths = {"q_proj_weight": embed_dim, "k_proj_weight": kdim, "v_proj_weight": vdim}
        shapes = {name: (embed_dim, width) for name, width in widths.items()}

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        # drawn first, as in torch, its bias too
        out, _ = Linear(embed_dim, embed_dim, bias, dtype=dtype).init(random.named(key, "out_proj"))
        params: Tree = {
            name: initial.xavier_uniform(random.named(key, name), shape, dtype=dtype) for name, shape in shapes.items()
        }
        if bias:
            params["in_proj_bias"] = initial.zeros((3 * embed_dim,), dtype=dtype)
        if add_bias_kv:
            for name in ("bias_k", "bias_v"):
                params[name] = initial.xavier_normal(random.named(key, name), (1, 1, embed_dim), dtype=dtype)
        params["out_proj"] = out | ({"bias": initial.zeros((embed_dim,), dtype=dtype)} if bias else {})
        return params, {}

    def apply(
        params: Tree,
        buffers: Tree,
        query: Any,
        keys: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[Any, Tree]:
        turned = batch_first and jnp.ndim(query) == 3
        if turned:
            query, keys, value = (jnp.swapaxes(x, 0, 1) for x in (query, keys, value))
        out, weights = F.multi_head_attention_forward(
            query,
            keys,
            value,
            embed_dim,
            num_heads,
            params.get("in_proj_weight"),
            params.get("in_proj_bias"),
            params.get("bias_k"),
            params.get("bias_v"),
            add_zero_attn,
            dropout,
            params["out_proj"]["weight"],
            params["out_proj"].get("bias"),
            train,
            key_padding_mask,
            need_weights,
            attn_mask,
            separate,
            params.get("q_proj_weight"),
            params.get("k_proj_weight"),
            params.get("v_proj_weight"),
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            key=key,
        )
        return (jnp.swapaxes(out, 0, 1) if turned else out, weights), buffers

    return Layer(init, apply)
