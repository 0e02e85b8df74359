import jax.numpy as jnp

import fnlearn.functional as F


def self_attention(params, hidden, mask, *, train=False, key=None):  # gallery.bert.torch_model.SelfAttention
    query = F.linear(hidden, **params["query"]).reshape(hidden.shape[0], hidden.shape[1], 2, -1).swapaxes(1, 2)
    key_ = F.linear(hidden, **params["key"]).reshape(hidden.shape[0], hidden.shape[1], 2, -1).swapaxes(1, 2)
    value = F.linear(hidden, **params["value"]).reshape(hidden.shape[0], hidden.shape[1], 2, -1).swapaxes(1, 2)
    scores = query @ key_.mT / 2.0 + mask
    weights = F.dropout(F.softmax(scores, -1), 0.1, train, key=key)
    return F.linear((weights @ value).swapaxes(1, 2).reshape(hidden.shape[0], hidden.shape[1], -1), **params["output"])


def layer(params, hidden, mask, *, train=False, key=None):  # gallery.bert.torch_model.Layer
    key_0, key_1, key_2 = F.split_key(key, 3)
    hidden_1 = self_attention(params["attention"], hidden, mask, train=train, key=key_0)
    hidden = F.layer_norm(hidden + F.dropout(hidden_1, 0.1, train, key=key_1), (8,), **params["norm1"])
    wide = F.gelu(F.linear(hidden, **params["intermediate"]))
    x = hidden + F.dropout(F.linear(wide, **params["output"]), 0.1, train, key=key_2)
    return F.layer_norm(x, (8,), **params["norm2"])


def bert(params, ids, types, attend, *, train=False, key=None):  # gallery.bert.torch_model.BERT
    key_0, key_1, key_2 = F.split_key(key, 3)
    places = jnp.arange(ids.shape[1])
    hidden = F.embedding(ids, **params["words"]) + F.embedding(places, **params["positions"])
    hidden = hidden + F.embedding(types, **params["types"])
    hidden = F.dropout(F.layer_norm(hidden, (8,), **params["norm"]), 0.1, train, key=key_0)
    mask = (1.0 - attend[:, None, None, :].astype(jnp.float32)) * -10000.0  # nothing looks at padding
    hidden = layer(params["layers"]["0"], hidden, mask, train=train, key=key_1)
    hidden = layer(params["layers"]["1"], hidden, mask, train=train, key=key_2)
    return hidden, jnp.tanh(F.linear(hidden[:, 0], **params["pooler"]))


def apply(params, buffers, ids, types, attend, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return bert(params, ids, types, attend, train=train, key=key), buffers
