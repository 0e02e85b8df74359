"""Averages of parameters against torch.optim.swa_utils, and the batch norms' statistics for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.optim import swa_utils

from fnlearn import nn, optim, tree
from fnlearn.equivalence import assert_equivalent
from tests.reference import precision

STEPS = 7
FUNCTIONS = {
    "swa": (None, None),
    "swa function": (swa_utils.get_swa_avg_fn(), optim.get_swa_avg_fn()),
    "ema": (swa_utils.get_ema_avg_fn(0.9), optim.get_ema_avg_fn(0.9)),
}


def steps(dtype):
    drawn = np.random.default_rng(0).standard_normal((STEPS, 3, 2))
    return [torch.tensor(x).to(getattr(torch, dtype)) for x in drawn]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize(("theirs", "mine"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_averages(theirs, mine, dtype):
    def torch_run(dtype):
        model = torch.nn.Linear(2, 3, bias=False).to(getattr(torch, dtype))
        model.weight.data = torch.ones(3, 2, dtype=model.weight.dtype)
        averaged = swa_utils.AveragedModel(model, avg_fn=theirs)
        for weight in steps(dtype):
            model.weight.data = weight
            averaged.update_parameters(model)
        return averaged

    expected = torch_run(dtype)
    with precision(dtype):
        averaging = optim.averaged_model(mine)
        state = averaging.init({"weight": jnp.ones((3, 2), dtype)})
        for weight in steps(dtype):
            state = jax.jit(averaging.update)(state, {"weight": jnp.asarray(tree.as_numpy(weight))})
    wide = {"weight": torch_run("float64").module.weight}
    assert int(state.n_averaged) == int(expected.n_averaged)
    assert_equivalent({"weight": expected.module.weight}, state.params, wide)


def test_the_decay_must_be_a_share():
    with pytest.raises(ValueError, match=r"decay must be between 0 and 1, got 1\.5"):
        optim.get_ema_avg_fn(1.5)


def layers(momentum):
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, momentum=momentum), nn.ReLU(), nn.Linear(3, 2))


def test_statistics_of_batch_norms():
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    batches = np.random.default_rng(0).standard_normal((5, 8, 4)).astype("float32")
    saved = {name: x.clone() for name, x in module.state_dict().items()}
    swa_utils.update_bn([torch.tensor(x) for x in batches], module)
    params, buffers = layers(None).init(jax.random.key(0))
    params, buffers = tree.load_state_dict(params, buffers, saved)
    found = optim.update_bn(layers(None).apply, params, buffers, [(x, "label") for x in batches])
    expected = {name: x for name, x in module.named_buffers()}
    assert_equivalent(expected, tree.flatten(found))


def test_statistics_by_a_momentum_are_refused():
    params, buffers = layers(0.1).init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"must be built with momentum=None .*; not so 1\.running_mean"):
        optim.update_bn(layers(0.1).apply, params, buffers, [np.ones((4, 4), "float32")])


def test_without_batch_norms_nothing_is_run():
    assert optim.update_bn(lambda *_: pytest.fail("run"), {}, {}, [1]) == {}
