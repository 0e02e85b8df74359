"""Every operation of torch's own database as a model of one call: its port's outputs and gradients, for one sample.

What can't be ported is listed with its reason in `fnlearn.port.unported`; what is listed must not pass.
"""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_flatten, tree_unflatten

from fnlearn import port, tree
from fnlearn.equivalence import assert_equivalent
from fnlearn.port import program
from fnlearn.port.unported import GRADIENTS_DIFFER, UNPORTED
from tests.database import seed_torch

DTYPES = [torch.float32, torch.float64]
OTHERS = [torch.complex64, torch.int64, torch.bool]  # for entries without floats

UNSIGNED = ("linalg.eigh", "linalg.eig")  # only the values are determined

EMPTY = ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided")  # any numbers
pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("ignore")]


def label(value):
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return value.name + (f":{value.variant_test_name}" if value.variant_test_name else "")


def dtypes_of(op):
    have = op.supported_dtypes("cpu")
    return [d for d in DTYPES if d in have] or [d for d in OTHERS if d in have][:1]


class OneCall(nn.Module):
    """A call whose tensors are the model's inputs."""

    def __init__(self, function, call):
        super().__init__()
        self.function = function
        self.leaves, self.structure = tree_flatten(call)
        self.places = [i for i, leaf in enumerate(self.leaves) if isinstance(leaf, torch.Tensor)]

    def forward(self, *tensors):
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = tree_unflatten(leaves, self.structure)
        return self.function(*args, **kwargs)


def samples_of(op, dtype):
    seed_torch()
    differentiated = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu") and dtype.is_floating_point
    found = []
    for sample in op.sample_inputs("cpu", dtype, requires_grad=differentiated):
        found.append(sample)
        if len(found) == 40:
            break
    return found[len(found) // 3 :: max(1, len(found) // 4)] + found[:1]  # of which some may have no port


def tensors_of(structure):
    return [leaf for leaf in torch.utils._pytree.tree_leaves(structure) if isinstance(leaf, torch.Tensor)]


def torch_side(model, inputs, wide=False):
    """Outputs and gradients, of a weighted sum of all outputs."""
    cast = {torch.float32: torch.float64, torch.complex64: torch.complex128} if wide else {}
    given = [t.detach().to(cast.get(t.dtype, t.dtype)).clone().requires_grad_(t.requires_grad) for t in inputs]
    torch.manual_seed(0)
    outs = tensors_of(model(*[t.clone() if t.requires_grad else t for t in given]))
    moving = [out for out in outs if out.requires_grad and out.is_floating_point()]
    wanted = [t for t in given if t.requires_grad]
    found = [tree.as_numpy(out.resolve_conj().resolve_neg()) for out in outs]
    if not moving or not wanted:
        return found, []
    loss = sum((out * torch.tensor(weights(out.shape), dtype=out.dtype)).sum() for out in moving)
    return found, [
        np.zeros(t.shape, tree.as_numpy(t).dtype) if g is None or g._is_zerotensor() else tree.as_numpy(g)
        for t, g in zip(wanted, torch.autograd.grad(loss, wanted, allow_unused=True), strict=True)
    ]


def jax_side(made, inputs, gradients):
    given = [jnp.asarray(tree.as_numpy(t)) for t in inputs]
    wanted = [i for i, t in enumerate(inputs) if t.requires_grad]

    def outputs(*moved):
        args = list(given)
        for i, value in zip(wanted, moved, strict=True):
            args[i] = value
        out, _ = made.apply(made.params, made.buffers, *args, key=jax.random.key(0))
        return [leaf for leaf in jax.tree.leaves(out) if hasattr(leaf, "dtype")]

    def loss(*moved):
        moving = [out for out in outputs(*moved) if jnp.issubdtype(out.dtype, jnp.floating)]
        return sum((out * jnp.asarray(weights(out.shape), out.dtype)).sum() for out in moving)

    def both(*moved):
        return outputs(*moved), list(jax.grad(loss, tuple(range(len(moved))))(*moved)) if gradients else []

    moved = [given[i] for i in wanted]
    return (jax.jit(both) if moved else both)(*moved)  # others may decide shapes


def weights(shape):
    """Numbers that both sides weight an output with."""
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape)


def draws(made):
    """Whether a port draws numbers: then torch's are others."""
    return "key=key" in made.source.partition("def apply(")[2]


QUESTIONS = [(op, dtype) for op in op_db for dtype in dtypes_of(op) if op.name not in UNPORTED]


@pytest.mark.parametrize(("op", "dtype"), QUESTIONS, ids=label)
def test_port(op, dtype, x64, monkeypatch):
    monkeypatch.setattr(program, "formatted", lambda text: text)  # its look is tested elsewhere
    asked = 0
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for sample in samples_of(op, dtype):
            model = OneCall(op.op, ((sample.input, *sample.args), sample.kwargs))
            inputs = [model.leaves[i] for i in model.places]
            try:
                made = port.convert(model, tuple(inputs))
            except port.PortError as error:  # a sample whose result has as many numbers as its numbers say
                if "needs a tensor's numbers" in str(error) or "depends on a tensor's numbers" in str(error):
                    continue
                raise
            theirs, their_grads = torch_side(model, inputs)
            random = draws(made) or op.name in EMPTY
            mine, my_grads = jax_side(
                made, inputs, bool(their_grads) and not random and op.name not in GRADIENTS_DIFFER
            )
            asked += 1
            assert [np.shape(a) for a in mine] == [np.shape(a) for a in theirs]
            if not random:
                wide, wide_grads = (
                    torch_side(model, inputs, wide=True) if dtype == torch.float32 else (theirs, their_grads)
                )
                if op.name in UNSIGNED:
                    theirs, mine, wide = theirs[:1], mine[:1], wide[:1]
                assert_equivalent(like(theirs, mine), mine, wide)
                if op.name not in GRADIENTS_DIFFER:
                    assert_equivalent(like(their_grads, my_grads), my_grads, wide_grads)
            break
    assert asked
    jax.clear_caches()


def like(expected, actual):
    """Integers and the like in the dtypes that JAX counts with."""
    return [
        e if np.issubdtype(e.dtype, np.inexact) else e.astype(a.dtype) for e, a in zip(expected, actual, strict=True)
    ]


def test_every_name_that_is_not_ported_is_in_the_database():
    names = collections.Counter(op.name for op in op_db)
    assert [name for name in UNPORTED if name not in names] == []
