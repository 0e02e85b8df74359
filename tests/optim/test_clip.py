"""Clipping against torch's, for every norm, and its slope."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn import optim
from fnlearn.equivalence import assert_equivalent
from tests.reference import precision

RNG = np.random.default_rng(0)
GRADIENTS = {"w": RNG.standard_normal((3, 4)), "b": RNG.standard_normal(5), "none": np.zeros(2)}
NORMS = [2.0, 1.0, 3.0, 0.5, 0.0, "inf", float("inf"), float("-inf")]


def torch_params(dtype):
    params = [torch.nn.Parameter(torch.zeros(x.shape, dtype=getattr(torch, dtype))) for x in GRADIENTS.values()]
    for p, x in zip(params, GRADIENTS.values(), strict=True):
        p.grad = torch.tensor(x, dtype=p.dtype)
    return params


def clipped(dtype, *args):
    params = torch_params(dtype)
    norm = torch.nn.utils.clip_grad_norm_(params, *args)
    return {"gradients": dict(zip(GRADIENTS, (p.grad for p in params), strict=True)), "norm": norm}


def given(dtype):
    return {name: jnp.asarray(x, dtype) for name, x in GRADIENTS.items()}


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("max_norm", [0.5, 1e3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norm(dtype, max_norm, norm_type):
    with precision(dtype):
        gradients, norm = jax.jit(lambda g: optim.clip_grad_norm(g, max_norm, norm_type))(given(dtype))
    wide = clipped("float64", max_norm, norm_type)
    assert_equivalent(clipped(dtype, max_norm, norm_type), {"gradients": gradients, "norm": norm}, wide)


def test_norm_of_narrow_gradients():
    gradients, _ = optim.clip_grad_norm(given("bfloat16"), 1.0)
    assert {g.dtype for g in gradients.values()} == {jnp.dtype("bfloat16")}
    total = np.sqrt(sum(np.sum(np.asarray(g, "float64") ** 2) for g in gradients.values()))
    np.testing.assert_allclose(total, 1.0, rtol=0.01)


def test_norm_has_a_slope():
    weight = lambda g: sum(x.sum() for x in optim.clip_grad_norm({"w": g}, 0.5)[0].values())  # noqa: E731
    with precision("float64"):
        x = jnp.asarray(GRADIENTS["w"])
        slope, near = jax.grad(weight)(x), 1e-6
        found = (weight(x.at[0, 1].add(near)) - weight(x.at[0, 1].add(-near))) / (2 * near)
    np.testing.assert_allclose(slope[0, 1], found, rtol=1e-6)


def test_value():
    params = torch_params("float32")
    torch.nn.utils.clip_grad_value_(params, 0.4)
    found = optim.clip_grad_value(given("float32"), 0.4)
    assert_equivalent(dict(zip(GRADIENTS, (p.grad for p in params), strict=True)), found)
    with pytest.raises(ValueError, match="clip_value must not be negative, got -1"):
        optim.clip_grad_value(given("float32"), -1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused_when_asked(bad):
    gradients = {"w": jnp.asarray([1.0, bad])}
    with pytest.raises(ValueError, match=r"the gradients' norm of order 2.0 must be finite to be clipped"):
        optim.clip_grad_norm(gradients, 1.0, error_if_nonfinite=True)
    assert not jnp.isfinite(optim.clip_grad_norm(gradients, 1.0)[1])


def test_nothing_has_no_norm():
    assert float(optim.get_total_norm({})) == float(torch.nn.utils.get_total_norm([])) == 0
    assert float(optim.get_total_norm({"w": jnp.zeros((0, 3))})) == 0
