"""Groups of parameters against torch's, frozen ones, and rates that change without compiling again."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fnlearn import nn, optim
from fnlearn.equivalence import assert_equivalent
from fnlearn.optim.grouping import named_leaves
from tests.optim.trajectories import CLASSES, jax_steps

STEPS = 10
RNG = np.random.default_rng(0)
START = {"embed": {"weight": (5, 3)}, "linear": {"weight": (2, 3), "bias": (2,)}, "norm": {"weight": (3,)}}
PARAMS = jax.tree.map(lambda shape: RNG.standard_normal(shape), START, is_leaf=lambda x: isinstance(x, tuple))
GRADIENTS = jax.tree.map(lambda x: RNG.standard_normal((STEPS, *x.shape)), PARAMS)


def as_jax(values):
    return jax.tree.map(lambda x: jnp.asarray(x, "float32"), values)


def test_groups_are_torchs():
    """Two groups of one optimizer with other options, one with its own momentum, one frozen."""
    leaves = {"/".join(map(str, path)): x for path, x in walk(PARAMS)}
    given = {"/".join(map(str, path)): x for path, x in walk(GRADIENTS)}
    tensors = {name: torch.nn.Parameter(torch.tensor(x, dtype=torch.float32)) for name, x in leaves.items()}
    theirs = torch.optim.AdamW(
        [
            {"params": [tensors["linear/bias"], tensors["norm/weight"]], "weight_decay": 0.0},
            {"params": [tensors["linear/weight"]], "lr": 0.1, "betas": (0.5, 0.9)},
        ],
        lr=0.01,
        weight_decay=0.3,
    )
    for step in range(STEPS):
        for name, p in tensors.items():
            p.grad = torch.tensor(given[name][step], dtype=torch.float32)
        theirs.step()
    optimizer = optim.groups(
        [
            ("embed", None),
            (lambda name, p: p.ndim < 2, optim.adamw(0.01, weight_decay=0.0)),
            (r"^linear\.", optim.adamw(0.1, betas=(0.5, 0.9), weight_decay=0.3)),
        ]
    )
    params, _, _ = jax_steps(optimizer, as_jax(PARAMS), optimizer.init(as_jax(PARAMS)), as_jax(GRADIENTS))
    assert_equivalent(dict(sorted(tensors.items())), {"/".join(path): x for path, x in walk(params)})
    assert np.array_equal(params["embed"]["weight"], PARAMS["embed"]["weight"].astype("float32"))


def walk(values, path=()):
    if isinstance(values, dict):
        for key in sorted(values):
            yield from walk(values[key], (*path, key))
    else:
        yield path, values


def test_a_rate_for_each_group_compiles_once():
    traces: list[None] = []
    optimizer, params = optim.groups([("bias", optim.sgd(1.0)), ("", optim.sgd(1.0))]), as_jax(PARAMS)

    @jax.jit
    def update(rates):
        traces.append(None)
        return optimizer.update(params, optimizer.init(params), params, lr=rates)[0]

    for rates in ([0.1, 0.2], [0.3, 0.4]):
        updates = update(rates)
        np.testing.assert_allclose(updates["linear"]["bias"], -rates[0] * params["linear"]["bias"], rtol=1e-6)
        np.testing.assert_allclose(updates["linear"]["weight"], -rates[1] * params["linear"]["weight"], rtol=1e-6)
    same = optimizer.update(params, optimizer.init(params), params, lr=0.5)[0]
    np.testing.assert_allclose(same["norm"]["weight"], -0.5 * params["norm"]["weight"], rtol=1e-6)
    assert len(traces) == 1
    with pytest.raises(ValueError, match="lr must be one rate, or one for each of 2 groups, got 3"):
        update([0.1, 0.2, 0.3])


def test_a_missing_gradient_is_left_alone():
    optimizer, params = optim.groups([("bias", optim.sgd(1.0)), ("embed", None), ("", optim.adam())]), as_jax(PARAMS)
    given = {**params, "linear": {"weight": None, "bias": None}, "embed": {"weight": None}}
    updates, _ = optimizer.update(given, optimizer.init(params), params)
    assert [name for name, _ in named_leaves(updates)] == [name for name, _ in named_leaves(params)]
    assert not updates["linear"]["weight"].any()
    assert not updates["embed"]["weight"].any()
    assert updates["norm"]["weight"].all()


def test_every_parameter_needs_a_group():
    optimizer = optim.groups([("bias", optim.sgd())])
    with pytest.raises(ValueError, match=r"none has embed\.weight, linear\.weight, norm\.weight; end with"):
        optimizer.init(as_jax(PARAMS))
    with pytest.raises(ValueError, match="params are needed"):
        optimizer.update(as_jax(PARAMS), None)


def test_optax_wraps_them():
    """Its own combinators see ordinary transformations: chains, masks, many steps in one, rates in the state."""
    params, given = as_jax(PARAMS), as_jax(jax.tree.map(lambda g: g[0], GRADIENTS))
    expected = optim.adamw(0.1).update(given, optim.adamw(0.1).init(params), params)[0]
    for optimizer in (
        optax.chain(optax.identity(), optim.adamw(0.1)),
        optax.masked(optim.adamw(0.1), jax.tree.map(lambda _: True, params)),
        optax.MultiSteps(optim.adamw(0.1), 1).gradient_transformation(),
        optax.inject_hyperparams(optim.adamw, static_args=("amsgrad", "maximize"))(lr=0.1),
        optax.partition({"all": optim.adamw(0.1)}, jax.tree.map(lambda _: "all", params)),
    ):
        with jax.numpy_dtype_promotion("standard"):  # which optax's own code needs
            found, _ = jax.jit(optimizer.update)(given, optimizer.init(params), params)
        assert_equivalent(expected, found, rtol=1e-5)


@pytest.mark.parametrize("name", ["adamw", "sgd", "nadam"])
def test_accumulated_gradients_are_those_of_a_big_batch(name):
    """k small batches, by `optax.MultiSteps`, step as one big one does, and as torch's loop of backward calls."""
    layer, k = nn.Linear(4, 2), 3
    params, _ = layer.init(jax.random.key(0))
    x, y = RNG.standard_normal((12, 4)).astype("float32"), RNG.standard_normal((12, 2)).astype("float32")
    module = torch.nn.Linear(4, 2)
    module.load_state_dict({key: torch.tensor(np.asarray(value)) for key, value in params.items()})
    theirs = CLASSES[name](module.parameters(), 0.1)
    optimizer = optax.MultiSteps(getattr(optim, name)(0.1), k)
    state = optimizer.init(params)

    def loss(params, x, y):
        return jnp.mean((layer.apply(params, {}, x)[0] - y) ** 2)

    for _ in range(4):
        theirs.zero_grad()
        for part in range(k):
            rows = slice(part * 4, part * 4 + 4)
            (((module(torch.tensor(x[rows])) - torch.tensor(y[rows])) ** 2).mean() / k).backward()
            with jax.numpy_dtype_promotion("standard"):  # which optax's own code needs
                updates, state = optimizer.update(jax.grad(loss)(params, x[rows], y[rows]), state, params)
            params = optax.apply_updates(params, updates)
        theirs.step()
    assert_equivalent(dict(module.named_parameters()), params)
