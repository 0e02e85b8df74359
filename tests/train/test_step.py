"""What a step can do beside the plain update, each against torch's own: accumulation, clipping, averages, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fnlearn.functional as F
from fnlearn import nn, optim, tree
from fnlearn.equivalence import assert_equivalent
from fnlearn.train import LossScale, TrainState, make_step

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((5, 12, 3)), RNG.standard_normal((5, 12, 1))
NET = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
PARAMS, BUFFERS = NET.init(jax.random.key(0))
LR = 0.1


def loss_fn(params, buffers, batch, key):
    x, y = batch
    out, buffers = NET.apply(params, buffers, x, train=True, key=key)
    return F.mse_loss(out, y), (buffers, {"error": F.l1_loss(out, y)})


def torch_net():
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    net.load_state_dict({name: torch.tensor(np.asarray(x)).double() for name, x in tree.flatten(PARAMS).items()})
    return net, torch.optim.SGD(net.parameters(), LR, momentum=0.9)


def batches(dtype=jnp.float64):
    return [(jnp.asarray(x, dtype), jnp.asarray(y, dtype)) for x, y in zip(X, Y, strict=True)]


def run(state_options=None, **options):
    """Five steps; every metric over them, and the state in the end."""
    optimizer = optim.sgd(LR, momentum=0.9)
    params = jax.tree.map(lambda x: x.astype(jnp.float64), PARAMS)
    state = TrainState.create(params, optimizer, BUFFERS, **(state_options or {}))
    step, told = jax.jit(make_step(loss_fn, optimizer, **options)), []
    for batch in batches():
        state, metrics = step(state, batch)
        told.append(metrics)
    return state, jax.tree.map(lambda *x: jnp.stack(x), *told)


def torch_run(parts=1, clip=None, averaged=None):
    net, optimizer = torch_net()
    losses, norms = [], []
    for x, y in zip(torch.tensor(X), torch.tensor(Y), strict=True):
        optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for rows in zip(x.chunk(parts), y.chunk(parts), strict=True):
            loss = torch.nn.functional.mse_loss(net(rows[0]), rows[1]) / parts
            loss.backward()
            total += loss.detach()
        if clip is not None:
            norms.append(torch.nn.utils.clip_grad_norm_(net.parameters(), clip))
        optimizer.step()
        if averaged is not None:
            averaged.update_parameters(net)
        losses.append(total)
    return net, torch.stack(losses), norms


def same_weights(net, params):
    assert_equivalent({n: tree.as_numpy(p) for n, p in net.named_parameters()}, tree.flatten(params))


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_accumulated_gradients_are_torchs(parts, x64):
    net, losses, _ = torch_run(parts)
    state, metrics = run(accumulate=parts)
    assert_equivalent(losses.numpy(), metrics["loss"])
    assert metrics["error"].shape == (5,)
    same_weights(net, state.params)


def test_clipped_gradients_are_torchs(x64):
    net, losses, norms = torch_run(clip=0.3)
    state, metrics = run(clip=0.3)
    assert float(metrics["grad_norm"].max()) > 0.3
    assert_equivalent((losses.numpy(), torch.stack(norms).numpy()), (metrics["loss"], metrics["grad_norm"]))
    same_weights(net, state.params)


def test_averages_are_those_of_torchs_averaged_model(x64):
    begin, _ = torch_net()
    averaged = torch.optim.swa_utils.AveragedModel(
        begin, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=False
    )
    averaged.update_parameters(begin)  # it begins with what it is given first
    torch_run(averaged=averaged)
    state, _ = run({"ema": True}, ema=0.9)
    same_weights(averaged.module, state.ema)


def test_rematerialised_gradients_are_the_same(x64):
    plain, again, chosen = (
        run(remat=remat)[0] for remat in (False, True, jax.checkpoint_policies.dots_with_no_batch_dims_saveable)
    )
    assert_equivalent(jax.device_get(plain.params), again.params)
    assert_equivalent(jax.device_get(plain.params), chosen.params)


def test_remat_keeps_no_activations():
    saved = []
    for remat in (False, True):
        optimizer = optim.sgd(LR)
        state = TrainState.create(PARAMS, optimizer)
        step = make_step(loss_fn, optimizer, remat=remat)
        text = str(jax.make_jaxpr(step)(state, batches(jnp.float32)[0]))
        saved.append(text.count("tanh"))
    assert saved == [1, 2]  # what is not kept is computed twice


# narrow numbers


class Half(torch.nn.Module):
    """Halves a float32 product, as autocast does, and grows what it is told to."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        return (x.half() * self.weight.half()).float()


FACTORS = [1.0, 1.0, 1.0, 1e4, 1.0, 1.0, 1.0, 1e4, 1.0, 1.0]  # of the loss: some overflow


