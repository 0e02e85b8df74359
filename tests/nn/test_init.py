"""Every initialiser against torch.nn.init: the same numbers where nothing is drawn, else the same distribution."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn.nn import init

SHAPE = (80, 50, 3)
DRAWN = [
    ("uniform", (), {}),
    ("uniform", (-2.0, 3.0), {}),
    ("normal", (), {}),
    ("normal", (1.0, 0.2), {}),
    ("trunc_normal", (), {}),
    ("trunc_normal", (0.5, 2.0), {"a": -1.0, "b": 0.7}),
    ("trunc_normal", (0.0, 1.0, 2.0, 5.0), {}),
    ("xavier_uniform", (), {}),
    ("xavier_uniform", (2.0,), {}),
    ("xavier_normal", (), {}),
    ("xavier_normal", (0.5,), {}),
    ("kaiming_uniform", (), {}),
    ("kaiming_uniform", (math.sqrt(5),), {}),
    ("kaiming_uniform", (0, "fan_out", "relu"), {}),
    ("kaiming_normal", (), {}),
    ("kaiming_normal", (0.3, "fan_out"), {"nonlinearity": "leaky_relu"}),
    ("kaiming_normal", (), {"nonlinearity": "tanh"}),
    ("sparse", (0.3,), {}),
    ("sparse", (0.25,), {"std": 2.0}),
]
FIXED = [
    ("constant", (3, 4), (0.5,)),
    ("ones", (3, 4), ()),
    ("zeros", (3, 4), ()),
    ("eye", (3, 4), ()),
    ("eye", (4, 3), ()),
    ("dirac", (4, 4, 3), ()),
    ("dirac", (6, 4, 3, 5), (2,)),
    ("dirac", (2, 4, 2, 3, 4), ()),
]


def theirs(name, shape, *args, **kwargs):
    return getattr(torch.nn.init, f"{name}_")(torch.empty(shape), *args, **kwargs).numpy()


@pytest.mark.parametrize(("name", "args", "kwargs"), DRAWN)
def test_drawn_from_torchs_distribution(name, args, kwargs):
    """The two samples' distribution functions are nowhere further apart than chance explains (Kolmogorov–Smirnov)."""
    torch.manual_seed(0)
    shape = (300, 40) if name == "sparse" else SHAPE
    mine = np.sort(np.asarray(getattr(init, name)(jax.random.key(0), shape, *args, **kwargs)).ravel())
    other = np.sort(theirs(name, shape, *args, **kwargs).ravel())
    apart = np.abs(
        np.searchsorted(mine, other, "right") / mine.size - np.searchsorted(other, other, "right") / other.size
    ).max()
    assert apart < 2.2 * math.sqrt(2 / mine.size)  # passed by chance in one of ten thousand
    assert abs(mine.min() - other.min()) < 0.25 * np.ptp(other)
    assert abs(mine.max() - other.max()) < 0.25 * np.ptp(other)


@pytest.mark.parametrize(("name", "shape", "args"), FIXED)
def test_fixed_numbers_are_torchs(name, shape, args):
    mine = getattr(init, name)(shape, *args)
    np.testing.assert_array_equal(mine, theirs(name, shape, *args))
    assert mine.dtype == jnp.float32


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (4, 3, 2), (0, 3)])
def test_orthogonal_weights_are_orthogonal(shape):
    weight = init.orthogonal(jax.random.key(0), shape, gain=2.0)
    assert weight.shape == shape
    if weight.size:
        flat = np.asarray(weight).reshape(shape[0], -1)
        square = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
        np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-5)


def test_sparse_columns_have_their_share_of_zeros():
    weight = init.sparse(jax.random.key(0), (30, 20), 0.25)
    assert (np.asarray(weight == 0).sum(0) == math.ceil(0.25 * 30)).all()
    assert len({tuple(column) for column in np.asarray(weight == 0).T}) > 1


NAMES = sorted(name for name in init.__all__ if name != "calculate_gain")


def test_every_initialiser_of_torch_is_here():
    given = [name for name, value in inspect.getmembers(torch.nn.init) if inspect.isfunction(value)]
    public = {name.removesuffix("_") for name in given if name.endswith("_") and not name.startswith("_")}
    assert public == set(NAMES)
    assert public == {name for name, *_ in (*DRAWN, *FIXED)} | {"orthogonal"}


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_torchs(name):
    """After the key and the shape come torch's arguments after the tensor, and dtype as a keyword."""
    mine = [(p.name, p.default) for p in inspect.signature(getattr(init, name)).parameters.values()]
    parameters = inspect.signature(getattr(torch.nn.init, f"{name}_")).parameters.values()
    other = [(p.name, p.default) for p in parameters if p.name not in ("tensor", "generator")]
    start = next(i for i, (argument, _) in enumerate(mine) if argument == "shape") + 1
    assert mine[start:-1] == other
    assert mine[-1] == ("dtype", None)


@pytest.mark.parametrize("param", [None, 0, 0.2])
@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gains_are_torchs(name, param):
    assert init.calculate_gain(name, param) == pytest.approx(torch.nn.init.calculate_gain(name, param), rel=1e-15)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("dirac", "eye", "sparse", "constant")])
def test_dtype(name, dtype):
    function = getattr(init, name)
    args = ((4, 6),) if name in ("ones", "zeros") else (jax.random.key(0), (4, 6))
    if name == "orthogonal" and dtype != "float32":
        return  # jax.random has it in float32 and float64 alone, as torch's QR has
    assert function(*args, dtype=dtype).dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda key: init.uniform(key, (1,), 2.0, 1.0), "a must not exceed b"),
        (lambda key: init.normal(key, (1,), std=-1.0), "std must not be negative, got -1"),
        (lambda key: init.trunc_normal(key, (1,), std=0.0), "std must be above 0"),
        (lambda key: init.kaiming_uniform(key, (3,)), "two or more dimensions"),
        (lambda key: init.xavier_normal(key, (3,)), "two or more dimensions"),
        (
            lambda key: init.kaiming_normal(key, (3, 3), mode="fan"),
            "mode must be one of 'fan_in', 'fan_out', got 'fan'",
        ),
        (lambda key: init.kaiming_normal(key, (3, 3), nonlinearity="gelu"), "nonlinearity must be one of"),
        (lambda key: init.orthogonal(key, (3,)), "two or more dimensions"),
        (lambda key: init.sparse(key, (3, 3), 1.5), "sparsity must be between 0 and 1"),
        (lambda key: init.sparse(key, (3,), 0.5), "must have 2 dimensions"),
        (lambda key: init.eye((3,)), "must have 2 dimensions"),
        (lambda key: init.dirac((3, 3)), "must have 3 or 4 or 5 dimensions"),
        (lambda key: init.dirac((3, 3, 3), 2), "groups must divide the 3 output channels, got 2"),
        (lambda key: init.calculate_gain("leaky_relu", True), "param must be the slope"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(jax.random.key(0))


def test_a_mean_far_outside_warns():
    with pytest.warns(UserWarning, match="more than 2 std"):
        drawn = init.trunc_normal(jax.random.key(0), (100,), mean=9.0)
    assert float(drawn.max()) <= 2.0
