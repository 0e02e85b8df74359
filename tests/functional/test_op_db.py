"""Every sample and every error input of torch's own operator database, for every function that has an entry there."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

import fnlearn.functional as F
from fnlearn.equivalence import assert_equivalent
from fnlearn.tree import as_numpy
from tests.reference import precision, spread

ENTRIES = [op for op in op_db if op.name.startswith("nn.functional.") and op.name.rpartition(".")[2] in F.__all__]
NARROW = [(op, dtype) for op in ENTRIES for dtype in (torch.bfloat16, torch.float16) if dtype in op.dtypes]

# of one entry, evenly spaced; the whole database takes hours where nothing is compiled before
SAMPLES = {torch.float32: 30, torch.float64: 8, torch.bfloat16: 5, torch.float16: 5}

pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("ignore")]


def label(op):
    if isinstance(op, torch.dtype):
        return str(op)
    return op.name.rpartition(".")[2] + (f"-{op.variant_test_name}" if op.variant_test_name else "")


def samples(op, dtype):
    torch.manual_seed(0)
    np.random.seed(0)
    return list(op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd))


def function(op):
    """Ours, with a key where it draws; some entries have torch's first two arguments the other way round."""
    fn = getattr(F, op.name.rpartition(".")[2])
    if fn in (F.embedding, F.embedding_bag):
        return lambda weight, indices, *args, **kwargs: fn(indices, weight, *args, **kwargs)
    names = [p.name for p in inspect.signature(fn).parameters.values() if p.kind is p.KEYWORD_ONLY]
    keys = {name: jax.random.key(0) for name in names if name in ("key", "dropout_key")}
    return lambda *args, **kwargs: fn(*args, **kwargs, **keys)


def to_jax(value):
    if torch.is_tensor(value):
        return jnp.asarray(as_numpy(value))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, torch.nn.PairwiseDistance):  # a callable argument of one entry
        return lambda x, y: F.pairwise_distance(x, y, value.norm, value.eps, value.keepdim)
    return value


def torch_side(op, sample, wide=False, seed=0):
    def leaf(value):
        if not torch.is_tensor(value):
            return value
        copy = value.detach().clone()
        copy = copy.double() if wide and copy.is_floating_point() else copy
        return copy.requires_grad_(value.requires_grad)

    args, kwargs = [leaf(x) for x in (sample.input, *sample.args)], {k: leaf(v) for k, v in sample.kwargs.items()}
    leaves = [x for x in (*args, *kwargs.values()) if torch.is_tensor(x) and x.requires_grad]
    torch.manual_seed(seed)
    outs = [x for x in jax.tree.leaves(op.op(*args, **kwargs)) if torch.is_tensor(x)]
    answers = {"out": [x.detach() for x in outs]}
    pulled = [x for x in outs if x.requires_grad and not x.is_complex()]
    if leaves and pulled:
        grads = torch.autograd.grad(pulled, leaves, [torch.ones_like(x) for x in pulled], allow_unused=True)
        answers["grad"] = [torch.zeros_like(x) if g is None else g for g, x in zip(grads, leaves, strict=True)]
    return answers


def jax_side(op, sample, gradients=True):
    values = [sample.input, *sample.args, *sample.kwargs.values()]
    differentiated = [torch.is_tensor(x) and x.requires_grad and gradients for x in values]
    given = [to_jax(x) for x in values]
    split, fn = len(values) - len(sample.kwargs), function(op)

    def call(leaves):
        new = iter(leaves)
        filled = [next(new) if d else x for d, x in zip(differentiated, given, strict=True)]
        outs = jax.tree.leaves(fn(*filled[:split], **dict(zip(sample.kwargs, filled[split:], strict=True))))
        return [x for x in outs if jnp.issubdtype(x.dtype, jnp.floating)], outs

    leaves = [x for d, x in zip(differentiated, given, strict=True) if d]
    if not leaves:
        return {"out": call([])[1]}
    pulled, pullback, outs = jax.vjp(call, leaves, has_aux=True)
    return {"out": outs} | ({"grad": pullback([jnp.ones_like(x) for x in pulled])[0]} if pulled else {})


def compare(op, dtype, most):
    """Assert on every sample; where torch draws, only shape and dtype can be the same."""
    tested = 0
    with precision("float64"), jax.numpy_rank_promotion("allow"):
        for sample in spread(samples(op, dtype), most):
            theirs, again = torch_side(op, sample), torch_side(op, sample, seed=1)
            mine = jax_side(op, sample, dtype in (torch.float32, torch.float64))
            if not all(torch.equal(a, b) or a.isnan().any() for a, b in zip(theirs["out"], again["out"], strict=True)):
                assert [x.shape for x in mine["out"]] == [tuple(x.shape) for x in theirs["out"]]
                continue
            wide = torch_side(op, sample, wide=True)
            keys = ("out", "grad") if "grad" in mine and "grad" in theirs else ("out",)
            assert_equivalent(*({key: answers[key] for key in keys} for answers in (theirs, mine, wide)))
            tested += 1
    assert tested or "dropout" in op.name, "only the dropouts draw in every sample"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("op", ENTRIES, ids=label)
def test_samples(op, dtype):
    compare(op, dtype, SAMPLES[dtype])


@pytest.mark.parametrize(("op", "dtype"), NARROW, ids=label)
def test_narrow_forward(op, dtype):
    compare(op, dtype, SAMPLES[dtype])


@pytest.mark.parametrize("op", [op for op in ENTRIES if op.error_inputs_func is not None], ids=label)
def test_error_inputs(op):
    for error in op.error_inputs("cpu"):
        sample = error.sample_input
        with pytest.raises((ValueError, TypeError)):
            function(op)(
                *[to_jax(x) for x in (sample.input, *sample.args)], **{k: to_jax(v) for k, v in sample.kwargs.items()}
            )
