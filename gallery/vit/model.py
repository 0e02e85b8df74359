import jax.numpy as jnp

import fnlearn.functional as F


def attention(params, x):  # gallery.vit.torch_model.Attention
    B, N = x.shape[:2]
    qkv = F.linear(x, **params["qkv"]).reshape(B, N, 3, 2, 4).transpose(2, 0, 3, 1, 4)
    q, k, v = qkv
    x = F.scaled_dot_product_attention(q, k, v)
    return F.linear(x.swapaxes(1, 2).reshape(B, N, 8), **params["proj"])


def block(params, x):  # gallery.vit.torch_model.Block
    x = x + attention(params["attn"], F.layer_norm(x, (8,), **params["norm1"]))
    return x + F.linear(F.gelu(F.linear(F.layer_norm(x, (8,), **params["norm2"]), **params["fc1"])), **params["fc2"])


def vit(params, x):  # gallery.vit.torch_model.ViT
    n = x.shape[0]
    x = F.conv2d(x, **params["patch_embed"], stride=4).reshape(n, 8, -1).swapaxes(1, 2)
    cls = jnp.broadcast_to(params["cls_token"], (n, 1, 8))
    x = jnp.concatenate([cls, x], axis=1) + params["pos_embed"]
    x = F.layer_norm(block(params["blocks"]["1"], block(params["blocks"]["0"], x)), (8,), **params["norm"])
    return F.linear(x[:, 0], **params["head"])


def apply(params, buffers, x, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return vit(params, x), buffers
