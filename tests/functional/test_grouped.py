"""Products of groups against torch's, and against the products of each group where torch has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import fnlearn.functional as F
from fnlearn.equivalence import assert_equivalent
from fnlearn.equivalence.completed import completed
from tests.cases.table import R

ENDS = np.array([2, 2, 7], np.int32)  # the second group is empty
LAYOUTS = {
    "rows": (R(7, 8), R(3, 8, 8), ENDS),
    "columns": (R(3, 4, 8), R(8, 7), ENDS),
    "sums": (R(4, 7), R(7, 8), ENDS),
    "batches": (R(3, 4, 8), R(3, 8, 4), None),
}


def answers(layout, dtype):
    a, b, offs = LAYOUTS[layout]
    ours = [jnp.asarray(x, dtype) for x in (a, b)]
    along = R(*jax.eval_shape(lambda *x: F.grouped_mm(*x, offs=offs), *ours).shape)
    out, pulled = jax.vjp(lambda *x: F.grouped_mm(*x, offs=offs), *ours)
    theirs = [torch.tensor(np.asarray(x, "float64"), dtype=getattr(torch, dtype), requires_grad=True) for x in ours]
    with completed():
        expected = TF.grouped_mm(*theirs, offs=None if offs is None else torch.tensor(offs))
    grads = torch.autograd.grad(expected, theirs, torch.tensor(along).to(expected.dtype))
    return (expected, *grads), (out, *pulled(jnp.asarray(along, dtype)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_of_groups_in_float64(layout):
    with jax.enable_x64(True):
        assert_equivalent(*answers(layout, "float64"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_of_groups_of_rows(dtype):
    """The layout that torch computes on a CPU with numbers of any alignment."""
    (expected, *grads), (out, *mine) = answers("rows", dtype)
    assert_equivalent(expected, out)
    if dtype == "float32":
        assert_equivalent(grads, mine)


def test_rows_of_no_group_are_zero():
    a, b, _ = LAYOUTS["rows"]
    out = F.grouped_mm(a, b, offs=np.array([1, 2, 4]))
    assert (out[4:] == 0).all()
    assert (out[:4] != 0).all()


@pytest.mark.parametrize(
    ("a", "b", "options", "said"),
    [
        (R(7, 8), R(3, 4, 8), {"offs": ENDS}, "don't fit"),
        (R(7, 8), R(3, 8, 4), {}, "offs says where groups end"),
        (R(3, 7, 8), R(3, 8, 4), {"offs": ENDS}, "offs says where groups end"),
        (R(7, 8), R(2, 8, 4), {"offs": ENDS}, r"offs must have shape \(2,\)"),
        (R(7, 8), R(3, 8, 4), {"offs": ENDS, "bias": R(4)}, "bias must be None"),
    ],
)
def test_what_is_refused(a, b, options, said):
    with pytest.raises(ValueError, match=said):
        F.grouped_mm(a, b, **options)
