"""The six models ported by hand, as one would write them with `fnlearn.functional`; faults are put into this text."""

import math

import jax
import jax.numpy as jnp
import optax  # noqa: F401 - some faults are optax's own optimizers

import fnlearn.functional as F
from fnlearn import optim

# ------------------------------------------------------------------------------------------------------------- mlp


def mlp(params, x, train, key):
    x = F.gelu(F.linear(x, **params["fc1"]))
    x = F.dropout(x, 0.2, train, key=key)
    x = F.layer_norm(x, x.shape[-1:], **params["norm"], eps=1e-5)
    x = jnp.tanh(F.linear(x, **params["fc2"]))
    return F.linear(x, **params["head"])


def mlp_loss(out, target):
    return F.mse_loss(out, target)


mlp_optimizer = optim.sgd(0.05, momentum=0.9, dampening=0.1, weight_decay=0.01)


# ---------------------------------------------------------------------------------------------------------- resnet


def batch_norm(params, buffers, x, train):
    mean, var, count = (buffers[name] for name in ("running_mean", "running_var", "num_batches_tracked"))
    x, mean, var = F.batch_norm_update(x, mean, var, **params, training=train, momentum=0.1, eps=1e-5)
    return x, {"running_mean": mean, "running_var": var, "num_batches_tracked": count + int(train)}


def basic_block(params, buffers, x, stride, train):
    after = dict(buffers)
    y = F.conv2d(x, **params["conv1"], stride=stride, padding=1)
    y, after["bn1"] = batch_norm(params["bn1"], buffers["bn1"], y, train)
    y = F.conv2d(F.relu(y), **params["conv2"], padding=1)
    y, after["bn2"] = batch_norm(params["bn2"], buffers["bn2"], y, train)
    short = F.conv2d(x, **params["down"]["0"], stride=stride)
    short, norm = batch_norm(params["down"]["1"], buffers["down"]["1"], short, train)
    after["down"] = {"1": norm}
    return F.relu(y + short), after


def resnet(params, buffers, x, train):
    after = dict(buffers)
    x = F.conv2d(x, **params["conv1"], padding=1)
    x, after["bn1"] = batch_norm(params["bn1"], buffers["bn1"], x, train)
    x = F.max_pool2d(F.relu(x), 3, 2, 1)
    x, after["layer1"] = basic_block(params["layer1"], buffers["layer1"], x, 1, train)
    x, after["layer2"] = basic_block(params["layer2"], buffers["layer2"], x, 2, train)
    return F.linear(x.mean((2, 3)), **params["fc"]), after


def resnet_loss(out, target):
    return F.cross_entropy(out, target)


resnet_optimizer = optim.sgd(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)


# ------------------------------------------------------------------------------------------------------------ unet


def double_conv(params, x):
    x = F.conv2d(x, **params["conv1"], padding=1)
    x = F.silu(F.group_norm(x, 2, **params["norm1"]))
    x = F.conv2d(x, **params["conv2"], padding=1)
    return F.silu(F.group_norm(x, 2, **params["norm2"]))


def unet(params, x):
    skip = double_conv(params["enter"], x)
    deep = double_conv(params["deep"], F.max_pool2d(skip, 2))
    up = F.conv_transpose2d(deep, **params["up"], stride=2)
    x = double_conv(params["leave"], jnp.concatenate([skip, up], 1))
    return F.conv2d(x, **params["out"])


def unet_loss(out, target):
    return F.binary_cross_entropy_with_logits(out, target)


unet_optimizer = optim.rmsprop(1e-3, alpha=0.99, eps=1e-8)


# ------------------------------------------------------------------------------------------------------------ lstm


def cell(params, state, x):
    h, c = state
    gates = x @ params["weight_ih_l0"].T + params["bias_ih_l0"] + h @ params["weight_hh_l0"].T + params["bias_hh_l0"]
    i, f, g, o = jnp.split(gates, 4, -1)
    c = F.sigmoid(f) * c + F.sigmoid(i) * jnp.tanh(g)
    h = F.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def recurrent(params, x):
    zeros = jnp.zeros((len(x), params["weight_hh_l0"].shape[-1]), x.dtype)
    _, out = jax.lax.scan(lambda state, x: cell(params, state, x), (zeros, zeros), jnp.swapaxes(x, 0, 1))
    return jnp.swapaxes(out, 0, 1)


