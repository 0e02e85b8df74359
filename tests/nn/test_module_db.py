"""The samples of torch's own module database, in evaluation and in training, for every entry that it has."""

import jax
import pytest
import torch
from torch.testing._internal.common_modules import module_db

from fnlearn import nn, tree
from fnlearn.equivalence import assert_equivalent
from tests.database import same_values, seed_torch, some, to_jax
from tests.reference import jax_layer, precision, torch_layer

MOST = {"float32": 12, "float64": 6}  # samples of one entry in one mode

pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("ignore")]


def name_of(info):
    return info.name.removeprefix("nn.")


def build(info, sample, dtype, train):
    """torch's module and our layer; a lazy module has its parameters after its first call."""
    seed_torch()
    given, inputs = sample.constructor_input, sample.forward_input
    module = info.module_cls(*given.args, **given.kwargs).to(getattr(torch, dtype)).train(train)
    if any(isinstance(p, torch.nn.UninitializedParameter) for p in (*module.parameters(), *module.buffers())):
        with torch.no_grad():
            module.eval()(*inputs.args, **inputs.kwargs)  # in evaluation, so that running statistics stay as they start
        module.train(train)
    args, kwargs = jax.tree.map(to_jax, (given.args, given.kwargs))
    return module, getattr(nn, name_of(info))(*args, **kwargs)


def described(values):
    return [(name, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in values.items()]


def assert_init_is_alike(layer, module, inputs, dtype):
    """Parameters and buffers have torch's names, shapes and order; ours are float32 unless a dtype was asked for."""
    params, buffers = layer.init(jax.random.key(0), *inputs)
    saved = module.float().state_dict()
    kept = {name: b for name, b in module.named_buffers() if name in saved}
    mine, theirs = described(tree.flatten(params)), described(dict(module.named_parameters()))
    assert mine == theirs if dtype is None else [row[:2] for row in mine] == [row[:2] for row in theirs]
    assert [row[:2] for row in described(tree.flatten(buffers))] == [row[:2] for row in described(kept)]


def seeded(seed, *args):
    torch.manual_seed(seed)
    return torch_layer(*args)


def undifferentiated(sample):
    """The inputs, targets mostly, of which the database asks no gradient."""
    leaves = jax.tree.leaves((sample.forward_input.args, sample.forward_input.kwargs))
    return {str(i) for i, x in enumerate(leaves) if not (torch.is_tensor(x) and x.requires_grad)}


def compare(info, sample, dtype, train):
    module, layer = build(info, sample, dtype, train)
    inputs, named = jax.tree.map(numpy, (sample.forward_input.args, sample.forward_input.kwargs))
    constant = undifferentiated(sample)
    theirs = seeded(0, module, inputs, dtype, named, constant)
    mine = jax_layer(layer, module, inputs, dtype, train, named, constant)
    if same_values(theirs["out"], seeded(1, module, inputs, dtype, named, constant)["out"]):
        assert_equivalent(theirs, mine, torch_layer(module, inputs, "float64", named, constant, dtype))
    else:  # torch draws; the functions' own tests hold the distributions
        assert [x.shape for x in mine["out"]] == [tuple(x.shape) for x in theirs["out"]]
    lazy = name_of(info).startswith("Lazy")
    example = [to_jax(x) for x in sample.forward_input.args] if lazy else []
    assert_init_is_alike(layer, module, example, sample.constructor_input.kwargs.get("dtype"))


def numpy(value):
    return tree.as_numpy(value) if torch.is_tensor(value) else value


def test_every_entry_is_here():
    assert {name_of(info) for info in module_db} <= set(nn.__all__)
    assert len(module_db) == 114


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("dtype", list(MOST))
@pytest.mark.parametrize("info", module_db, ids=name_of)
def test_samples(info, dtype, train):
    """Names and shapes, outputs, gradients of inputs and parameters, and the buffers afterwards."""
    seed_torch()
    samples = info.module_inputs_func(info, "cpu", getattr(torch, dtype), requires_grad=True, training=train)
    with precision("float64"), jax.numpy_rank_promotion("allow"):
        for position, sample in enumerate(some(samples, MOST[dtype], f"{dtype} {train}")):
            try:
                compare(info, sample, dtype, train)
            except Exception as error:
                error.add_note(f"sample {position}: {sample.constructor_input!r} {sample.desc}")
                raise
    jax.clear_caches()  # what was compiled for shapes that no other entry has
