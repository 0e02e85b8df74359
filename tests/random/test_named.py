"""Keys by name."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnlearn import random


def bits(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


@given(st.sets(st.text(max_size=20), min_size=2, max_size=2), st.integers(0, 2**32 - 1))
def test_a_name_always_has_the_same_key_and_others_have_others(names, seed):
    one, other = names
    key = jax.random.key(seed)
    assert bits(random.named(key, one)) == bits(random.named(key, one))
    assert bits(random.named(key, one)) != bits(random.named(key, other))
    assert bits(random.named(key, one)) != bits(key)


def test_keys_of_old_are_refused():
    with pytest.raises(TypeError, match=r"typed key such as jax\.random\.key"):
        random.named(jax.random.PRNGKey(0), "weight")
