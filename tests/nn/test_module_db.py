"""Every sample of torch's own module database, for the layers that are here so far."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.testing._internal.common_modules import module_db

from fnlearn import nn, tree
from fnlearn.equivalence import assert_equivalent
from tests.reference import precision

# these take one input and have no buffers; the other families have their rows in tests/layers so far
SWEPT = {
    name
    for name in nn.__all__
    if getattr(getattr(nn, name), "__module__", "") in ("fnlearn.nn.activation", "fnlearn.nn.linear")
}
INFOS = [info for info in module_db if info.name.removeprefix("nn.") in SWEPT - {"Bilinear", "Softmax2d"}]

pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("ignore")]


def answers(module, x):
    x = x.detach().clone().requires_grad_()
    out = module(x)
    leaves = {"x": x, **dict(module.named_parameters())}
    grads = torch.autograd.grad(out.sum(), list(leaves.values()))
    return {"out": out.detach(), "grad": dict(zip(leaves, grads, strict=True))}


def jax_answers(layer, module, x, train):
    params = tree.unflatten({name: jnp.asarray(p.detach().numpy()) for name, p in module.named_parameters()})

    def loss(params, x):
        out, _ = layer.apply(params, {}, x, train=train)
        return out.sum(), out

    (_, out), (grads, gx) = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, jnp.asarray(x.detach().numpy()))
    return {"out": out, "grad": {"x": gx, **tree.flatten(grads)}}


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_samples(info, dtype, train):
    np.random.seed(0)
    torch.manual_seed(0)
    tested = 0
    with precision(str(dtype).removeprefix("torch.")):
        for sample in info.module_inputs_func(info, "cpu", dtype, requires_grad=True, training=train):
            given, forward = sample.constructor_input, sample.forward_input
            x = [*forward.args, *forward.kwargs.values()][0]
            module = info.module_cls(*given.args, **given.kwargs).to(dtype).train(train)
            mine = jax_answers(
                getattr(nn, info.name.removeprefix("nn."))(*given.args, **given.kwargs), module, x, train
            )
            wide = answers(copy.deepcopy(module).double(), x.double())
            assert_equivalent(answers(module, x), mine, wide)
            tested += 1
    assert tested
