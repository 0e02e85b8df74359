import jax.numpy as jnp

import fnlearn.functional as F


def attention(params, x, cos, sin):  # gallery.llama.torch_model.Attention
    b, t = x.shape[:2]
    q = F.linear(x, **params["q_proj"]).reshape(b, t, 4, 4).swapaxes(1, 2)
    k = F.linear(x, **params["k_proj"]).reshape(b, t, 2, 4).swapaxes(1, 2)
    v = F.linear(x, **params["v_proj"]).reshape(b, t, 2, 4).swapaxes(1, 2)
    left, right = jnp.split(q, 2, axis=-1)
    q = q * cos + jnp.concatenate([-right, left], axis=-1) * sin
    left, right = jnp.split(k, 2, axis=-1)
    k = k * cos + jnp.concatenate([-right, left], axis=-1) * sin
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return F.linear(y.swapaxes(1, 2).reshape(b, t, -1), **params["o_proj"])


def mlp(params, x):  # gallery.llama.torch_model.MLP
    x = F.silu(F.linear(x, **params["gate_proj"])) * F.linear(x, **params["up_proj"])
    return F.linear(x, **params["down_proj"])


def decoder_layer(params, x, cos, sin):  # gallery.llama.torch_model.DecoderLayer
    x = x + attention(params["attention"], F.rms_norm(x, (16,), **params["input_norm"], eps=1e-06), cos, sin)
    return x + mlp(params["mlp"], F.rms_norm(x, (16,), **params["post_norm"], eps=1e-06))


def llama(params, buffers, ids):  # gallery.llama.torch_model.Llama
    x = F.embedding(ids, **params["embed"])
    angles = jnp.arange(ids.shape[1])[:, None] * buffers["inverse"]
    angles = jnp.concatenate([angles, angles], axis=-1)
    cos = jnp.cos(angles)
    sin = jnp.sin(angles)
    x = decoder_layer(params["layers"]["0"], x, cos, sin)
    x = decoder_layer(params["layers"]["1"], x, cos, sin)
    return F.linear(F.rms_norm(x, (16,), **params["norm"], eps=1e-06), **params["head"])


def apply(params, buffers, ids, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return llama(params, buffers, ids), buffers
