"""A port as a flax module, and with the weights of checkpoints."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from torch import nn

from fnlearn import equivalence, port, tree
from tests.port import models

CASES = models.cases()


@pytest.fixture(autouse=True)
def promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def ported(name):
    module, inputs, _ = CASES[name]
    return port.convert(module, inputs), [jnp.asarray(tree.as_numpy(x)) for x in jax.tree.leaves(inputs)]


@pytest.mark.parametrize("train", [False, True])
def test_the_flax_module_is_the_port(train):
    made, inputs = ported("pictures")
    model = made.to_nnx()
    key = jax.random.key(0)
    out, after = made.apply(made.params, made.buffers, *inputs, train=train, key=key)
    assert (model(*inputs, train=train, key=key) == out).all()
    kept = {".".join(map(str, path[1:])): x[...] for path, x in nnx.to_flat_state(nnx.state(model, nnx.BatchStat))}
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), kept, tree.flatten(after)))


def test_the_flax_module_is_trained_as_any_other():
    made, inputs = ported("pictures")
    model = made.to_nnx()
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    names = {".".join(map(str, path[1:])) for path, _ in nnx.to_flat_state(nnx.state(model, nnx.Param))}
    assert names == set(tree.flatten(made.params))

    @nnx.jit
    def step(model, optimizer):
        loss = lambda model: (model(*inputs, train=True, key=jax.random.key(0)) ** 2).mean()  # noqa: E731
        value, grads = nnx.value_and_grad(loss)(model)
        optimizer.update(model, grads)
        return value

    first, *_, last = [step(model, optimizer) for _ in range(5)]
    assert last < first


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.rand(3), persistent=False)
        self.register_buffer("shift", torch.rand(3))

    def forward(self, ids):
        return self.head(self.embed(ids) * self.scale + self.shift)


@pytest.mark.parametrize("name", ["embed.weight", "head.weight"])
def test_a_checkpoint_by_its_names(tmp_path, name):
    torch.manual_seed(0)
    ids = torch.randint(0, 5, (2, 4))
    made = port.convert(Tied(), (ids,))
    weights, shift = np.random.default_rng(0).random((5, 3), "float32"), np.ones(3, "float32")
    tree.save(tmp_path / "one.safetensors", {name: weights})
    tree.save(tmp_path / "two.safetensors", {"shift": shift})
    loaded = made.load(tmp_path)
    assert (loaded.params["embed"]["weight"] == weights).all()
    both = equivalence.pair(loaded.original, loaded.apply, loaded.params, loaded.buffers)
    assert equivalence.forward(both, (ids,)).ok
    assert (made.params["embed"]["weight"] != weights).any()


def test_a_checkpoint_that_does_not_fit(tmp_path):
    made = port.convert(Tied(), (torch.zeros(1, 2, dtype=torch.long),))
    tree.save(tmp_path / "x.safetensors", {"embed.weight": np.ones((4, 3), "float32"), "other": np.ones(1)})
    with pytest.raises(ValueError, match=r"missing: shift\n.*unexpected: other\n.*wrong shape: embed.weight"):
        made.load(tmp_path / "x.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no .safetensors"):
        made.load(tmp_path / "empty")
