"""What the tables of cases can't ask of resizing and sampling: warnings, bytes, NaN and infinity."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import fnlearn.functional as F
from fnlearn.equivalence import assert_equivalent
from tests.cases.table import R
from tests.reference import check

IMAGE = R(2, 3, 4, 5)


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["upsample", "upsample_nearest", "upsample_bilinear"])
def test_deprecated_names(name, dtype):
    check(getattr(TF, name), getattr(F, name), (IMAGE,), {"scale_factor": 2}, dtype)
    check(getattr(TF, name), getattr(F, name), (IMAGE,), {"size": (3, 7)}, dtype)


@pytest.mark.parametrize("name", ["upsample", "upsample_nearest", "upsample_bilinear"])
def test_deprecated_names_warn(name):
    with pytest.warns(UserWarning, match=f"{name} is deprecated; use interpolate"):
        getattr(F, name)(jnp.asarray(IMAGE, "float32"), 3)


def test_corners_left_out_warn():
    with pytest.warns(UserWarning, match="pass align_corners=True or False"):
        grid = F.affine_grid(jnp.ones((1, 2, 3)), (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="pass align_corners=True or False"):
        F.grid_sample(jnp.ones((1, 1, 2, 2)), grid)


# torch rounds and clamps bytes after each dimension; bicubic overshoots, so that clamping once differs by more
@pytest.mark.parametrize(("mode", "most"), [("nearest", 0), ("nearest-exact", 0), ("bilinear", 1), ("bicubic", 8)])
def test_bytes_differ_by_little(mode, most):
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 9), dtype=np.uint8)
    mine, theirs = F.interpolate(x, (11, 5), mode=mode), TF.interpolate(torch.from_numpy(x), (11, 5), mode=mode)
    assert mine.dtype == jnp.uint8
    assert np.abs(np.asarray(mine, int) - theirs.numpy().astype(int)).max() <= most


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "area"])
@pytest.mark.parametrize("size", [(8, 10), (3, 3)])
def test_nan_and_infinity_stay_where_they_are(mode, size):
    x = np.arange(20.0).reshape(1, 1, 4, 5)
    x[0, 0, 1, 2], x[0, 0, 3, 4] = math.nan, math.inf
    mine = F.interpolate(jnp.asarray(x, "float32"), size, mode=mode)
    theirs = TF.interpolate(torch.tensor(x, dtype=torch.float32), size, mode=mode)
    assert_equivalent({"out": theirs}, {"out": mine})


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_points_that_are_no_numbers(mode):
    """In float32 alone: torch has two kernels, which disagree here."""
    points = np.array([[math.nan, 0.2], [0.1, math.inf], [-math.inf, 0.0], [0.3, -0.2]] * 2).reshape(1, 2, 4, 2)
    check(TF.grid_sample, F.grid_sample, (IMAGE[:1], points), {"mode": mode, "align_corners": False})


def test_forward_mode_and_second_derivatives():
    """A resized image is linear in the image, and JAX knows it."""
    x, resize = jnp.asarray(IMAGE, "float32"), lambda x: F.interpolate(x, (3, 7), mode="bicubic")
    np.testing.assert_allclose(jax.jvp(resize, (x,), (x,))[1], resize(x), rtol=1e-6)
    square = lambda x: (resize(x) ** 2).sum()  # noqa: E731
    twice = jax.grad(lambda x: (jax.grad(square)(x) * x).sum())(x)
    np.testing.assert_allclose(twice, 2 * jax.grad(square)(x), rtol=1e-4, atol=1e-5)
