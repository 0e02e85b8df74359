"""The same run on one device and on four, for each layout, and how much each device holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import fnlearn.functional as F
from fnlearn import nn, optim
from fnlearn.equivalence import assert_equivalent
from fnlearn.train import TrainState, make_step, prefetch, sharding

RNG = np.random.default_rng(0)
BATCHES = [(np.float32(RNG.standard_normal((8, 16))), np.float32(RNG.standard_normal((8, 8)))) for _ in range(4)]
NET = nn.compose(
    lambda net, x: net.down(F.relu(net.norm(net.up(x)))),
    up=nn.Linear(16, 64, bias=False), norm=nn.BatchNorm1d(64), down=nn.Linear(64, 8),
)  # fmt: skip
OPTIMIZER = optim.adamw(0.01)
RULES = [(r"up\.weight", PartitionSpec("model")), (r"norm\.(weight|bias)", PartitionSpec("model")),
         (r"down\.weight", PartitionSpec(None, "model"))]  # fmt: skip


def loss_fn(params, buffers, batch, key):
    x, y = batch
    out, buffers = NET.apply(params, buffers, x, train=True)
    return F.mse_loss(out, y), (buffers, {})


STEP = make_step(loss_fn, OPTIMIZER, clip=1.0)


def start():
    params, buffers = NET.init(jax.random.key(0))
    return TrainState.create(params, OPTIMIZER, buffers, jax.random.key(1))


def mesh(data, model):
    return sharding.mesh({"data": data, "model": model}, jax.devices("cpu"))  # the four of conftest.py


LAYOUTS = {
    "data parallel": ((4, 1), {}),
    "fully sharded": ((4, 1), {"fsdp": "data", "least": 1}),
    "tensor parallel": ((1, 4), {"rules": RULES}),
    "all of them": ((2, 2), {"rules": RULES, "fsdp": "data", "least": 1}),
}


def run(shape, options):
    over = mesh(*shape)
    state = start()
    places = sharding.layout(state, over, **options)
    state, losses = sharding.place(state, places), []
    step = sharding.jitted(STEP, places)
    for batch in prefetch(BATCHES, sharding=sharding.batches(over)):
        state, metrics = step(state, batch)
        losses.append(metrics["loss"])
    return state, jnp.stack(jax.device_get(losses))


@pytest.fixture(scope="module")
def alone():
    state, losses = start(), []
    step = jax.jit(STEP)
    for batch in BATCHES:
        state, metrics = step(state, batch)
        losses.append(metrics["loss"])
    return state, jnp.stack(losses)


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_trains_as_one_device_does(name, alone):
    state, losses = run(*LAYOUTS[name])
    assert_equivalent(jax.device_get(alone[1]), losses, rtol=1e-5, atol=1e-6)
    assert_equivalent(jax.device_get(alone[0].params), jax.device_get(state.params), rtol=1e-4, atol=1e-5)
    assert_equivalent(jax.device_get(alone[0].buffers), jax.device_get(state.buffers), rtol=1e-5, atol=1e-6)


def test_each_device_holds_its_share():
    held = {}
    for name, (shape, options) in LAYOUTS.items():
        state, _ = run(shape, options)
        split = (state.params, state.opt_state)
        held[name] = max(sharding.bytes_per_device(split).values()) / sum(x.nbytes for x in jax.tree.leaves(split))
    assert held["data parallel"] == 1
    assert held["fully sharded"] == pytest.approx(0.25, abs=0.01)
    assert held["tensor parallel"] < 0.4  # what no rule names is whole on every device
    assert held["all of them"] == pytest.approx(0.25, abs=0.05)


def test_a_rule_for_a_parameter_places_its_averages_too():
    over = mesh(2, 2)
    places = sharding.layout(start(), over, RULES, fsdp="data")
    found = {
        name: place.spec for name, place in optim.grouping.named_leaves(places)
        if name.endswith("up.weight") and "opt_state" in name
    }  # fmt: skip
    assert len(found) >= 2
    assert set(found.values()) == {PartitionSpec("model", "data")}


def test_small_arrays_stay_whole():
    places = sharding.layout(start(), mesh(4, 1), fsdp="data")
    assert places.params["norm"]["bias"].spec == PartitionSpec(None)
    assert places.params["up"]["weight"].spec == PartitionSpec("data", None)


def test_what_does_not_fit():
    over = mesh(4, 1)
    with pytest.raises(ValueError, match="fsdp must be one of the mesh's axes"):
        sharding.layout(start(), over, fsdp="rows")
    with pytest.raises(ValueError, match="no axis rows in the mesh"):
        sharding.layout(start(), over, [("weight", PartitionSpec("rows"))])
    with pytest.raises(ValueError, match=r"dimension 0 of shape \(6,\) does not divide by 'data'"):
        sharding.layout({"x": jnp.zeros(6)}, over, [("x", PartitionSpec("data"))])
    with pytest.raises(ValueError, match="no axis rows"):
        sharding.batches(over, "rows")
    with pytest.raises(ValueError, match="needs 64 devices"):
        mesh(8, 8)
    assert sharding.batches(over) == NamedSharding(over, PartitionSpec("data"))
