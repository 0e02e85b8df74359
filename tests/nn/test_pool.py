"""Layers of fractional pooling, whose samples are a buffer when they are given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn import nn
from fnlearn.equivalence import assert_equivalent
from tests.cases.table import R
from tests.reference import jax_layer, torch_layer

SHAPES = {2: (2, 3, 7, 6), 3: (2, 3, 5, 7, 6)}


@pytest.mark.parametrize("rank", [2, 3])
def test_given_samples_decide_the_windows(rank):
    samples, x = np.random.default_rng(0).random((2, 3, rank)).astype("float32"), R(*SHAPES[rank])
    name, options = f"FractionalMaxPool{rank}d", {"output_ratio": 0.5, "return_indices": True}
    module = getattr(torch.nn, name)(2, **options, _random_samples=torch.from_numpy(samples))
    layer = getattr(nn, name)(2, **options, _random_samples=samples)
    assert_equivalent(torch_layer(module, (x,), "float32"), jax_layer(layer, module, (x,), "float32", False))
    _, buffers = layer.init(jax.random.key(0))
    np.testing.assert_array_equal(buffers["_random_samples"], module.state_dict()["_random_samples"])


def test_a_sample_alone_takes_the_first_row():
    samples, x = np.random.default_rng(0).random((3, 3, 2)).astype("float32"), jnp.asarray(R(3, 7, 6), "float32")
    layer = nn.FractionalMaxPool2d(2, output_size=3, _random_samples=samples)
    first, _ = layer.apply({}, {"_random_samples": samples}, x)
    theirs = torch.nn.functional.fractional_max_pool2d
    expected = theirs(torch.from_numpy(np.array(x)), 2, 3, _random_samples=torch.from_numpy(samples))
    np.testing.assert_array_equal(first, expected)
    with pytest.raises(ValueError, match="_random_samples must have shape"):
        layer.apply({}, {"_random_samples": samples[:0]}, x)


@pytest.mark.parametrize("rank", [2, 3])
def test_else_a_key_decides(rank):
    layer = getattr(nn, f"FractionalMaxPool{rank}d")(2, output_size=3)
    x = jnp.asarray(R(*SHAPES[rank]), "float32")
    one, other = (layer.apply({}, {}, x, key=jax.random.key(seed))[0] for seed in (0, 1))
    assert one.shape == (*x.shape[:2], *(3,) * rank)
    assert not np.array_equal(one, other)
    with pytest.raises(ValueError, match="pass key="):
        layer.apply({}, {}, x)
