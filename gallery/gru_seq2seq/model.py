import jax.numpy as jnp

import fnlearn.functional as F


def encoder(params, source):  # gallery.gru_seq2seq.torch_model.Encoder
    x, x_1 = F.gru(F.embedding(source, **params["embed"]), None, params["gru"], batch_first=True)
    return x, x_1


def decoder(params, target, state, memory):  # gallery.gru_seq2seq.torch_model.Decoder
    read, _ = F.gru(F.embedding(target, **params["embed"]), state, params["gru"], batch_first=True)
    # every step looks at all that was read
    scores = read @ memory.swapaxes(1, 2)
    context = F.softmax(scores, -1) @ memory
    return F.linear(jnp.concatenate([read, context], axis=-1), **params["out"])


def seq2_seq(params, source, target):  # gallery.gru_seq2seq.torch_model.Seq2Seq
    memory, state = encoder(params["encoder"], source)
    return decoder(params["decoder"], target, state, memory)


def apply(params, buffers, source, target, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return seq2_seq(params, source, target), buffers
