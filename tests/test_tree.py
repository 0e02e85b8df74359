"""Nested dicts and their joined keys."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fnlearn import tree

KEYS = st.text(st.characters(exclude_characters="."), min_size=1, max_size=4)
NESTED = st.recursive(
    st.dictionaries(KEYS, st.integers(), min_size=1, max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(inner, st.integers()), min_size=1, max_size=3),
    max_leaves=8,
)


@given(NESTED)
def test_unflatten_undoes_flatten(nested):
    assert tree.unflatten(tree.flatten(nested)) == nested


@given(NESTED)
def test_merge_undoes_partition(nested):
    odd, even = tree.partition(nested, lambda name, leaf: leaf % 2 == 1)
    assert all(leaf % 2 for leaf in tree.flatten(odd).values())
    assert tree.merge(odd, even) == nested
    assert set(tree.names(odd)).isdisjoint(tree.names(even))


def test_joined_keys_are_torchs_state_dict():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Sequential(torch.nn.BatchNorm1d(3)))
    state = module.state_dict()
    nested = tree.unflatten(state)
    assert set(nested) == {"0", "1"}
    assert tree.names(nested) == tuple(state)
    assert tree.flatten(nested)["1.0.running_mean"] is state["1.0.running_mean"]


def test_order_is_that_of_the_dict():
    assert tree.names({"b": {"z": 1, "a": 2}, "a": 3}) == ("b.z", "b.a", "a")


def test_merge_lets_the_later_part_win_and_leaves_the_parts_alone():
    first, second = {"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}
    assert tree.merge(first, second) == {"a": {"x": 3, "y": 2}}
    assert first == {"a": {"x": 1, "y": 2}}


def test_partition_by_name():
    params = {"linear": {"weight": np.ones(1), "bias": np.ones(1)}}
    biases, _ = tree.partition(params, lambda name, leaf: name.endswith("bias"))
    assert tree.names(biases) == ("linear.bias",)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tree.flatten({1: 2}), TypeError, "must be strings, got 1"),  # type: ignore[dict-item]
        (lambda: tree.flatten({"a.b": 2}), ValueError, "must not be empty or contain a dot"),
        (lambda: tree.flatten({"a": {"": 2}}), ValueError, "must not be empty"),
        (lambda: tree.unflatten({"a": 1, "a.b": 2}), ValueError, "'a.b' needs a branch at 'a'"),
        (lambda: tree.unflatten({"a.b": 1, "a": 2}), ValueError, "'a' is given as a leaf"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_layers_are_stacked_and_unstacked_in_order():
    layers = {str(i): {"w": jnp.full(2, i, jnp.float32), "a": jnp.float32(i)} for i in range(11)}
    nested = {"first": jnp.ones(1), "h": layers, "last": {"b": jnp.zeros(1)}}
    stacked = tree.stack_layers(nested, ["h"])
    assert list(stacked) == ["first", "h", "last"]
    assert stacked["h"]["stacked"]["a"].tolist() == list(range(11))
    back = tree.unstack_layers(stacked)
    assert tree.names(back) == tree.names(nested)
    assert all((a == b).all() for a, b in zip(tree.flatten(back).values(), tree.flatten(nested).values(), strict=True))


def test_what_can_not_be_stacked():
    with pytest.raises(KeyError, match="no container 'g'"):
        tree.stack_layers({"h": {"0": jnp.ones(1)}}, ["g"])
    with pytest.raises(ValueError, match="must hold layers by the keys"):
        tree.stack_layers({"h": {"a": jnp.ones(1)}}, ["h"])
    with pytest.raises(ValueError, match="layer 1 has other names"):
        tree.stack_layers({"h": {"0": {"w": jnp.ones(1)}, "1": {"w": jnp.ones(2)}}}, ["h"])
