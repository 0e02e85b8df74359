"""Every layer against torch.nn: parameters' names, shapes and distributions, outputs and gradients."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn import nn, tree
from fnlearn.equivalence import assert_equivalent
from tests.reference import precision

X = np.random.default_rng(0).standard_normal((3, 4)) * 2
IMAGE = np.random.default_rng(1).standard_normal((2, 3, 4, 4)) * 2

LAYERS = [
    ("Identity", (), {}, X),
    ("Linear", (4, 2), {}, X),
    ("Linear", (4, 2), {"bias": False}, X),
    ("Sigmoid", (), {}, X),
    ("Tanh", (), {}, X),
    ("ReLU", (), {}, X),
    ("ReLU6", (), {}, X),
    ("Hardtanh", (-2.0, 0.5), {}, X),
    ("Threshold", (0.5, -1.0), {}, X),
    ("LeakyReLU", (0.2,), {}, X),
    ("ELU", (), {"alpha": 2.0}, X),
    ("SELU", (), {}, X),
    ("CELU", (0.5,), {}, X),
    ("GELU", ("tanh",), {}, X),
    ("SiLU", (), {}, X),
    ("Mish", (), {}, X),
    ("Hardsigmoid", (), {}, X),
    ("Hardswish", (), {}, X),
    ("LogSigmoid", (), {}, X),
    ("Softplus", (2.0, 3.0), {}, X),
    ("Softsign", (), {}, X),
    ("Hardshrink", (1.0,), {}, X),
    ("Softshrink", (1.0,), {}, X),
    ("Tanhshrink", (), {}, X),
    ("GLU", (1,), {}, X),
    ("PReLU", (), {}, X),
    ("PReLU", (3, 0.1), {}, IMAGE),
    ("RReLU", (), {}, X),
    ("Softmax", (1,), {}, X),
    ("Softmin", (0,), {}, X),
    ("LogSoftmax", (1,), {}, X),
]


def label(case):
    name, args, kwargs, _ = case
    return f"{name}{args}{kwargs or ''}".replace(" ", "")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", LAYERS, ids=label)
def test_outputs_and_gradients(case, dtype):
    """Of the input and of every parameter, in evaluation mode, from torch's own weights."""
    name, args, kwargs, x = case
    module = getattr(torch.nn, name)(*args, **kwargs).eval()
    with precision(dtype):
        mine = jax_answers(getattr(nn, name)(*args, **kwargs), module, x, dtype)
        assert_equivalent(torch_answers(module, x, dtype), mine, torch_answers(module, x.astype(dtype), "float64"))


def torch_answers(module, x, dtype):
    module = module.to(getattr(torch, dtype))
    x = torch.tensor(x, dtype=getattr(torch, dtype), requires_grad=True)
    module.zero_grad()
    out = module(x)
    (out * torch.linspace(1, 2, out.numel(), dtype=out.dtype).reshape(out.shape)).sum().backward()
    grads = {name: p.grad.clone() for name, p in module.named_parameters()}
    return {"out": out.detach(), "x": x.grad.clone(), "params": tree.unflatten(grads)}


def jax_answers(layer, module, x, dtype):
    params = tree.unflatten({k: jnp.asarray(v.detach().numpy(), dtype) for k, v in module.state_dict().items()})

    def loss(params, x):
        out, buffers = layer.apply(params, {}, x)
        assert buffers == {}
        weights = jnp.linspace(1, 2, out.size, dtype=out.dtype).reshape(out.shape)
        return (out * weights).sum(), out

    (_, out), (grads, gx) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, jnp.asarray(x, dtype))
    return {"out": out, "x": gx, "params": grads}


@pytest.mark.parametrize("case", LAYERS, ids=label)
def test_init_has_torchs_names_shapes_and_dtypes(case):
    name, args, kwargs, _ = case
    params, buffers = getattr(nn, name)(*args, **kwargs).init(jax.random.key(0))
    expected = getattr(torch.nn, name)(*args, **kwargs).state_dict()
    mine = tree.flatten(params)
    assert list(mine) == list(expected)
    assert buffers == {}
    for key, value in expected.items():
        assert (mine[key].shape, str(mine[key].dtype)) == (tuple(value.shape), str(value.dtype).removeprefix("torch."))


