"""What the sweeps over torch's own databases share: a bounded choice of samples, and their values as JAX's."""

import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.testing._internal import common_utils
from torch.testing._internal.opinfo import core

import fnlearn.functional as F
from fnlearn.tree import as_numpy

# for every question they look through the whole stack for a unittest, with its source: half a second, and there is none
common_utils.extract_test_fn = core.extract_test_fn = lambda: None


def some(samples: Sequence[Any], most: int, occasion: str) -> list[Any]:
    """At most so many of the samples, on every occasion others, drawn without regard to order.

    The databases list products of options, in which a fixed stride would meet the same option again and again.
    """
    order = np.random.default_rng(zlib.crc32(occasion.encode())).permutation(len(samples))
    return [samples[i] for i in sorted(order[:most])]


def seed_torch(seed: int = 0) -> None:
    """The databases draw from both generators."""
    torch.manual_seed(seed)
    np.random.seed(seed)


def to_jax(value: Any) -> Any:
    """A tensor, a dtype, or one of torch's own functions and options, as ours."""
    if torch.is_tensor(value):
        return jnp.asarray(as_numpy(value))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, torch.nn.PairwiseDistance):
        return lambda x, y: F.pairwise_distance(x, y, value.norm, value.eps, value.keepdim)
    return value


def same_values(one: Any, other: Any) -> bool:
    """Whether two runs of torch gave the same: what differs from seed to seed is drawn."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    arrays = ((as_numpy(a), as_numpy(b)) for a, b in pairs)
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind not in "biu") for a, b in arrays)
