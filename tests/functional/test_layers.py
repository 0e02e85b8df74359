"""`scan_layers` against the layers one by one, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import fnlearn.functional as F
from fnlearn import equivalence, tree
from fnlearn.equivalence import assert_equivalent

LAYERS = nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)])
X = torch.randn(2, 3)


def params():
    return tree.unflatten({name: jnp.asarray(tree.as_numpy(p)) for name, p in LAYERS.named_parameters()})


def block(layer, x):
    return F.linear(x, **layer)


@pytest.mark.parametrize("stored", ["dict", "list", "stacked"])
def test_it_is_the_layers_one_after_the_other(stored):
    def network(params, x):
        layers = {
            "dict": lambda: params,
            "list": lambda: [params[str(i)] for i in range(4)],
            "stacked": lambda: tree.stack_layers(params, [""]),
        }[stored]()
        return F.scan_layers(block, layers, x)

    both = equivalence.pair(LAYERS, network)
    assert equivalence.forward(both, (X,)).ok
    assert equivalence.backward(both, (X,)).ok


def test_every_layer_draws_from_a_key_of_its_own():
    layers = [{"size": jnp.ones(())}] * 3
    keys = []
    F_draws = lambda layer, x, key: x.at[1:].set(x[:-1]).at[0].set(jax.random.uniform(key))  # noqa: E731
    keys = F.scan_layers(F_draws, layers, jnp.zeros(3), key=jax.random.key(0))
    assert len(set(np.asarray(keys).tolist())) == 3


def test_without_a_key_each_layer_gets_none():
    def layer(params, x, key):
        assert key is None
        return x + params

    assert_equivalent(
        np.float32(6), F.scan_layers(layer, [jnp.float32(1), jnp.float32(2), jnp.float32(3)], jnp.float32(0), key=None)
    )


def test_parameters_and_buffers_side_by_side():
    total = F.scan_layers(
        lambda layer, x: x + layer[0] * layer[1],
        ({"0": jnp.float32(2), "1": jnp.float32(3)}, [jnp.float32(5), jnp.float32(7)]),
        jnp.float32(0),
    )
    assert_equivalent(np.float32(31), total)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least one layer"),
        ({"0": jnp.ones(2), "2": jnp.ones(2)}, "the keys"),
        ([jnp.ones(2), jnp.ones(3)], "layer 1 differ"),
        (([jnp.ones(2)], [jnp.ones(2), jnp.ones(2)]), "equally many"),
    ],
)
def test_errors(layers, message):
    with pytest.raises(ValueError, match=message):
        F.scan_layers(lambda layer, x: x, layers, jnp.ones(2))