def lstm(params, ids, train, key):
    x = F.embedding(ids, **params["embed"], padding_idx=0)
    out = recurrent(params["rnn"], x)[:, -1]
    return F.linear(F.dropout(out, 0.3, train, key=key), **params["head"])


def lstm_loss(out, target):
    return F.cross_entropy(out, target)


lstm_optimizer = optim.adam(0.01, weight_decay=0.01)


# ------------------------------------------------------------------------------------------------------------- gpt


def attention(params, x, train, key):
    b, t, c = x.shape
    q, k, v = jnp.split(F.linear(x, **params["c_attn"]), 3, -1)
    q, k, v = (z.reshape(b, t, 2, c // 2).swapaxes(1, 2) for z in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(c // 2)
    seen = jnp.tril(jnp.ones((t, t), bool))
    weights = F.softmax(jnp.where(seen, scores, -jnp.inf), -1)
    y = F.dropout(weights, 0.1, train, key=key) @ v
    y = y.swapaxes(1, 2).reshape(b, t, c)
    return F.dropout(F.linear(y, **params["c_proj"]), 0.1, train, key=key)


def feed_forward(params, x):
    return F.linear(F.gelu(F.linear(x, **params["c_fc"]), "tanh"), **params["c_proj"])


def block(params, x, train, key):
    x = x + attention(params["attn"], F.layer_norm(x, x.shape[-1:], **params["ln_1"]), train, key)
    return x + feed_forward(params["mlp"], F.layer_norm(x, x.shape[-1:], **params["ln_2"]))


def gpt(params, ids, train, key):
    x = F.embedding(ids, **params["wte"]) + F.embedding(jnp.arange(ids.shape[1]), **params["wpe"])
    for layer in params["h"].values():
        x = block(layer, x, train, key)
    x = F.layer_norm(x, x.shape[-1:], **params["ln_f"])
    return F.linear(x, **params["wte"])


def gpt_loss(out, target):
    return F.cross_entropy(out.reshape(-1, out.shape[-1]), target.reshape(-1))


gpt_optimizer = optim.adamw(0.01, betas=(0.9, 0.95), weight_decay=0.1)


# ------------------------------------------------------------------------------------------------------------- vit


def self_attention(params, x):
    b, t, c = x.shape
    qkv = F.linear(x, params["in_proj_weight"], params["in_proj_bias"])
    q, k, v = (z.reshape(b, t, 2, c // 2).swapaxes(1, 2) for z in jnp.split(qkv, 3, -1))
    y = F.scaled_dot_product_attention(q, k, v)
    return F.linear(y.swapaxes(1, 2).reshape(b, t, c), **params["out_proj"])


def encoder_block(params, x, train, key):
    y = self_attention(params["attn"], F.layer_norm(x, x.shape[-1:], **params["ln_1"], eps=1e-6))
    x = x + F.dropout(y, 0.1, train, key=key)
    y = F.layer_norm(x, x.shape[-1:], **params["ln_2"], eps=1e-6)
    return x + F.linear(F.gelu(F.linear(y, **params["mlp"]["fc1"])), **params["mlp"]["fc2"])


def vit(params, x, train, key):
    x = F.conv2d(x, **params["patch"], stride=4)
    x = x.reshape(*x.shape[:2], -1).swapaxes(1, 2)
    first = jnp.broadcast_to(params["cls"], (len(x), 1, x.shape[-1]))
    x = jnp.concatenate([first, x], 1) + params["pos"]
    for layer in params["blocks"].values():
        x = encoder_block(layer, x, train, key)
    x = F.layer_norm(x, x.shape[-1:], **params["ln"], eps=1e-6)
    return F.linear(x[:, 0], **params["head"])


def vit_loss(out, target):
    return F.cross_entropy(out, target, label_smoothing=0.1)


vit_optimizer = optim.nadam(0.01)


# ------------------------------------------------------------------------------------------------------------- all


def order(batches):
    return batches


def tree(params):
    return params