def test_every_layer_is_in_the_table():
    assert {name for name, *_ in LAYERS} | {"Layer", "Sequential", "compose", "init"} == set(nn.__all__)


@pytest.mark.parametrize("name", sorted({name for name, *_ in LAYERS}))
def test_constructor_is_torchs(name):
    mine = inspect.signature(getattr(nn, name)).parameters.values()
    theirs = list(inspect.signature(getattr(torch.nn, name)).parameters.values())
    if name != "Identity":  # a layer without options inherits Module's *args and **kwargs, and refuses any
        theirs = [p for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [(p.name, p.default) for p in mine] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("features", [(1, 1), (50, 40), (7, 300)])
def test_linear_starts_from_torchs_distribution(features):
    """U(−1/√in, 1/√in), for weight and bias, over many draws: bounds, mean and deviation as torch's own."""
    draw = jax.jit(jax.vmap(nn.Linear(*features).init))
    params, _ = draw(jax.random.split(jax.random.key(0), 200))
    torch.manual_seed(0)
    theirs = [torch.nn.Linear(*features) for _ in range(200)]
    bound = 1 / math.sqrt(features[0])
    for name in ("weight", "bias"):
        mine = np.asarray(params[name]).ravel()
        reference = torch.stack([getattr(layer, name).detach() for layer in theirs]).numpy().ravel()
        error = bound / math.sqrt(3 * mine.size)  # of the mean of a uniform distribution
        assert -bound <= mine.min() < -0.9 * bound
        assert 0.9 * bound < mine.max() <= bound
        assert abs(mine.mean() - reference.mean()) < 6 * error
        assert abs(mine.std() - reference.std()) < 6 * error


def test_names_decide_the_draw_and_not_the_order():
    both = nn.compose(lambda net, x: x, a=nn.Linear(2, 3), b=nn.Linear(2, 3))
    swapped = nn.compose(lambda net, x: x, b=nn.Linear(2, 3), a=nn.Linear(2, 3))
    one, other = both.init(jax.random.key(0))[0], swapped.init(jax.random.key(0))[0]
    np.testing.assert_array_equal(one["a"]["weight"], other["a"]["weight"])
    assert not np.array_equal(one["a"]["weight"], one["b"]["weight"])
    assert not np.array_equal(one["a"]["weight"].ravel()[:3], one["a"]["bias"])


def test_rrelu_draws_in_training_only():
    layer, x, key = nn.RReLU(), -jnp.ones(8), jax.random.key(0)
    train, _ = layer.apply({}, {}, x, train=True, key=key)
    assert len(set(np.asarray(train).tolist())) == 8
    evaluated, _ = layer.apply({}, {}, x, key=key)
    assert len(set(np.asarray(evaluated).tolist())) == 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Linear(-1, 2), "in_features=-1"),
        (lambda: nn.Hardtanh(1.0, 0.0), "min_val must be below max_val"),
        (lambda: nn.Linear(2, 1).apply(nn.Linear(3, 1).init(jax.random.key(0))[0], {}, jnp.ones(2)), "don't fit"),
        (lambda: nn.init.uniform(jax.random.key(0), (1,), 2.0, 1.0), "a must not exceed b"),
        (lambda: nn.init.kaiming_uniform(jax.random.key(0), (3,)), "two or more dimensions"),
    ],
)
def test_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_empty_sizes_are_allowed_as_in_torch():
    params, _ = nn.Linear(0, 3).init(jax.random.key(0))
    assert params["weight"].shape == (3, 0)
    np.testing.assert_array_equal(params["bias"], 0)


@pytest.mark.parametrize("slope", [0.0, 1.0, math.sqrt(5)])
def test_kaiming_uniform_has_torchs_bounds(slope):
    mine = np.asarray(nn.init.kaiming_uniform(jax.random.key(0), (100, 20, 3), slope))
    bound = math.sqrt(6 / (1 + slope**2) / 60)
    reference = torch.nn.init.kaiming_uniform_(torch.empty(100, 20, 3), slope)
    assert float(reference.abs().max()) <= bound + 1e-7
    assert 0.98 * bound < np.abs(mine).max() <= bound + 1e-7
    np.testing.assert_array_equal(nn.init.constant((2, 3), 0.5), np.full((2, 3), 0.5, "float32"))
