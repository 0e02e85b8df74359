"""What layers start from: over many draws, every parameter and buffer has the distribution that torch's own has."""

import math
import warnings

import jax
import numpy as np
import pytest
import torch

from fnlearn import nn, tree
from tests.cases.table import R
from tests.layers import LAYERS
from tests.layers.table import LayerCase, layer

DRAWS = 400
SIGMAS = 6  # with some ten thousand numbers compared, chance passes this in one run of a hundred thousand

STACKED = [  # of layers, or lazy; the others are in the table
    layer("Transformer", 4, 2, 1, 1, 6, batch_first=True, inputs=()),
    *[layer(f"LazyConv{d}d", 4, 2, groups=2, inputs=(R(2, 6, *[5] * d),)) for d in (1, 2, 3)],
    *[layer(f"LazyConvTranspose{d}d", 4, 2, inputs=(R(2, 3, *[5] * d),)) for d in (1, 2, 3)],
    layer("LazyBatchNorm1d", inputs=(R(2, 3, 5),)),
    layer("LazyBatchNorm2d", inputs=(R(2, 3, 5, 5),)),
    layer("LazyBatchNorm3d", inputs=(R(2, 3, 5, 5, 5),)),
    layer("LazyInstanceNorm1d", affine=True, inputs=(R(2, 3, 5),)),
    layer("LazyInstanceNorm2d", affine=True, inputs=(R(2, 3, 5, 5),)),
    layer("LazyInstanceNorm3d", affine=True, inputs=(R(2, 3, 5, 5, 5),)),
]


def of_torch(case):
    module = getattr(torch.nn, case.name)(*case.args, **case.kwargs)
    if case.name.startswith("Lazy"):
        with torch.no_grad():
            module.eval()(*(torch.from_numpy(x).float() for x in case.inputs))
    return module.state_dict()


def begins(case: LayerCase):
    """What it starts from: of layers that differ in a stride alone, one is enough."""
    return case.name, *((name, tuple(value.shape)) for name, value in of_torch(case).items())


with warnings.catch_warnings():  # torch tells what is experimental, or slow
    warnings.simplefilter("ignore")
    CASES = {begun: case for case in (*LAYERS, *STACKED) if len(begun := begins(case)) > 1}


def draws_of_torch(case):
    torch.manual_seed(0)
    states = [of_torch(case) for _ in range(DRAWS)]
    return {name: torch.stack([state[name] for state in states]).numpy() for name in states[0]}


def draws(layer, inputs=()):
    """By `init` over as many keys, in one compiled call."""
    keys = jax.random.split(jax.random.key(0, impl="unsafe_rbg"), DRAWS)  # which compiles in no time
    params, buffers = jax.jit(jax.vmap(lambda key: layer.init(key, *inputs)))(keys)
    return {name: np.asarray(x) for name, x in (tree.flatten(params) | tree.flatten(buffers)).items()}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature", "ignore:LSTM with projections")
@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_starts_from_torchs_distribution(case):
    inputs = [jax.ShapeDtypeStruct(x.shape, "float32") for x in case.inputs] if case.name.startswith("Lazy") else []
    mine = draws(getattr(nn, case.name)(*case.args, **case.kwargs), inputs)
    theirs = draws_of_torch(case)
    assert set(mine) == set(theirs)
    for name, expected in theirs.items():
        assert_same_moments(name, mine[name], expected)
        assert_same_distribution(name, mine[name].ravel(), expected.ravel())
    assert_independent([x.reshape(DRAWS, -1)[:, 0] for x in mine.values() if x.std(0).any()])


def assert_same_moments(name, mine, theirs):
    """Of every number on its own, so that a row that starts as zeros is one that does in torch."""
    deviations = mine.std(0), theirs.std(0)
    error = SIGMAS * np.maximum(*deviations) / math.sqrt(DRAWS) + 1e-7
    np.testing.assert_array_less(np.abs(mine.mean(0) - theirs.mean(0)), math.sqrt(2) * error, name)
    np.testing.assert_array_less(np.abs(deviations[0] - deviations[1]), error, name)


def assert_same_distribution(name, mine, theirs):
    """The distribution functions are no further apart than by chance (Kolmogorov–Smirnov), nor are the bounds."""
    mine, theirs = np.sort(mine), np.sort(theirs)
    below = [np.searchsorted(x, theirs, "right") / x.size for x in (mine, theirs)]
    assert np.abs(below[0] - below[1]).max() < 2.4 * math.sqrt(2 / mine.size), name  # one in 50 000 by chance
    uniform = np.ptp(theirs) < 4 * theirs.std()  # whose ends are reached; those of the normal one lie anywhere
    apart = np.ptp(theirs) * (12 / mine.size if uniform else 0.25)
    for ours, other in ((mine[0], theirs[0]), (mine[-1], theirs[-1])):
        assert abs(ours - other) <= apart, name


def assert_independent(firsts):
    """No two parameters share their random numbers, as they would with one key."""
    if len(firsts) > 1:
        apart = np.abs(np.corrcoef(firsts) - np.eye(len(firsts)))
        assert apart.max() < SIGMAS / math.sqrt(DRAWS)
