"""Every sample of torch's own module database, in evaluation and in training, for every layer with an entry there."""

import jax
import numpy as np
import pytest
import torch
from torch.testing._internal.common_modules import module_db

from fnlearn import nn, tree
from fnlearn.equivalence import assert_equivalent
from tests.reference import as_seen, jax_layer, precision, spread, torch_layer

INFOS = [info for info in module_db if info.name.removeprefix("nn.") in nn.__all__]

MOST = 24  # samples of one entry; one alone has more, 1714 that differ in little

pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("ignore")]


def build(info, sample, dtype, train):
    torch.manual_seed(0)
    given = sample.constructor_input
    module = info.module_cls(*given.args, **given.kwargs).to(dtype).train(train)
    if any(isinstance(p, torch.nn.UninitializedParameter) for p in module.parameters()):
        with torch.no_grad():  # a lazy module has its parameters after its first call
            module(*sample.forward_input.args, **sample.forward_input.kwargs)
    return module


def numpy(value):
    return tree.as_numpy(value) if torch.is_tensor(value) else value


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_samples(info, dtype, train):
    torch.manual_seed(0)
    np.random.seed(0)
    with precision("float64"), jax.numpy_rank_promotion("allow"):
        kind = getattr(torch, dtype)
        samples = info.module_inputs_func(info, "cpu", kind, requires_grad=True, training=train)
        for sample in spread(samples, MOST):
            module, given = build(info, sample, kind, train), sample.constructor_input
            layer = getattr(nn, info.name.removeprefix("nn."))(*given.args, **given.kwargs)
            inputs = jax.tree.map(numpy, sample.forward_input.args)
            named = jax.tree.map(numpy, sample.forward_input.kwargs)
            theirs, again = (seeded(seed, module, inputs, dtype, named) for seed in (0, 1))
            mine = jax_layer(layer, module, inputs, dtype, train, named)
            if any(not torch.equal(a, b) for a, b in zip(theirs["out"], again["out"], strict=True)):
                assert [x.shape for x in mine["out"]] == [tuple(x.shape) for x in theirs["out"]]
                continue  # torch draws; the functions' own tests hold the distributions
            exact = [jax.tree.map(lambda x: as_seen(x, dtype), given) for given in (inputs, named)]
            assert_equivalent(theirs, mine, torch_layer(module, exact[0], "float64", exact[1]))


def seeded(seed, *args):
    torch.manual_seed(seed)
    return torch_layer(*args)
