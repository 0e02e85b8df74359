"""Weight and spectral normalisation against torch.nn.utils.parametrizations: names, outputs, gradients and buffers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn.utils import parametrizations

from fnlearn import nn, tree
from fnlearn.equivalence import assert_equivalent
from tests.reference import jax_layer, precision, torch_layer

X = np.random.default_rng(0).standard_normal((5, 3))
CASES = [
    ("weight_norm", {}),
    ("weight_norm", {"dim": 1}),
    ("weight_norm", {"dim": None}),
    ("spectral_norm", {}),
    ("spectral_norm", {"n_power_iterations": 3}),
    ("spectral_norm", {"dim": 1}),
    ("spectral_norm", {"name": "bias"}),
]


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_outputs_gradients_and_buffers(name, options, dtype, train):
    torch.manual_seed(0)
    module = getattr(parametrizations, name)(torch.nn.Linear(3, 4), **options).train(train)
    layer = getattr(nn, name)(nn.Linear(3, 4), **options)
    with precision(dtype):
        theirs, wide = torch_layer(module, [X], dtype), torch_layer(module, [X], "float64", seen=dtype)
        assert_equivalent(theirs, jax_layer(layer, module, [X], dtype, train), wide)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_names_and_shapes_are_torchs(name, options):
    module = getattr(parametrizations, name)(torch.nn.Linear(3, 4), **options)
    params, buffers = getattr(nn, name)(nn.Linear(3, 4), **options).init(jax.random.key(0))
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    assert {key: value.shape for key, value in (tree.flatten(params) | tree.flatten(buffers)).items()} == shapes
    assert tree.names(params) == tuple(key for key, _ in module.named_parameters())


def test_the_layer_starts_as_the_one_it_was_made_of():
    plain = nn.Linear(3, 4)
    key, x = jax.random.key(0), jnp.asarray(X, "float32")
    params, _ = plain.init(key)
    normed = nn.weight_norm(plain)
    assert_equivalent(plain.apply(params, {}, x)[0], normed.apply(*normed.init(key), x)[0])


def test_the_largest_singular_value_is_one():
    layer = nn.spectral_norm(nn.Linear(3, 4, bias=False))
    params, buffers = layer.init(jax.random.key(0))
    weight, _ = layer.apply(params, buffers, jnp.eye(3))
    assert float(jnp.linalg.norm(weight, 2)) == pytest.approx(1, abs=1e-3)


def test_two_parametrisations_of_one_layer():
    layer = nn.spectral_norm(nn.weight_norm(nn.Linear(3, 4)), name="bias")
    params, buffers = layer.init(jax.random.key(0))
    assert set(params["parametrizations"]) == {"weight", "bias"}
    assert layer.apply(params, buffers, jnp.ones(3))[0].shape == (4,)


def test_errors():
    with pytest.raises(ValueError, match="has no parameter 'wait'; it has weight, bias"):
        nn.weight_norm(nn.Linear(2, 2), "wait").init(jax.random.key(0))
    with pytest.raises(ValueError, match="n_power_iterations must be at least 1"):
        nn.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
