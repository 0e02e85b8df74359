"""The samples and error inputs of torch's own operator database, for every function of torch.nn.functional in it."""

import inspect
import zlib
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

import fnlearn.functional as F
from fnlearn.equivalence import assert_equivalent
from tests.database import same_values, seed_torch, some, to_jax
from tests.reference import precision

ROOM = "nn.functional."
WIDE = [torch.float32, torch.float64]  # in which gradients are asked too
NARROW = [torch.bfloat16, torch.float16]
WIDER = {torch.complex64: torch.complex128}  # and float64 for every dtype of real numbers
MOST = {torch.float64: 10, torch.bfloat16: 6, torch.float16: 6}  # samples of one entry; 24 in any other dtype
SEEDS = range(1, 9)  # by which torch may draw something else; where there is little to draw, two often give the same
PUSHED_FORWARD = 3  # samples of which the forward-mode derivative is asked too
COLLIDING = {f"max_unpool{n}d" for n in (1, 2, 3)}  # elements on one place: torch's two modes aren't transposes there

pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("ignore")]


def name_of(op):
    """Its name in torch.nn.functional, which for a few is an alias; "" where it has none."""
    names = [name for name in (op.name, *(alias.name for alias in op.aliases)) if name.startswith(ROOM)]
    return names[0].removeprefix(ROOM) if names else ""


def label(value):
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return name_of(value) + (f":{value.variant_test_name}" if value.variant_test_name else "")


def dtypes_of(op):
    """Those of floats that torch has a kernel for on the CPU; complex numbers or integers where it has none at all."""
    have = op.supported_dtypes("cpu")
    return [d for d in NARROW + WIDE if d in have] or [d for d in (*WIDER, *WIDER.values(), torch.int64) if d in have]


ENTRIES = [op for op in op_db if name_of(op)]
QUESTIONS = [(op, dtype) for op in ENTRIES for dtype in dtypes_of(op)]


def samples_of(op, dtype):
    seed_torch()
    return list(op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd and dtype in WIDE))


def arguments(op, sample):
    """The leaves of a sample's arguments, and what makes a call of them."""
    return jax.tree.flatten(((sample.input, *sample.args), sample.kwargs))


def function(op):
    """Ours, with a key where it draws; the entries of embeddings have the weight before the indices."""
    fn = getattr(F, name_of(op))
    if fn in (F.embedding, F.embedding_bag):
        return lambda weight, indices, *args, **kwargs: fn(indices, weight, *args, **kwargs)
    return partial(fn, key=jax.random.key(0)) if draws(fn) else fn


def draws(fn):
    key = inspect.signature(fn).parameters.get("key")
    return key is not None and key.kind is key.KEYWORD_ONLY


def torch_function(op):
    """Torch's; beneath those that draw, since the entry itself would set one seed whatever seed is set here."""
    return getattr(torch.nn.functional, name_of(op)) if draws(getattr(F, name_of(op))) else op.op


def cotangent(position, shape, dtype):
    """The same for both sides, whatever precision they work in: drawn once and rounded to the dtype under test."""
    drawn = np.random.default_rng(zlib.crc32(repr((position, tuple(shape))).encode())).standard_normal(tuple(shape))
    return torch.from_numpy(np.asarray(drawn)).to(dtype)


def torch_side(op, sample, dtype, wide=False, seed=0):
    def fresh(value):
        if wide and isinstance(value, torch.nn.LinearCrossEntropyOptions):
            return replace(value, acc_dtype=None)  # torch refuses to sum float64 in float32
        if not torch.is_tensor(value):
            return value
        copy = value.detach().clone()
        if wide and (copy.is_floating_point() or copy.is_complex()):
            copy = copy.to(WIDER.get(copy.dtype, torch.float64))
        return copy.requires_grad_(value.requires_grad)

    leaves, call = arguments(op, sample)
    leaves = [fresh(x) for x in leaves]
    args, kwargs = jax.tree.unflatten(call, leaves)
    torch.manual_seed(seed)
    outs = [x for x in jax.tree.leaves(torch_function(op)(*args, **kwargs)) if torch.is_tensor(x)]
    answers = {"out": [x.detach() for x in outs]}
    pulled = [(i, x) for i, x in enumerate(outs) if x.requires_grad]
    wanted = [x for x in leaves if torch.is_tensor(x) and x.requires_grad]
    if pulled and wanted:
        cotangents = [cotangent(i, x.shape, dtype).to(x.dtype) for i, x in pulled]
        grads = torch.autograd.grad([x for _, x in pulled], wanted, cotangents, allow_unused=True)
        answers["grad"] = [torch.zeros_like(x) if g is None else g for g, x in zip(grads, wanted, strict=True)]
    return answers, [i for i, _ in pulled]


