"""The question about a whole run: yes to the same one, else the step at which it parts and what to look at."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

import fnlearn.functional as F
from fnlearn import nn, optim
from fnlearn.equivalence import Inputs, pair, training

STEPS = 6
LOSSES = (torch.nn.functional.cross_entropy, F.cross_entropy)


def adam(params):
    return torch.optim.Adam(params, 0.01)


def model(of, **norm):
    return of.Sequential(of.Linear(6, 8), of.BatchNorm1d(8, **norm), of.Tanh(), of.Linear(8, 3))


def batches(seed=0):
    rng = np.random.default_rng(seed)
    return [((rng.standard_normal((5, 6)),), rng.integers(0, 3, 5)) for _ in range(STEPS)]


def ask(layer=None, transformation=None, losses=LOSSES, **options):
    torch.manual_seed(0)
    both = pair(model(torch.nn), layer or model(nn))
    return training(both, adam, transformation or optim.adam(0.01), batches(), losses, **options)


def test_the_same_run_passes():
    answer = ask(dtypes=["float32", "bfloat16"])
    assert answer.ok, (answer.problems, answer.wrong)
    shapes = {leaf.name: leaf.shape for leaf in answer.leaves}
    assert shapes["float32.loss"] == shapes["float64.gradients.norm"] == (STEPS,)
    assert shapes["bfloat16.params.0.weight"] == (STEPS, 8, 6)
    assert shapes["float64.buffers.1.running_var"] == (STEPS, 8)


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(6, 3)

    def forward(self, x, doubled=False, power=1):
        return self.fc(x) ** power * (2 if doubled else 1)


def scaled(params, x, doubled=False, power=1):
    return F.linear(x, **params["fc"]) ** power * (2 if doubled else 1)


def test_plain_values_among_the_inputs_stay_plain():
    given = [(Inputs(args, {"doubled": i % 2 == 0, "power": 3}), target) for i, (args, target) in enumerate(batches())]
    torch.manual_seed(0)
    answer = training(pair(Scaled(), scaled), adam, optim.adam(0.01), given, LOSSES)
    assert answer.ok, (answer.problems, answer.wrong)


def turned(of_logits):
    """The same loss for a while, but with another derivative."""
    return lambda out, target: F.cross_entropy(of_logits(out), target)


def late(out, target):
    """Wrong where the third batch is."""
    return F.cross_entropy(out, target) + jnp.where((target == batches()[2][1]).all(), 1.0, 0.0)


SWAPPED = [*batches()[:3], batches()[4], batches()[3], batches()[5]]
FAULTS: dict[str, Any] = {
    "eps": ({"layer": model(nn, eps=1e-3)}, 1, "loss"),
    "sum": ({"losses": (LOSSES[0], lambda out, target: F.cross_entropy(out, target, reduction="sum"))}, 1, "loss"),
    "gradient": (
        {"losses": (LOSSES[0], turned(lambda x: 2 * x - jax.lax.stop_gradient(x)))},
        1,
        "gradients",
    ),
    "rate": ({"transformation": optim.adam(0.0101)}, 1, "params"),
    "optimizer": ({"transformation": optim.adamw(0.01)}, 1, "params"),
    "schedule": ({"transformation": optim.adam(lambda count: jnp.where(count < 2, 0.01, 0.001))}, 3, "params"),
    "momentum": ({"layer": model(nn, momentum=0.2)}, 1, "buffers"),
    "order": ({"jax_batches": SWAPPED}, 4, "loss"),
    "a batch": ({"losses": (LOSSES[0], late)}, 3, "loss"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_where_it_begins(name):
    options, step, part = FAULTS[name]
    answer = ask(dtypes=["float64"], **options)
    assert not answer.ok
    (problem,) = answer.problems
    assert problem.startswith(f"the runs part at step {step}, in {part}; look at "), problem
    assert ("data in another order" in problem) == (step > 1)


def test_batches_must_be_there_on_both_sides():
    cases: tuple[dict[str, Any], ...] = ({"jax_batches": batches()[:2]}, {"jax_batches": []})
    for options in cases:
        with pytest.raises(ValueError, match=rf"as many on both sides, got {STEPS} and {len(options['jax_batches'])}"):
            ask(**options)


SCHEDULES: dict[str, Any] = {
    "step": (lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5), optim.schedules.step_lr(0.01, 2, 0.5)),
    "cosine": (
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS),
        optim.schedules.cosine_annealing_lr(0.01, STEPS),
    ),
}
CLIPS: dict[str, Any] = {
    "norm": (
        lambda params: torch.nn.utils.clip_grad_norm_(params, 0.1),
        lambda grads: optim.clip_grad_norm(grads, 0.1)[0],
    ),
    "value": (
        lambda params: torch.nn.utils.clip_grad_value_(params, 0.01),
        lambda grads: optim.clip_grad_value(grads, 0.01),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_scheduler_beside_a_schedule(name):
    scheduler, schedule = SCHEDULES[name]
    assert ask(transformation=optim.adam(schedule), scheduler=scheduler).ok
    answer = ask(dtypes=[], scheduler=scheduler)
    assert [problem.split(";")[0] for problem in answer.problems] == [
        f"the runs part at step {3 if name == 'step' else 2}, in params"
    ]
    assert "its schedule, and the clipping" in answer.problems[0]


def on_plateau(patience):
    """Adam, whose rate halves when the loss hasn't fallen for more than some steps."""
    plateau, adam = optim.schedules.reduce_lr_on_plateau(0.01, factor=0.5, patience=patience), optim.adam(0.01)

    def update(grads, state, params, *, value):
        updates, inner = adam.update(grads, state[0], params, lr=state[1].lr)
        return updates, (inner, plateau.update(state[1], value))

    return optax.GradientTransformationExtraArgs(lambda params: (adam.init(params), plateau.init()), update)


