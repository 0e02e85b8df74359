import jax.numpy as jnp

import fnlearn.functional as F


def encoder(params, source):  # gallery.gru_seq2seq.torch_model.Encoder
    x, x_1 = F.gru(
        F.embedding(source, **params["embed"]),
        jnp.zeros((1, source.shape[0], 6), jnp.float32),
        [
            params["gru"]["weight_ih_l0"],
            params["gru"]["weight_hh_l0"],
            params["gru"]["bias_ih_l0"],
            params["gru"]["bias_hh_l0"],
        ],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=False,
        bidirectional=False,
        batch_first=True,
    )
    return x, x_1


def decoder(params, target, state, memory):  # gallery.gru_seq2seq.torch_model.Decoder
    read, _ = F.gru(
        F.embedding(target, **params["embed"]),
        state,
        [
            params["gru"]["weight_ih_l0"],
            params["gru"]["weight_hh_l0"],
            params["gru"]["bias_ih_l0"],
            params["gru"]["bias_hh_l0"],
        ],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=False,
        bidirectional=False,
        batch_first=True,
    )
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
