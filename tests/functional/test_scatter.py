"""Scattering by index, and keys for several draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn import functional as F
from fnlearn.equivalence import assert_equivalent

RNG = np.random.default_rng(0)
INPUT, SRC = RNG.standard_normal((3, 5)), RNG.standard_normal((3, 5))
INDEX = np.array([[0, 1, 2, 0, 1], [1, 1, 0, 2, 0], [0, 2, 2, 1, 1]])
APART = np.array([[0, 1, 2, 0, 1], [2, 0, 1, 1, 0], [1, 2, 0, 2, 2]])


def both(theirs, mine, dtype):
    """Outputs and gradients of torch, of JAX, and of torch in float64."""

    def torch_side(dtype):
        x, src = (torch.tensor(a.astype(dtype), requires_grad=True) for a in (INPUT, SRC))
        out = theirs(x, src)
        return [t.detach().numpy() for t in (out, *torch.autograd.grad(out.square().sum(), (x, src)))]

    def jax_side():
        x, src = jnp.asarray(INPUT, dtype), jnp.asarray(SRC, dtype)
        loss = lambda x, src: (jnp.square(out := mine(x, src)).sum(), out)  # noqa: E731
        grads, out = jax.grad(loss, (0, 1), has_aux=True)(x, src)
        return [np.asarray(a) for a in (out, *grads)]

    assert_equivalent(torch_side(dtype), jax_side(), torch_side("float64"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduce", ["sum", "mean", "prod", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(reduce, include_self, dtype, x64):
    index = torch.tensor(INDEX)
    both(
        lambda x, src: x.scatter_reduce(0, index, src, reduce, include_self=include_self),
        lambda x, src: F.scatter_reduce(x, 0, INDEX, src, reduce, include_self=include_self),
        dtype,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scatter(dtype, x64):
    both(
        lambda x, src: x.scatter(0, torch.tensor(APART), src),
        lambda x, src: F.scatter(x, 0, APART, src),
        dtype,
    )
    assert (F.scatter(jnp.zeros(3), -1, jnp.array([2]), 5.0) == jnp.array([0, 0, 5.0])).all()


@pytest.mark.parametrize("include_self", [True, False])
def test_products_of_zeros(include_self, x64):
    """One zero among the factors, two, and none."""
    index = jnp.array([0, 0, 1, 1, 2, 0])

    x, src = jnp.array([2.0, 0.0, 3.0]), jnp.array([1.5, 0.0, 0.0, 4.0, -2.0, 3.0])
    theirs = [torch.tensor(np.asarray(part), requires_grad=True) for part in (x, src)]
    out = theirs[0].scatter_reduce(0, torch.tensor(np.asarray(index)), theirs[1], "prod", include_self=include_self)
    weights = jnp.array([1.0, 2.0, 3.0])
    wanted = torch.autograd.grad((out * torch.tensor(np.asarray(weights))).sum(), theirs)
    mine = jax.grad(
        lambda x, src: (F.scatter_reduce(x, 0, index, src, "prod", include_self=include_self) * weights).sum(), (0, 1)
    )(x, src)
    for want, got in zip(wanted, mine, strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-12)
    assert mine[1][1] == (9.0 if include_self else 4.5)


def test_errors():
    with pytest.raises(ValueError, match="must have the 2 dimensions of input"):
        F.scatter(jnp.zeros((2, 2)), 0, jnp.array([1]), jnp.ones(1))
    with pytest.raises(ValueError, match="reduce must be one of sum"):
        F.scatter_reduce(jnp.zeros(2), 0, jnp.array([1]), jnp.ones(1), "max")


def test_split_key_gives_keys_that_differ_or_none():
    keys = F.split_key(jax.random.key(0), 3)
    assert len({jax.random.key_data(key).tobytes() for key in keys if key is not None}) == 3
    assert F.split_key(None, 2) == [None, None]
    with pytest.raises(ValueError, match="at least 1, got 0"):
        F.split_key(None, 0)