def half_loss(params, buffers, batch, key):
    x, factor = batch
    out = (x * params["weight"]).astype(jnp.float32)
    return out.mean() * factor.astype(jnp.float32), (buffers, {})


@pytest.mark.parametrize("start", [2.0**3, 2.0**12, 2.0**16])
def test_the_loss_scale_goes_torchs_way(start):
    net, x = Half(), torch.tensor([1.0, 2.0, 3.0])
    theirs = torch.optim.SGD(net.parameters(), LR)
    scaler = torch.amp.GradScaler("cpu", init_scale=start, growth_interval=2)
    optimizer = optim.sgd(LR)
    scale = LossScale.create(start, growth_interval=2)
    state = TrainState.create({"weight": jnp.ones(3)}, optimizer, loss_scale=scale)
    step = jax.jit(make_step(half_loss, optimizer, precision="float16"))
    skipped = []
    for factor in FACTORS:
        theirs.zero_grad()
        scaler.scale(net(x).mean() * factor).backward()
        scaler.step(theirs)
        scaler.update()
        state, metrics = step(state, (jnp.asarray(x.numpy()), jnp.float16(factor)))
        skipped.append(bool(metrics["skipped"]))
        assert state.loss_scale is not None
        assert scaler.get_scale() == float(state.loss_scale.scale)
        assert_equivalent(net.weight.detach().numpy(), state.params["weight"])
    assert any(skipped) or start < 100


def test_a_skipped_step_leaves_everything_but_the_scale():
    optimizer = optim.adam(LR)
    state = TrainState.create({"weight": jnp.ones(3)}, optimizer, ema=True, loss_scale=LossScale.create(2.0**30))
    step = jax.jit(make_step(half_loss, optimizer, precision="float16", ema=0.5))
    after, metrics = step(state, (jnp.ones(3), jnp.float16(60000)))
    assert bool(metrics["skipped"])
    for name in ("params", "opt_state", "ema"):
        same = jax.tree.map(lambda a, b: bool((a == b).all()), getattr(state, name), getattr(after, name))
        assert jax.tree.all(same)
    assert int(after.step) == 1


def test_bfloat16_computes_narrow_and_keeps_float32():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
    params, buffers = net.init(jax.random.key(0))
    seen = []

    def loss(params, buffers, batch, key):
        out, after = net.apply(params, buffers, batch[0], train=True, key=key)
        seen.append((jax.tree.leaves(params)[0].dtype, out.dtype))
        return F.mse_loss(out, batch[1]), (after, {})

    optimizer = optim.adam(0.01)
    state = TrainState.create(params, optimizer, buffers)
    steps = {p: jax.jit(make_step(loss, optimizer, precision=p)) for p in (None, "bfloat16")}
    (wide, _), (narrow, metrics) = (step(state, batches(jnp.float32)[0]) for step in steps.values())
    assert seen[-1] == (jnp.bfloat16, jnp.bfloat16)
    assert {x.dtype for x in jax.tree.leaves(narrow.params)} == {jnp.dtype("float32")}
    assert metrics["loss"].dtype == jnp.float32
    assert str(jax.tree.structure(narrow)) == str(jax.tree.structure(state))
    assert jax.tree.map(lambda x: x.dtype, narrow.buffers) == jax.tree.map(lambda x: x.dtype, state.buffers)
    apart = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), wide.params, narrow.params)
    assert max(jax.tree.leaves(apart)) < 0.03  # of steps of 0.01 each way


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"clip": 0.0}, "clip must be a positive norm"),
        ({"ema": 1.0}, "ema must be a decay"),
        ({"precision": "float8"}, "precision must be one of bfloat16, float16"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        make_step(loss_fn, optim.sgd(LR), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": 5}, "rows that make 5 equal parts"),
        ({"ema": 0.9}, "ema needs averages in the state"),
        ({"precision": "float16"}, "without a loss scale"),
    ],
)
def test_states_and_batches_that_lack_something(options, message):
    optimizer = optim.sgd(LR)
    state = TrainState.create(PARAMS, optimizer)
    with pytest.raises(ValueError, match=message):
        make_step(loss_fn, optimizer, **options)(state, batches(jnp.float32)[0])


def test_metrics_by_the_steps_own_names_are_refused():
    optimizer = optim.sgd(LR)

    def named(*args):
        return loss_fn(*args)[0], ({}, {"grad_norm": jnp.zeros(())})

    state = TrainState.create(PARAMS, optimizer)
    with pytest.raises(ValueError, match="must not name a metric 'grad_norm'"):
        make_step(named, optimizer, clip=1.0)(state, batches(jnp.float32)[0])


def test_scales_out_of_range():
    with pytest.raises(ValueError, match="growth_factor must be above 1"):
        LossScale.create(growth_factor=1.0)
