"""What the dropouts draw: how much, what it becomes, and who shares a mask."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnlearn.functional as F

KEY, P = jax.random.key(0), 0.3
LIMIT = 1.0507009873554805 * 1.6732632423543772
SHAPES = {
    "dropout": (300, 200),
    "dropout1d": (300, 100, 3),
    "dropout2d": (300, 100, 2, 2),
    "dropout3d": (300, 100, 2, 1, 2),
    "alpha_dropout": (300, 200),
    "feature_alpha_dropout": (300, 100, 2),
}
SHARED = {"dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"}


def levels(name):
    """What a one becomes when it is kept, and when it is dropped."""
    if "alpha" not in name:
        return 1 / (1 - P), 0.0
    a = 1 / math.sqrt((1 - P) * (1 + P * LIMIT**2))
    return a + a * LIMIT * P, -a * LIMIT * (1 - P)


@pytest.mark.parametrize("name", SHAPES)
def test_share_values_and_masks(name):
    x = jnp.ones(SHAPES[name])
    y = np.asarray(getattr(F, name)(x, P, True, key=KEY))
    kept, dropped = levels(name)
    is_kept = np.isclose(y, kept, atol=1e-5)
    assert (is_kept | np.isclose(y, dropped, atol=1e-5)).all()
    units = is_kept.reshape(*x.shape[:2], -1)
    if name in SHARED:
        assert (units == units[..., :1]).all()
    assert abs(units[..., 0].mean() - (1 - P)) < 4 * math.sqrt(P * (1 - P) / units[..., 0].size)
    again, other = (np.asarray(getattr(F, name)(x, P, True, key=key)) for key in (KEY, jax.random.key(1)))
    np.testing.assert_array_equal(y, again)
    assert (y != other).any()


@pytest.mark.parametrize("name", ["dropout1d", "dropout3d"])
def test_without_a_batch_each_channel_has_its_own_mask(name):
    shape = (400, *SHAPES[name][2:])
    kept = np.asarray(getattr(F, name)(jnp.ones(shape), 0.5, key=KEY)).reshape(400, -1) != 0
    assert (kept == kept[:, :1]).all()
    assert 120 < kept[:, 0].sum() < 280


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(name):
    x = jax.random.normal(jax.random.key(2), (400, 500))
    y = getattr(F, name)(x, P, True, key=KEY)
    assert abs(float(y.mean())) < 0.02
    assert abs(float(y.var()) - 1) < 0.03


@pytest.mark.parametrize("name", SHAPES)
def test_gradient_is_the_masks(name):
    x = jax.random.normal(jax.random.key(2), SHAPES[name])
    slope = jax.grad(lambda x: getattr(F, name)(x, P, True, key=KEY).sum())(x)
    kept = np.isclose(getattr(F, name)(jnp.ones_like(x), P, True, key=KEY), levels(name)[0], atol=1e-5)
    scale = 1 / math.sqrt((1 - P) * (1 + P * LIMIT**2)) if "alpha" in name else 1 / (1 - P)
    np.testing.assert_allclose(slope, np.where(kept, scale, 0), rtol=1e-5)


def test_images_of_an_unusual_rank_warn_as_in_torch():
    with pytest.warns(UserWarning, match=r"as \(N, C, L\)"):
        assert F.dropout2d(jnp.ones((2, 3, 4)), key=KEY).shape == (2, 3, 4)
    with pytest.warns(UserWarning, match="2-D input, which is deprecated"):
        F.dropout3d(jnp.ones((2, 3)), key=KEY)
