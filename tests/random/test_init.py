"""`fnlearn.nn.init` and composed layers from a `TorchGenerator` give torch's numbers, and take as many."""

import math

import numpy as np
import pytest
import torch

from fnlearn import nn, random, tree
from fnlearn.equivalence import assert_equivalent

CASES = [
    ("uniform", (4, 5), {"a": -0.3, "b": 0.7}),
    ("normal", (40, 5), {"mean": 0.1, "std": 0.02}),
    ("normal", (3,), {"std": 0.02}),
    ("trunc_normal", (40, 5), {"std": 0.02}),
    ("trunc_normal", (4, 5), {"mean": 0.2, "std": 0.9, "a": -1.0, "b": 1.0}),
    ("xavier_uniform", (4, 5, 3), {"gain": 5 / 3}),
    ("xavier_normal", (4, 5), {}),
    ("kaiming_uniform", (4, 5, 3, 3), {"a": math.sqrt(5)}),
    ("kaiming_normal", (4, 5), {"mode": "fan_out", "nonlinearity": "relu"}),
    ("sparse", (7, 4), {"sparsity": 0.3}),
]


@pytest.mark.parametrize(("name", "shape", "options"), CASES, ids=str)
def test_initialisers(name, shape, options):
    torch.manual_seed(3)
    expected, generator = getattr(torch.nn.init, f"{name}_")(torch.empty(shape), **options), random.TorchGenerator(3)
    assert np.array_equal(getattr(nn.init, name)(generator, shape, **options), expected)
    assert (generator.get_state() == torch.get_rng_state().numpy()).all()


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 2, 2)])
def test_orthogonal(shape):
    """Its factorisation is LAPACK's, whose last bits are the machine's."""
    torch.manual_seed(3)
    expected = torch.nn.init.orthogonal_(torch.empty(shape), 0.7)
    drawn = nn.init.orthogonal(random.TorchGenerator(3), shape, 0.7)
    assert_equivalent(expected, drawn, atol=1e-6)


class Net(torch.nn.Module):
    """Draws its own parameter after that of a child that comes after it in the state_dict."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)
        self.register_buffer("noise", torch.randn(4))
        self.scale = torch.nn.Parameter(torch.randn(4))
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Sequential(torch.nn.Linear(4, 2))])


def test_a_composed_layer_draws_as_it_is_written():
    torch.manual_seed(0)
    expected = Net()
    mine = nn.compose(
        lambda net, x: x,
        linear=nn.Linear(3, 4),
        noise=nn.Buffer(lambda key: nn.init.normal(key, (4,))),
        scale=nn.Parameter(lambda key: nn.init.normal(key, (4,))),
        blocks=[nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2))],
    )
    params, buffers = (tree.flatten(drawn) for drawn in mine.init(random.TorchGenerator(0)))
    assert list(params) == [name for name, _ in expected.named_parameters()]
    for name, x in expected.state_dict().items():
        assert np.array_equal((params | buffers)[name], x), name


def test_spectral_norm_iterates_from_torchs_vectors():
    """Fifteen products of matrices, whose last bits are the machine's."""
    torch.manual_seed(0)
    expected = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(5, 4)).state_dict()
    drawn = nn.spectral_norm(nn.Linear(5, 4)).init(random.TorchGenerator(0))
    mine = tree.flatten(drawn[0]) | tree.flatten(drawn[1])
    assert set(mine) == set(expected)
    assert_equivalent(expected, {name: mine[name] for name in expected}, atol=1e-5)
