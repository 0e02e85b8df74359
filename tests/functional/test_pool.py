"""What the table of cases can't say of pooling: indices, NaN, −∞, integers, and windows that are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import fnlearn.functional as F
from fnlearn import nn
from fnlearn.equivalence import assert_equivalent
from tests.cases.pool import HOLES, TIES, WIDE, X1, X2, X3
from tests.cases.table import R
from tests.reference import check, precision

POOLS = [
    ("max_pool1d", X1, (3, 2, 1, 2, True)),
    ("max_pool1d", WIDE, (20,)),
    ("max_pool2d", X2, ((3, 2), (2, 1), 1)),
    ("max_pool2d", TIES, (3, 2, 1)),
    ("max_pool3d", X3, (3, 2, 1, 1, True)),
    ("adaptive_max_pool1d", X1, (4,)),
    ("adaptive_max_pool2d", TIES, (4,)),
    ("adaptive_max_pool3d", X3, ((2, 3, 2),)),
]


@pytest.mark.parametrize(("name", "x", "options"), POOLS)
def test_indices_are_torchs(name, x, options):
    theirs = getattr(TF, name)(torch.from_numpy(x), *options, return_indices=True)
    for mine in (getattr(F, name)(x, *options, return_indices=True), getattr(F, f"{name}_with_indices")(x, *options)):
        np.testing.assert_array_equal(mine[1], theirs[1])
        np.testing.assert_array_equal(mine[0], theirs[0].numpy().astype(mine[0].dtype))


@pytest.mark.parametrize("options", [(2,), (3, 2, 1), (3, 1, 1)], ids=str)
def test_nan_and_minus_infinity(options):
    """A NaN is the maximum, the last of several; of nothing but −∞ the first that is no padding is."""
    named = dict(zip(("kernel_size", "stride", "padding"), options, strict=False))
    for x in (HOLES, np.full((1, 1, 4, 4), -np.inf)):
        check(TF.max_pool2d, F.max_pool2d, (x,), named)
        theirs = TF.max_pool2d_with_indices(torch.from_numpy(x), **named)[1]
        np.testing.assert_array_equal(F.max_pool2d_with_indices(x, **named)[1], theirs)


@pytest.mark.parametrize("size", [1, 4, (2, 3)])
def test_nan_in_adaptive_windows(size):
    check(TF.adaptive_max_pool2d, F.adaptive_max_pool2d, (HOLES,), {"output_size": size})


@pytest.mark.parametrize("size", [1, 2])
def test_nan_in_wide_windows(size):
    x = WIDE.copy()
    x[0, 0, [3, 5]], x[0, 1] = np.nan, -np.inf
    check(TF.adaptive_max_pool1d, F.adaptive_max_pool1d, (x,), {"output_size": size})
    theirs = TF.adaptive_max_pool1d(torch.from_numpy(x), size, return_indices=True)[1]
    np.testing.assert_array_equal(F.adaptive_max_pool1d(x, size, return_indices=True)[1], theirs)


def test_integers_where_torch_takes_them():
    x = np.arange(-30, 30).reshape(1, 2, 5, 6)
    for name, options in (("max_pool2d", (3, 2, 1)), ("avg_pool2d", (3, 2, 1)), ("avg_pool2d", (2,))):
        np.testing.assert_array_equal(
            getattr(F, name)(x, *options), getattr(TF, name)(torch.from_numpy(x), *options).numpy()
        )


def test_forward_mode():
    x, tangent = jnp.asarray(X2, "float32"), jnp.asarray(R(*X2.shape, seed=5), "float32")
    _, moved = jax.jvp(lambda x: F.max_pool2d(x, 3, 2, 1), (x,), (tangent,))
    _, index = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    np.testing.assert_array_equal(
        moved.ravel(), jnp.take_along_axis(tangent.reshape(6, -1), index.reshape(6, -1), 1).ravel()
    )


WITH_INDICES = {
    "fractional_max_pool2d": F.fractional_max_pool2d_with_indices,
    "fractional_max_pool3d": F.fractional_max_pool3d_with_indices,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "x", "options"),
    [
        ("fractional_max_pool2d", X2, {"kernel_size": 2, "output_size": (4, 5)}),
        ("fractional_max_pool2d", X2, {"kernel_size": (3, 2), "output_ratio": (0.5, 0.7)}),
        ("fractional_max_pool2d", TIES, {"kernel_size": 3, "output_size": 1}),
        ("fractional_max_pool2d", HOLES, {"kernel_size": 3, "output_size": 3}),
        ("fractional_max_pool3d", X3, {"kernel_size": 2, "output_size": (3, 4, 5)}),
        ("fractional_max_pool3d", X3[0], {"kernel_size": (1, 2, 3), "output_ratio": 0.5}),
    ],
)
def test_fractional_pooling_with_torchs_samples(name, x, options, dtype):
    count = int(name[-2])
    outer = x.shape[:-count] if x.ndim == count + 2 else (1, *x.shape[:-count])
    samples = np.random.default_rng(0).random((*outer, count))
    check(getattr(TF, name), getattr(F, name), (x,), {**options, "_random_samples": samples}, dtype)
    theirs = getattr(TF, name + "_with_indices")(
        torch.from_numpy(x), **options, _random_samples=torch.from_numpy(samples)
    )[1]
    with precision("float64"):
        mine = WITH_INDICES[name](x, **options, _random_samples=jnp.asarray(samples))[1]
    np.testing.assert_array_equal(mine, theirs)


def test_fractional_pooling_draws_its_windows():
    """Every window lies inside, the last ends where the input does, and the first steps vary by key."""
    x = jnp.broadcast_to(jnp.arange(400.0).reshape(1, 1, 20, 20), (1, 500, 20, 20))
    draw = lambda seed: F.fractional_max_pool2d(x, 2, 13, key=jax.random.key(seed))  # noqa: E731
    rows, columns = draw(0)[0] // 20, draw(0)[0] % 20
    assert (rows[:, -1] == 19).all()
    assert (columns[:, :, -1] == 19).all()
    steps = np.diff(np.asarray(columns[:, 0]), axis=1)
    assert set(np.unique(steps)) <= {1, 2}
    # the start of window i is ⌊(i + u)·18/12⌋ − ⌊u·18/12⌋, so the first step is 2 for u in [1/3, 2/3)
    assert abs((steps[:, 0] == 2).mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / 500)
    assert not np.array_equal(draw(0), draw(1))


def test_fractional_layers_draw_and_return_indices():
    layer = nn.FractionalMaxPool2d(2, output_ratio=0.5, return_indices=True)
    (value, index), buffers = layer.apply(*layer.init(jax.random.key(0)), jnp.asarray(X2), key=jax.random.key(1))
    assert value.shape == index.shape == (2, 3, 3, 4)
    assert buffers == {}
    with pytest.raises(ValueError, match="pass key"):
        nn.FractionalMaxPool3d(2, 2).apply({}, {}, jnp.asarray(X3))


def test_unpooling_undoes_pooling():
    x = jnp.asarray(X2, "float32")
    pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    (value, index), _ = pool.apply({}, {}, x)
    restored, _ = unpool.apply({}, {}, value, index, output_size=x.shape)
    theirs = torch.nn.MaxUnpool2d(2)(
        *torch.nn.MaxPool2d(2, return_indices=True)(torch.from_numpy(np.array(x))), x.shape
    )
    assert_equivalent(theirs, restored)


def test_indices_outside_are_left_out_of_unpooling():
    assert not F.max_unpool1d(jnp.ones((1, 2)), jnp.array([[-1, 4]]), 2).any()
