"""The judge itself: what it measures, and that it says no when it should."""

import math

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing._comparison import default_tolerances

from fnlearn.equivalence import assert_equivalent, compare
from fnlearn.equivalence.compare import TOLERANCES, YARDSTICK

FLOATS = ["float16", "bfloat16", "float32", "float64"]


def only(*args, **kwargs):
    (leaf,) = compare(*args, **kwargs)
    return leaf


def test_the_numbers_of_a_leaf():
    theirs, mine = np.array([1.0, 2.0, 4.0], "float32"), np.array([1.0, 2.5, 4.0], "float32")
    leaf = only({"a": {"b": theirs}}, {"a": {"b": mine}}, {"a": {"b": np.array([1.0, 2.1, 4.0])}})
    assert (leaf.name, leaf.shape, leaf.dtype) == ("a.b", (3,), "float32")
    assert (leaf.max_abs, leaf.max_rel) == (0.5, 0.25)
    assert leaf.ulp == 0.5 / np.spacing(np.float32(2.5))
    assert leaf.torch_error == pytest.approx(0.1)
    assert leaf.jax_error == pytest.approx(0.4)
    assert leaf.ratio == pytest.approx(4.0)
    assert leaf.verdict == "differs"
    assert not leaf.ok


@pytest.mark.parametrize("dtype", FLOATS)
def test_tolerances_are_those_of_torch_testing(dtype):
    assert TOLERANCES[dtype] == default_tolerances(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_neighbours_are_one_unit_in_the_last_place_apart(dtype):
    number = np.array(1.5, ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    after = (number.view(f"i{number.itemsize}") + 1).view(number.dtype)
    leaf = only(number, after)
    assert leaf.ulp == 1.0
    assert leaf.verdict == "close"


@pytest.mark.parametrize(("times", "verdict"), [(0.9 * YARDSTICK, "yardstick"), (1.1 * YARDSTICK, "differs")])
def test_the_yardstick_allows_twice_torchs_error_and_no_more(times, verdict):
    """Both are far outside the tolerance; only the distance to float64 tells them apart."""
    truth = np.array([1000.0])
    leaf = only(np.array([1001.0], "float32"), np.array([1000.0 + times], "float32"), truth)
    assert leaf.verdict == verdict
    assert leaf.ratio == pytest.approx(times, rel=1e-4)


@given(st.lists(st.floats(width=32), max_size=5))
def test_anything_equals_itself(numbers):
    """NaN, infinities and nothing at all included."""
    x = np.array(numbers, "float32")
    leaf = only(x, jnp.asarray(x) if not np.any(np.abs(x[x != 0]) < 1e-37) else x.copy())
    assert leaf.verdict == "equal"
    assert leaf.max_abs == leaf.max_rel == leaf.ulp == 0


@pytest.mark.parametrize("pair", [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (math.inf, -math.inf)])
def test_what_is_not_finite_on_one_side_differs(pair):
    theirs, mine = (np.array([x], "float32") for x in pair)
    leaf = only(theirs, mine, np.array([pair[0]]))
    assert leaf.max_abs == math.inf
    assert leaf.verdict == "differs"


def test_torch_tensors_of_every_kind():
    bfloat16 = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    assert only(bfloat16, jnp.array([1.0, 2.0], "bfloat16")).verdict == "equal"
    assert only(torch.tensor([1, 2]), jnp.array([1, 2], "int32")).verdict == "equal"
    assert only(torch.tensor([True]), jnp.array([False])).verdict == "differs"
    assert only(torch.tensor([1 + 2j]), jnp.array([1 + 2j], "complex64")).verdict == "equal"
    assert only(torch.tensor(2.0), 2.0).verdict.startswith("dtypes differ")


def test_shapes_and_dtypes_must_be_the_same():
    assert only(np.ones((2, 1)), np.ones(2)).verdict == "shapes differ: PyTorch (2, 1)"
    assert only(np.ones(2, "float32"), np.ones(2)).verdict == "dtypes differ: PyTorch float32"
    assert not only(np.ones((2, 1)), np.ones(2)).ok


def test_a_tolerance_given_replaces_the_default():
    theirs, mine = np.array([1.0]), np.array([1.0 + 1e-10])
    assert only(theirs, mine).verdict == "close"
    assert only(theirs, mine, rtol=1e-12).verdict == "differs"
    assert only(theirs, mine, atol=1e-9).verdict == "close"


def test_order_is_the_references_and_names_are_joined():
    theirs = {"z": [np.ones(1), {"b": np.ones(1)}], "a": np.ones(1)}
    assert [leaf.name for leaf in compare(theirs, theirs)] == ["z.0", "z.1.b", "a"]
    flat = {"z.0": np.ones(1), "z.1.b": np.ones(1), "a": np.ones(1)}
    assert all(leaf.ok for leaf in compare(flat, theirs)), "a state_dict is compared with a nested dict"


def test_every_missing_and_unexpected_name_is_listed():
    with pytest.raises(ValueError, match=r"the JAX side lacks \['a', 'b'\] and has \['c'\]"):
        compare({"a": 1.0, "b": 1.0}, {"c": 1.0})
    with pytest.raises(ValueError, match=r"the float64 side lacks \['a'\]"):
        compare({"a": 1.0}, {"a": 1.0}, {})


def test_assert_equivalent_names_every_leaf_that_differs():
    theirs = {"same": np.ones(2), "off": np.ones(2), "far": np.zeros((2, 2))}
    mine = {"same": np.ones(2), "off": np.ones(2) + 1e-3, "far": np.ones((2, 2))}
    with pytest.raises(AssertionError) as caught:
        assert_equivalent(theirs, mine)
    first, *lines = str(caught.value).splitlines()
    assert first == "2 of 3 leaves differ:"
    assert [line.split()[0] for line in lines] == ["off", "far"]
    assert "max abs 1," in lines[1]
    assert [leaf.name for leaf in assert_equivalent(theirs, theirs)] == ["same", "off", "far"]
