"""SGD against torch.optim.SGD: every combination of its options, 100 steps, step by step."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from torch.testing._internal.common_optimizers import optim_db

from fnlearn import optim
from fnlearn.equivalence import assert_equivalent
from tests.reference import precision

STEPS = 100
OPTIONS = [
    dict(zip(("momentum", "dampening", "weight_decay", "nesterov", "maximize"), values, strict=True))
    for values in itertools.product((0, 0.9), (0, 0.3), (0, 0.1), (False, True), (False, True))
]
VALID = [o for o in OPTIONS if not o["nesterov"] or (o["momentum"] and not o["dampening"])]
INVALID = [o for o in OPTIONS if o not in VALID]

RNG = np.random.default_rng(0)
START = {"weight": RNG.standard_normal((3, 2)), "bias": RNG.standard_normal(3)}
GRADIENTS = {name: RNG.standard_normal((STEPS, *value.shape)) for name, value in START.items()}
GRADIENTS["weight"][:, 1] = 0.0  # a row that never gets a gradient
GRADIENTS["bias"][::2] = 0.0


def label(options):
    return "-".join(f"{k}={v}" for k, v in options.items() if v) or "plain"


def torch_trajectory(options, dtype, lr=0.05):
    params = {name: torch.tensor(value, dtype=getattr(torch, dtype)) for name, value in START.items()}
    optimizer = torch.optim.SGD(params.values(), lr=lr, **options)
    steps: dict[str, list[torch.Tensor]] = {name: [] for name in params}
    for step in range(STEPS):
        for name, p in params.items():
            p.grad = torch.tensor(GRADIENTS[name][step], dtype=p.dtype)
        optimizer.step()
        for name, p in params.items():
            steps[name].append(p.clone())
    return {name: torch.stack(values) for name, values in steps.items()}


def jax_trajectory(options, dtype, lr=0.05):
    params = {name: jnp.asarray(value, dtype) for name, value in START.items()}
    optimizer = optim.sgd(lr, **options)

    def step(carry, gradients):
        params, state = carry
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    gradients = {name: jnp.asarray(value, dtype) for name, value in GRADIENTS.items()}
    return jax.lax.scan(step, (params, optimizer.init(params)), gradients)[1]


@pytest.mark.parametrize("options", VALID, ids=label)
def test_trajectory(options):
    """Float64 to 1e-12 at every step, float32 by the yardstick."""
    wide = torch_trajectory(options, "float64")
    with precision("float64"):
        assert_equivalent(wide, jax_trajectory(options, "float64"), rtol=1e-12, atol=1e-12)
    assert_equivalent(torch_trajectory(options, "float32"), jax_trajectory(options, "float32"), wide)


@pytest.mark.parametrize("options", INVALID, ids=label)
def test_what_torch_refuses_is_refused(options):
    with pytest.raises(ValueError, match="Nesterov"):
        torch.optim.SGD([torch.zeros(1)], **options)
    with pytest.raises(ValueError, match="nesterov needs a momentum and no dampening"):
        optim.sgd(**options)


@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay"])
def test_negative_numbers_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must not be negative, got -1"):
        optim.sgd(**{name: -1})  # type: ignore[arg-type]


def test_database_combinations_are_among_the_options():
    """Whatever torch's own optimizer database tries, the product above tries too."""
    (info,) = [info for info in optim_db if info.optim_cls is torch.optim.SGD]
    for inputs in info.optim_inputs_func(device="cpu"):
        assert set(inputs.kwargs) <= {"lr", *VALID[0]}, inputs.desc


@pytest.mark.parametrize(
    "lr", [np.float32(0.05), np.array(0.05), lambda step: 0.05], ids=["scalar", "array", "schedule"]
)
def test_a_rate_may_be_an_array_or_a_schedule(lr):
    expected = jax_trajectory({"momentum": 0.9}, "float32")
    rate = lr if callable(lr) else jnp.asarray(lr, "float32")
    assert_equivalent(expected, jax_trajectory({"momentum": 0.9}, "float32", lr=rate))


def test_a_rate_of_another_dtype_leaves_the_parameters_alone():
    with precision("float64"):
        params = {"w": jnp.ones(2, "bfloat16")}
        optimizer = optim.sgd(jnp.asarray(0.5, "float64"), momentum=0.9, dampening=0.1)
        updates, _ = optimizer.update(params, optimizer.init(params), params)
        assert updates["w"].dtype == jnp.bfloat16


def test_a_traced_rate_compiles_once():
    traces: list[None] = []

    @jax.jit
    def step(lr, params):
        traces.append(None)
        optimizer = optim.sgd(lr)
        return optimizer.update(params, optimizer.init(params), params)[0]

    for lr in (0.1, 0.2, 0.3):
        np.testing.assert_allclose(step(lr, jnp.ones(2)), -lr, rtol=1e-6)
    assert len(traces) == 1


def test_updates_are_differentiable():
    """The slope of the updated parameter with respect to the rate is minus the gradient."""
    slope = jax.grad(lambda lr: optim.sgd(lr).update(jnp.float32(3.0), optim.sgd(lr).init(0.0), jnp.float32(0.0))[0])
    assert float(slope(0.1)) == -3.0
