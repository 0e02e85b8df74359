"""L-BFGS against torch's, on losses that bend, with and without the line search."""

from typing import Any

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

RNG = np.random.default_rng(0)
START = {"w": RNG.standard_normal((3, 2)), "b": RNG.standard_normal(3)}
X, Y = RNG.standard_normal((12, 2)), RNG.standard_normal((12, 3))
(INFO,) = [info for info in optim_db if info.optim_cls is torch.optim.LBFGS]
DATABASE = [inputs.kwargs for inputs in INFO.optim_inputs_func(device="cpu")]
MORE = [
    {"line_search_fn": "strong_wolfe", "history_size": 3, "lr": 0.7},  # a ring that goes round
    {"line_search_fn": "strong_wolfe", "max_eval": 5},
    {"line_search_fn": "strong_wolfe", "max_iter": 1},
    {"lr": 0.05, "history_size": 2, "max_iter": 7},
    {"lr": 3.0, "max_iter": 4},
    {"max_iter": 30, "tolerance_change": 1e-3},
    {"max_iter": 30, "tolerance_grad": 1e-2, "line_search_fn": "strong_wolfe"},
]


def bowl(w, b, x, y, xp):
    """Round, so that what rounding does is not multiplied on the way."""
    return ((x @ w.T + b - y) ** 2).mean() + 0.1 * (w**4).sum()


def steep(w, b, x, y, xp):
    """Rosenbrock's, whose valley is narrow."""
    z = xp.concatenate([w.reshape(-1), b]) if xp is jnp else torch.cat([w.reshape(-1), b])
    return (100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2).sum()


SEARCHED = [options for options in [*DATABASE, *MORE] if "line_search_fn" in options]
CASES = [(bowl, options) for options in [*DATABASE, *MORE]] + [(steep, options) for options in SEARCHED]


def torch_run(loss, options, dtype, steps):
    tensors = [torch.tensor(v, dtype=getattr(torch, dtype)) for v in (*START.values(), X, Y)]
    w, b = (torch.nn.Parameter(x) for x in tensors[:2])
    given: Any = {key: value.clone() if torch.is_tensor(value) else value for key, value in options.items()}
    optimizer, seen = torch.optim.LBFGS([w, b], **given), []

    def closure():
        optimizer.zero_grad()
        value = loss(w, b, *tensors[2:], torch)
        value.backward()
        return value

    for _ in range(steps):
        value = optimizer.step(closure)
        seen.append({"w": w.detach().clone(), "b": b.detach().clone(), "loss": value.detach()})
    counts = optimizer.state[w]
    return {key: torch.stack([s[key] for s in seen]) for key in seen[0]}, (counts["func_evals"], counts["n_iter"])


def jax_run(loss, options, dtype, steps):
    optimizer = optim.lbfgs(**options)
    params = {key: jnp.asarray(value, dtype) for key, value in START.items()}
    x, y = jnp.asarray(X, dtype), jnp.asarray(Y, dtype)
    value_fn = lambda p: loss(p["w"], p["b"], x, y, jnp)  # noqa: E731
    with jax.numpy_rank_promotion("allow"):

        @jax.jit
        def step(params, state):
            value, gradient = jax.value_and_grad(value_fn)(params)
            updates, state = optimizer.update(gradient, state, params, value=value, value_fn=value_fn)
            return optax.apply_updates(params, updates), state, value

        state, seen = optimizer.init(params), []
        for _ in range(steps):
            params, state, value = step(params, state)
            seen.append({**params, "loss": value})
    return {k: jnp.stack([s[k] for s in seen]) for k in seen[0]}, (int(state.func_evals), int(state.n_iter))


@pytest.mark.parametrize(("loss", "options"), CASES, ids=lambda x: x.__name__ if callable(x) else str(x))
def test_trajectory(loss, options):
    """Every step in float64, with as many evaluations and iterations."""
    steps = 1 if loss is steep else 3
    expected, counts = torch_run(loss, options, "float64", steps)
    with precision("float64"):
        found, mine = jax_run(loss, options, "float64", steps)
    assert_equivalent(expected, found, rtol=1e-9, atol=1e-9)
    assert mine == counts


@pytest.mark.parametrize("options", [{}, {"line_search_fn": "strong_wolfe"}], ids=str)
def test_float32(options):
    """Two steps, before rounding has grown."""
    wide, _ = torch_run(bowl, {**options, "max_iter": 4}, "float64", 2)
    found, _ = jax_run(bowl, {**options, "max_iter": 4}, "float32", 2)
    assert_equivalent(torch_run(bowl, {**options, "max_iter": 4}, "float32", 2)[0], found, wide)


def test_complex_parameters():
    """As pairs of real ones; torch's gradient is the conjugate of JAX's."""
    z = RNG.standard_normal(4) + 1j * RNG.standard_normal(4)
    p = torch.nn.Parameter(torch.tensor(z))
    theirs = torch.optim.LBFGS([p], lr=0.5, max_iter=5)

    def closure():
        theirs.zero_grad()
        value = ((p - 1j).abs() ** 4).sum()
        value.backward()
        return value

    theirs.step(closure)
    with precision("float64"):
        params = jnp.asarray(z)
        loss = lambda p: jnp.sum(jnp.abs(p - 1j) ** 4)  # noqa: E731
        optimizer = optim.lbfgs(lr=0.5, max_iter=5)
        gradient = jnp.conj(jax.grad(loss)(params))
        updates, _ = optimizer.update(gradient, optimizer.init(params), params, value_fn=loss)
        assert_equivalent(p, params + updates, rtol=1e-9)


def test_a_minimum_stays():
    optimizer = optim.lbfgs()
    params = {"w": jnp.zeros(2)}
    updates, state = optimizer.update(params, optimizer.init(params), params, value_fn=lambda p: jnp.sum(p["w"] ** 2))
    assert not updates["w"].any()
    assert (int(state.n_iter), int(state.func_evals), int(state.count)) == (0, 1, 1)


def test_errors():
    with pytest.raises(ValueError, match="line_search_fn must be 'strong_wolfe' or None, got 'armijo'"):
        optim.lbfgs(line_search_fn="armijo")
    optimizer = optim.lbfgs()
    with pytest.raises(ValueError, match="params and value_fn are needed"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)), jnp.ones(2))
