import jax.numpy as jnp

import fnlearn.functional as F


def tagger(params, sentence):  # gallery.lstm_tagger.torch_model.Tagger
    embedded = F.embedding(sentence, **params["embed"])
    hidden, _, _ = F.lstm(
        embedded,
        (jnp.zeros((2, sentence.shape[0], 4), jnp.float32), jnp.zeros((2, sentence.shape[0], 4), jnp.float32)),
        [
            params["lstm"]["weight_ih_l0"],
            params["lstm"]["weight_hh_l0"],
            params["lstm"]["bias_ih_l0"],
            params["lstm"]["bias_hh_l0"],
            params["lstm"]["weight_ih_l0_reverse"],
            params["lstm"]["weight_hh_l0_reverse"],
            params["lstm"]["bias_ih_l0_reverse"],
            params["lstm"]["bias_hh_l0_reverse"],
        ],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=False,
        bidirectional=True,
        batch_first=True,
    )
    return F.log_softmax(F.linear(hidden, **params["tag"]), -1)


def apply(params, buffers, sentence, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return tagger(params, sentence), buffers
