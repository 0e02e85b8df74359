import jax.numpy as jnp

import fnlearn.functional as F


# gallery.nanogpt.torch_model.CausalSelfAttention
def causal_self_attention(params, buffers, x, *, train=False, key=None):
    B, T = x.shape[:2]
    key_0, key_1 = F.split_key(key, 2)
    # query, key and value of all heads in one product
    q, k, v = jnp.split(F.linear(x, **params["c_attn"]), 3, axis=2)
    q = q.reshape(B, T, 2, 4).swapaxes(1, 2)  # (B, nh, T, hs)
    k = k.reshape(B, T, 2, 4).swapaxes(1, 2)  # (B, nh, T, hs)
    v = v.reshape(B, T, 2, 4).swapaxes(1, 2)  # (B, nh, T, hs)
    att = q @ k.swapaxes(-2, -1) * 0.5
    att = jnp.where(buffers["mask"][:, :, :T, :T] == 0, -jnp.inf, att)
    att = F.dropout(F.softmax(att, -1), 0.1, train, key=key_0)
    y = (att @ v).swapaxes(1, 2).reshape(B, T, 8)  # heads side by side again
    return F.dropout(F.linear(y, **params["c_proj"]), 0.1, train, key=key_1)


def mlp(params, x, *, train=False, key=None):  # gallery.nanogpt.torch_model.MLP
    x = F.gelu(F.linear(x, **params["c_fc"]))
    return F.dropout(F.linear(x, **params["c_proj"]), 0.1, train, key=key)


def block(params, buffers, x, *, train=False, key=None):  # gallery.nanogpt.torch_model.Block
    key_0, key_1 = F.split_key(key, 2)
    x_1 = F.layer_norm(x, (8,), **params["ln_1"])
    x = x + causal_self_attention(params["attn"], buffers["attn"], x_1, train=train, key=key_0)
    return x + mlp(params["mlp"], F.layer_norm(x, (8,), **params["ln_2"]), train=train, key=key_1)


def gpt(params, buffers, idx, targets, *, train=False, key=None):  # gallery.nanogpt.torch_model.GPT
    t = idx.shape[1]
    key_0, key_1, key_2, key_3 = F.split_key(key, 4)
    pos = jnp.arange(t)
    x = F.embedding(idx, **params["transformer"]["wte"]) + F.embedding(pos, **params["transformer"]["wpe"])
    x = F.dropout(x, 0.1, train, key=key_0)
    x = block(params["transformer"]["h"]["0"], buffers["transformer"]["h"]["0"], x, train=train, key=key_1)
    x = block(params["transformer"]["h"]["1"], buffers["transformer"]["h"]["1"], x, train=train, key=key_2)
    x = block(params["transformer"]["h"]["2"], buffers["transformer"]["h"]["2"], x, train=train, key=key_3)
    x = F.layer_norm(x, (8,), **params["transformer"]["ln_f"])
    logits = F.linear(x, **params["transformer"]["wte"])
    return logits, F.cross_entropy(logits.reshape(-1, 17), targets.reshape(-1))


def apply(params, buffers, idx, targets, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return gpt(params, buffers, idx, targets, train=train, key=key), buffers
