"""The question about an optimizer: yes to torch's trajectory, and no to all that people take for it."""

from typing import Any

import jax
import numpy as np
import optax
import pytest
import torch

from fnlearn import optim
from fnlearn.equivalence import optimizer

PARAMS = {"a": {"weight": np.linspace(-1, 1, 12).reshape(3, 4), "bias": np.array([0.5, -0.2, 0.1])}}
SAME: dict[str, Any] = {
    "adam": (torch.optim.Adam, optim.adam()),
    "adamw": (lambda p: torch.optim.AdamW(p, 0.1), optim.adamw(0.1)),
    "sgd": (lambda p: torch.optim.SGD(p, 0.1), optim.sgd(0.1)),
    "momentum": (lambda p: torch.optim.SGD(p, 0.1, 0.9, 0.5), optim.sgd(0.1, 0.9, 0.5)),
    "rmsprop": (torch.optim.RMSprop, optim.rmsprop()),
}
UNLIKE: dict[str, Any] = {
    "another rate": (torch.optim.Adam, optim.adam(1.01e-3)),
    "another eps": (torch.optim.Adam, optim.adam(eps=1e-7)),
    "no correction of the bias": (torch.optim.Adam, optax.chain(optax.scale_by_rms(0.999, 1e-8), optax.scale(-1e-3))),
    "decay in the gradient": (lambda p: torch.optim.AdamW(p, weight_decay=0.1), optim.adam(weight_decay=0.1)),
    "eps inside the root": (torch.optim.Adam, optax.adam(1e-3, eps=0.0, eps_root=1e-8)),
    "optax's rmsprop": (torch.optim.RMSprop, optax.rmsprop(1e-2)),
    "nesterov": (lambda p: torch.optim.SGD(p, 0.1, 0.9), optim.sgd(0.1, 0.9, nesterov=True)),
    "no dampening": (lambda p: torch.optim.SGD(p, 0.1, 0.9, 0.5), optim.sgd(0.1, 0.9)),
    "maximize": (torch.optim.Adam, optim.adam(maximize=True)),
}


@pytest.fixture(autouse=True)
def _promotion():
    """Optax's own transformations mix dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize("name", SAME)
def test_torchs_trajectory_passes(name):
    make, transformation = SAME[name]
    answer = optimizer(make, transformation, PARAMS, steps=3)
    assert answer.ok, answer.wrong
    assert not answer.notes
    names = {leaf.name for leaf in answer.leaves}
    assert {"float32.1.params.a.weight", "float64.3.params.a.bias"} <= names
    kept = {name.split(".")[3] for name in names if name.startswith("float32.2.state.")}
    state = make([torch.nn.Parameter(torch.ones(2), requires_grad=True)])
    state.param_groups[0]["params"][0].grad = torch.ones(2)
    state.step()
    assert kept == {what for what, x in state.state_dict()["state"].get(0, {}).items() if x is not None}


@pytest.mark.parametrize("name", UNLIKE)
def test_another_trajectory_is_found_at_its_first_step(name):
    make, transformation = UNLIKE[name]
    answer = optimizer(make, transformation, PARAMS, steps=3)
    moved = [leaf for leaf in answer.wrong if ".params." in leaf.name]
    first = min(int(leaf.name.split(".")[1]) for leaf in moved)
    assert first == (2 if name == "no dampening" else 1)


def test_a_state_of_another_shape_is_left_out_and_said_so():
    answer = optimizer(torch.optim.Adam, optax.adam(1e-3), PARAMS)
    assert answer.ok
    assert answer.notes == ("the state is not one of fnlearn.optim's: it was not compared",)


def test_a_state_that_lacks_something_is_a_problem():
    answer = optimizer(lambda p: torch.optim.Adam(p, amsgrad=True), optim.adam(), PARAMS, steps=1)
    assert not answer.ok
    assert (
        "float32.1.state.max_exp_avg_sq: the trees differ: the JAX side lacks ['a.bias', 'a.weight']"
        in answer.problems[0]
    )


def test_steps_are_counted_from_one():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        optimizer(torch.optim.Adam, optim.adam(), PARAMS, steps=0)
