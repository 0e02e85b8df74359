"""What the table of layers can't say about convolutions: lazy layers start from an example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn import nn, tree

LAZY = [f"Lazy{kind}{rank}d" for kind in ("Conv", "ConvTranspose") for rank in (1, 2, 3)]


@pytest.mark.parametrize("name", LAZY)
def test_lazy_layers_take_their_channels_from_an_example(name):
    x = np.ones((2, 4) + (5,) * int(name[-2]), "float32")
    module = getattr(torch.nn, name)(6, 3, groups=2)
    module(torch.from_numpy(x))
    layer = getattr(nn, name)(6, 3, groups=2)
    params, _ = layer.init(jax.random.key(0), jnp.asarray(x))
    mine = {key: tuple(value.shape) for key, value in tree.flatten(params).items()}
    assert list(mine.items()) == [(key, tuple(value.shape)) for key, value in module.state_dict().items()]
    plain = getattr(nn, name.removeprefix("Lazy"))(4, 6, 3, groups=2)
    np.testing.assert_array_equal(layer.apply(params, {}, x)[0], plain.apply(params, {}, x)[0])


@pytest.mark.parametrize("name", LAZY)
def test_lazy_layers_without_an_example_say_what_to_do(name):
    with pytest.raises(ValueError, match=r"call init\(key, input\), or use the plain layer"):
        getattr(nn, name)(6, 3).init(jax.random.key(0))


def test_an_output_size_out_of_reach_is_refused():
    layer = nn.ConvTranspose1d(4, 6, 3, 2)
    params, _ = layer.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"output_size must be between \[11\] and \[12\]"):
        layer.apply(params, {}, jnp.ones((2, 4, 5)), [13])


def test_padding_beyond_the_input_is_refused():
    layer = nn.Conv1d(1, 1, 3, padding=4, padding_mode="reflect")
    params, _ = layer.init(jax.random.key(0))
    with pytest.raises(ValueError, match="too large for padding_mode='reflect'"):
        layer.apply(params, {}, jnp.ones((1, 1, 4)))
