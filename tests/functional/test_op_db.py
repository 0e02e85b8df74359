"""Every sample and every error input of torch's own operator database, for the functions that are here so far."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

import fnlearn.functional as F
from fnlearn.equivalence import assert_equivalent
from tests.reference import precision

SWEPT = ("activation", "linear", "loss", "softmax")  # the other families have their rows in tests/cases so far


def is_swept(op):
    room, _, name = op.name.rpartition(".")
    found = getattr(F, name, None) if room == "nn.functional" else None
    return found is not None and found.__module__.rpartition(".")[2] in SWEPT


ENTRIES = [op for op in op_db if is_swept(op)]
RANDOM = {"rrelu"}  # with training=True the two streams differ; their distributions are tested beside the cases

pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("ignore")]


def label(op):
    return op.name.rpartition(".")[2] + (f"-{op.variant_test_name}" if op.variant_test_name else "")


def samples(op, dtype):
    torch.manual_seed(0)
    np.random.seed(0)
    return list(op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd and dtype.is_floating_point))


def to_jax(value):
    if torch.is_tensor(value):
        return jnp.asarray(_numpy(value))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return value


def _numpy(tensor):
    tensor = tensor.detach()
    return jnp.asarray(tensor.float().numpy(), jnp.bfloat16) if tensor.dtype == torch.bfloat16 else tensor.numpy()


def torch_side(op, sample, wide=False):
    def leaf(value):
        if not torch.is_tensor(value):
            return value
        copy = value.detach().clone()
        if wide and copy.is_floating_point():
            copy = copy.double()
        return copy.requires_grad_(value.requires_grad)

    args, kwargs = [leaf(x) for x in (sample.input, *sample.args)], {k: leaf(v) for k, v in sample.kwargs.items()}
    out = op.op(*args, **kwargs)
    leaves = [x for x in (*args, *kwargs.values()) if torch.is_tensor(x) and x.requires_grad]
    answers = {"out": out.detach()}
    if leaves and out.requires_grad:
        pulled = torch.autograd.grad(out, leaves, torch.ones_like(out), allow_unused=True)
        answers["grad"] = [torch.zeros_like(x) if g is None else g for g, x in zip(pulled, leaves, strict=True)]
    return answers


def jax_side(op, sample):
    values = [sample.input, *sample.args, *sample.kwargs.values()]
    names = list(sample.kwargs)
    differentiated = [torch.is_tensor(x) and x.requires_grad for x in values]
    fn = getattr(F, op.name.rpartition(".")[2])
    given = [to_jax(x) for x in values]

    def call(leaves):
        new = iter(leaves)
        filled = [next(new) if d else x for d, x in zip(differentiated, given, strict=True)]
        split = len(filled) - len(names)
        return fn(*filled[:split], **dict(zip(names, filled[split:], strict=True)))

    leaves = [x for d, x in zip(differentiated, given, strict=True) if d]
    if not leaves:
        return {"out": call([])}
    out, pullback = jax.vjp(call, leaves)
    if not jnp.issubdtype(out.dtype, jnp.floating):
        return {"out": out}
    return {"out": out, "grad": pullback(jnp.ones_like(out))[0]}


def drawn(op, sample):
    training = {**dict(zip(("lower", "upper", "training"), sample.args, strict=False)), **sample.kwargs}.get("training")
    return op.name.rpartition(".")[2] in RANDOM and training


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("op", ENTRIES, ids=label)
def test_samples(op, dtype):
    tested = 0
    with precision("float64"), jax.numpy_rank_promotion("allow"):
        for sample in samples(op, dtype):
            if drawn(op, sample):
                continue
            mine, theirs = jax_side(op, sample), torch_side(op, sample)
            assert_equivalent(theirs, mine, torch_side(op, sample, wide=True))
            tested += 1
    assert tested


# those for which torch has a kernel on the CPU
NARROW = [(op, dtype) for op in ENTRIES for dtype in (torch.bfloat16, torch.float16) if dtype in op.dtypes]


@pytest.mark.parametrize(("op", "dtype"), NARROW, ids=lambda x: str(x) if isinstance(x, torch.dtype) else label(x))
def test_narrow_forward(op, dtype):
    tested = 0
    with precision("float64"), jax.numpy_rank_promotion("allow"):
        for sample in samples(op, dtype):
            if drawn(op, sample):
                continue
            mine, theirs, wide = jax_side(op, sample), torch_side(op, sample), torch_side(op, sample, wide=True)
            assert_equivalent({"out": theirs["out"]}, {"out": mine["out"]}, {"out": wide["out"]})
            tested += 1
    assert tested


@pytest.mark.parametrize("op", [op for op in ENTRIES if op.error_inputs_func is not None], ids=label)
def test_error_inputs(op):
    for error in op.error_inputs("cpu"):
        sample = error.sample_input
        with pytest.raises((ValueError, TypeError)):
            getattr(F, op.name.rpartition(".")[2])(
                *[to_jax(x) for x in (sample.input, *sample.args)], **{k: to_jax(v) for k, v in sample.kwargs.items()}
            )