def test_a_scheduler_that_looks_at_the_loss():
    scheduler = lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0)  # noqa: E731
    answer = ask(transformation=on_plateau(0), scheduler=scheduler)
    assert answer.ok, (answer.problems, answer.wrong)
    losses = answer.curves["float64.loss"][0]
    risen = next(i for i in range(1, STEPS) if losses[i] > min(losses[:i]))  # at the next step the rate is another
    late = ask(transformation=on_plateau(99), scheduler=scheduler, dtypes=[])
    assert late.problems[0].startswith(f"the runs part at step {risen + 2}, in params")


def sgd(params):
    return torch.optim.SGD(params, 1.0)


@pytest.mark.parametrize("name", CLIPS)
def test_gradients_are_clipped_on_both_sides(name):
    """The norms that are compared are those before; a clip on one side alone is found in the first step."""
    torch.manual_seed(0)
    both = pair(model(torch.nn), model(nn))
    given: Any = (both, sgd, optim.sgd(1.0), batches(), LOSSES)
    answer = training(*given, clip=CLIPS[name])
    assert answer.ok, (answer.problems, answer.wrong)
    free = training(*given)
    assert answer.curves["float64.loss"][0][0] == free.curves["float64.loss"][0][0]
    assert answer.curves["float64.loss"] != free.curves["float64.loss"]
    one = training(*given, clip=(CLIPS[name][0], lambda grads: grads))
    assert one.problems[0].startswith("the runs part at step 1, in params")


def test_targets_of_jaxs_own_integers():
    """JAX's are int32; torch takes classes in int64 alone, and gets them so. Its own tensors stay as they are."""
    torch.manual_seed(0)
    both = pair(model(torch.nn), model(nn))
    for kind in (jnp.asarray, lambda y: y.astype("int32")):
        data = [(inputs, kind(y)) for inputs, y in batches()]
        assert data[0][1].dtype == "int32"
        assert training(both, adam, optim.adam(0.01), data, LOSSES).ok


def test_plain_optax_and_a_function():
    linear = torch.nn.Linear(6, 1)
    rng = np.random.default_rng(0)
    data = [((rng.standard_normal((4, 6)),), rng.standard_normal((4, 1))) for _ in range(3)]
    squares = (torch.nn.functional.mse_loss, lambda out, target: jnp.mean((out - target) ** 2))
    both = pair(linear, lambda params, x: F.linear(x, **params))
    assert training(both, lambda p: torch.optim.SGD(p, 0.1), optax.sgd(0.1), data, squares).ok