def jax_side(op, sample, dtype, pulled):
    """Ours; of it, the outputs that torch differentiates as a function of the arguments that torch differentiates."""
    leaves, call = arguments(op, sample)
    given, fn = [to_jax(x) for x in leaves], function(op)
    where = [i for i, x in enumerate(leaves) if torch.is_tensor(x) and x.requires_grad]

    def outputs(wanted):
        filled = dict(enumerate(given)) | dict(zip(where, wanted, strict=True))
        args, kwargs = jax.tree.unflatten(call, list(filled.values()))
        outs = jax.tree.leaves(fn(*args, **kwargs))
        return [outs[i] for i in pulled], outs

    wanted = [given[i] for i in where]
    if not (pulled and wanted):
        return {"out": outputs(wanted)[1]}, None

    @jax.jit
    def compiled(wanted):
        chosen, pullback, outs = jax.vjp(outputs, wanted, has_aux=True)
        cotangents = [to_jax(cotangent(i, x.shape, dtype)) for i, x in zip(pulled, chosen, strict=True)]
        cotangents = [ct.astype(x.dtype) for ct, x in zip(cotangents, chosen, strict=True)]
        return outs, cotangents, pullback(cotangents)[0]

    outs, cotangents, grads = compiled(wanted)
    return {"out": outs, "grad": grads}, lambda: assert_adjoint(outputs, wanted, cotangents, grads)


def assert_adjoint(outputs, wanted, cotangents, grads):
    """Forward mode gives the same derivative as the gradient that was just compared: ⟨ct, J·v⟩ = ⟨Jᵀ·ct, v⟩."""
    tangents = [to_jax(cotangent(-1 - i, x.shape, torch.float64)).astype(x.dtype) for i, x in enumerate(wanted)]
    pushed = jax.jit(lambda *args: jax.jvp(lambda x: outputs(x)[0], *args)[1])((wanted,), (tangents,))
    forward = [jnp.vdot(ct, x) for ct, x in zip(cotangents, pushed, strict=True)]
    reverse = [jnp.vdot(g, v) for g, v in zip(grads, tangents, strict=True)]
    size = sum(float(jnp.abs(x).sum()) for x in (*pushed, *grads))
    np.testing.assert_allclose(sum(map(float, forward)), sum(map(float, reverse)), rtol=1e-9, atol=1e-9 * (1 + size))


def test_every_entry_is_here():
    """And is a function of ours: 118 of the database's names begin so, and a few more have an alias that does."""
    assert {name_of(op) for op in ENTRIES} <= set(F.__all__)
    assert sum(op.name.startswith(ROOM) for op in ENTRIES) == 118
    assert {label(op) for op in ENTRIES if not dtypes_of(op)} == {"batch_norm:without_cudnn"}  # for a GPU alone


@pytest.mark.parametrize(("op", "dtype"), QUESTIONS, ids=label)
def test_samples(op, dtype):
    """Outputs, and in float32 and float64 gradients too; where torch draws, only shape and dtype can be the same."""
    chosen = some(samples_of(op, dtype), MOST.get(dtype, 24), label(dtype))  # in each dtype others
    assert chosen
    with precision("float64"), jax.numpy_rank_promotion("allow"):
        for position, sample in enumerate(chosen):
            pushed = dtype == torch.float64 and position < PUSHED_FORWARD and label(op) not in COLLIDING
            try:
                compare(op, sample, dtype, jvp=pushed)
            except Exception as error:
                error.add_note(f"sample {position}: {sample.summary()}")
                raise
    jax.clear_caches()  # what was compiled for shapes that no other entry has


def compare(op, sample, dtype, jvp):
    theirs, pulled = torch_side(op, sample, dtype)
    mine, forward_mode = jax_side(op, sample, dtype, pulled)
    others = SEEDS if draws(getattr(F, name_of(op))) else []
    if any(not same_values(theirs["out"], torch_side(op, sample, dtype, seed=seed)[0]["out"]) for seed in others):
        seen = [(x.shape, str(x.dtype)) for x in mine["out"]]
        assert seen == [(tuple(x.shape), label(x.dtype)) for x in theirs["out"]]
        return
    assert_equivalent(theirs, mine, torch_side(op, sample, dtype, wide=True)[0])
    if jvp and forward_mode is not None:
        forward_mode()


@pytest.mark.parametrize("op", [op for op in ENTRIES if op.error_inputs_func is not None], ids=label)
def test_error_inputs(op):
    seed_torch()
    for error in op.error_inputs("cpu"):
        leaves, call = arguments(op, error.sample_input)
        args, kwargs = jax.tree.unflatten(call, [to_jax(x) for x in leaves])
        with pytest.raises((ValueError, TypeError)):
            function(op)(*args, **kwargs)
