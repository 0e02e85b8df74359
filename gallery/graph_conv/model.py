import jax
import jax.numpy as jnp

import fnlearn.functional as F


def graph_conv(params, x, source, target, norm):  # gallery.graph_conv.torch_model.GraphConv
    x = F.linear(x, **params["linear"])
    messages = x[source] * norm[:, None]
    out = jnp.zeros_like(x).at[target].add(messages)
    return out + params["bias"]


def gcn(params, x, edges, *, train=False, key=None):  # gallery.graph_conv.torch_model.GCN
    n = x.shape[0]
    source, target = edges
    # symmetric normalisation by the numbers of neighbours
    ones = jnp.ones((edges.shape[1],), jnp.float32)
    degree = jnp.zeros((n,), jnp.float32).at[target].add(ones)
    scale = jax.lax.rsqrt(jnp.maximum(degree, 1))
    norm = scale[source] * scale[target]
    x = F.relu(graph_conv(params["conv1"], x, source, target, norm))
    x = F.dropout(x, 0.5, train, key=key)
    return graph_conv(params["conv2"], x, source, target, norm)


def apply(params, buffers, x, edges, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    if edges.shape[0] != 2:
        raise ValueError(f"the model was ported for edges.shape[0] == 2, got {edges.shape[0]}")
    return gcn(params, x, edges, train=train, key=key), buffers
