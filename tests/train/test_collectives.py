"""What is sent, read out of compiled programs, against what mathematics says."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import fnlearn.functional as F
from fnlearn import nn, optim
from fnlearn.train import TrainState, make_step, sharding
from fnlearn.train.collectives import Collective, collectives

NET = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 8))
PARAMETERS = 16 * 64 + 64 + 64 * 8 + 8


def compiled(axes, rules=(), fsdp=None):
    def loss_fn(params, buffers, batch, key):
        out, buffers = NET.apply(params, buffers, batch[0])
        return F.mse_loss(out, batch[1]), (buffers, {})

    over = sharding.mesh(axes, jax.devices("cpu"))
    params, buffers = NET.init(jax.random.key(0))
    state = TrainState.create(params, optim.sgd(0.1), buffers)
    places = sharding.layout(state, over, rules, fsdp, least=1)
    rows = sharding.batches(over, "data" if "data" in axes else ())
    batch = [jax.ShapeDtypeStruct((8, width), jnp.float32, sharding=rows) for width in (16, 8)]
    given = jax.tree.map(lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), state, places)
    return sharding.jitted(make_step(loss_fn, optim.sgd(0.1)), places).lower(given, batch).compile()


def sent(kinds, found):
    return sum(each.sent for each in found if each.kind in kinds)


@pytest.mark.parametrize("devices", [2, 4])
def test_data_parallel_sums_every_gradient_once(devices):
    found = collectives(compiled({"data": devices}))
    assert {each.kind for each in found} == {"all-reduce"}
    assert {each.devices for each in found} == {devices}
    assert sent(["all-reduce"], found) == 4 * (PARAMETERS + 1) * 2 * (devices - 1) / devices  # and the loss


def test_tensor_parallel_sums_what_comes_out():
    rules = [(r"0\.weight", PartitionSpec("model")), (r"0\.bias", PartitionSpec("model")),
             (r"2\.weight", PartitionSpec(None, "model"))]  # fmt: skip
    found = collectives(compiled({"model": 4}, rules))
    assert [(each.kind, each.bytes, each.devices) for each in found] == [("all-reduce", 4 * 8 * 8, 4)]


def test_a_loop_counts_as_often_as_it_runs():
    over = sharding.mesh({"model": 4}, jax.devices("cpu"))
    shapes = {(5, 64, 16): PartitionSpec(None, "model"), (5, 16, 64): PartitionSpec(None, None, "model")}
    w = [jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(over, p)) for shape, p in shapes.items()]

    def loop(*w):
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w[0].T) @ w[1].T, None), jnp.ones((8, 16)), w)[0]

    (found,) = collectives(jax.jit(loop).lower(*w).compile())
    assert found == Collective("all-reduce", 4 * 8 * 16, 4, 5)
    assert found.sent == 5 * 512 * 2 * 3 / 4


TEXT = """HloModule jit_f, num_partitions=8

%body (p: f32[4]) -> f32[4] {
  %s = (f32[16]{0}, f32[128]{0}) all-gather-start(%x), replica_groups=[1,8]<=[8], dimensions={0}
  %d = f32[128]{0} all-gather-done(%s)
  ROOT %r = bf16[8]{0} reduce-scatter(%y), replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%add
}

%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %c = f32[] add(%a, %b)
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %w = f32[4]{0} while(%t), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %o = (f32[2,4]{1,0}, /*index=1*/pred[8]{0}) all-to-all(%u, %v), replica_groups=mesh['a'=2,'b'=4] {'a','b'}
  ROOT %p = s4[10]{0} collective-permute(%w), source_target_pairs={{0,1},{1,0}}
}
"""


def test_every_form_in_which_xla_writes_them():
    found = {each.kind: each for each in collectives(TEXT)}
    assert found == {
        "all-to-all": Collective("all-to-all", 40, 8, 1),
        "collective-permute": Collective("collective-permute", 5, 8, 1),
        "all-gather": Collective("all-gather", 512, 8, 3),
        "reduce-scatter": Collective("reduce-scatter", 2 * 8 * 4, 4, 3),
    }
    assert found["all-gather"].sent == 3 * 512 * 7 / 8
    assert found["reduce-scatter"].sent == 3 * 64 * 3 / 4
    assert found["collective-permute"].sent == 5
    assert collectives("HloModule nothing") == []
