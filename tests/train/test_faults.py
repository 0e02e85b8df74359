"""Numbers that are not finite: the layer that made the first, and steps that are skipped, stopped at or taken back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnlearn.functional as F
from fnlearn import nn, optim, tree
from fnlearn.equivalence import assert_equivalent
from fnlearn.train import LossScale, TrainingError, TrainState, find_nonfinite, fit, make_step
from fnlearn.train.checkpoint import Checkpoints
from fnlearn.train.faults import guarded

W = {"layer": {"w": jnp.ones(2)}}


def scanned(params, x):
    def body(h, w):
        return jnp.exp(h * w) * 30, None  # overflows in round 2

    return jax.lax.scan(body, x, params["blocks"])[0].sum()


@jax.custom_vjp
def custom(w):
    return jnp.log(w)


custom.defvjp(lambda w: (custom(w), w), lambda w, g: (g / w,))


def where(p, x):
    return jnp.where(x > 0, jnp.sqrt(x * p["layer"]["w"]), 0.0).sum()


def masked(p, x):
    return jax.nn.softmax(jnp.where(x > 5, p["layer"]["w"] * x, -jnp.inf)).sum()


def two_layers(p, x):
    return jnp.square(jnp.exp(x * p["a"]["w"]) * p["b"]["w"]).sum()


X = jnp.array([0.0, 1.0])
FOUND = [  # a function, its parameters and input, and: the operation, what it made, the names, backward, rounds
    ("log", lambda p, x: jnp.log(p["layer"]["w"] - 1).sum(), W, X, ("log", "inf", ("layer.w",), False, ())),
    ("an input", lambda p, x: (p["layer"]["w"] * x).sum(), W, X / 0, ("input", "nan", ("argument 1",), False, ())),
    ("the first layer", two_layers, {"a": {"w": jnp.full(2, 99.0)}, "b": {"w": jnp.ones(2)}}, X,
     ("exp", "inf", ("a.w",), False, ())),
    ("the second layer", two_layers, {"a": {"w": jnp.ones(2)}, "b": {"w": jnp.full(2, 1e30)}}, X,
     ("square", "inf", ("b.w",), False, ())),
    ("a loop", scanned, {"blocks": jnp.ones(5)}, jnp.ones(1), ("exp", "inf", ("blocks",), False, (2,))),
    ("jit and remat", lambda p, x: jax.checkpoint(jax.jit(lambda w: jnp.log(w - 1)))(p["layer"]["w"]).sum(), W, X,
     ("log", "inf", ("layer.w",), False, ())),
    ("a branch", lambda p, x: jax.lax.cond(x[0] > 0, lambda w: w, jnp.log, p["layer"]["w"] - 1).sum(), W, X,
     ("log", "inf", ("layer.w",), False, ())),
    ("a rule of one's own", lambda p, x: custom(p["layer"]["w"] - 1).sum(), W, X,
     ("log", "inf", ("layer.w",), False, ())),
    ("the gradient alone", where, W, X, ("div", "inf", ("layer.w",), False, ())),
    ("the gradient's own operation", lambda p, x: (p["layer"]["w"] * jnp.array([1e30, 1.0])).prod() * 1e30,
     {"layer": {"w": jnp.array([1.0, 0.0])}}, X, ("mul", "inf", ("layer.w",), True, ())),
    ("a row of a mask's infinities", masked, W, X, ("sub", "nan", ("layer.w",), False, ())),
    ("infinities by intent", masked, W, X + 8.5 * X, None),
    ("nothing", lambda p, x: (p["layer"]["w"] * x).sum(), W, X, None),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "params", "x", "expected"), [pytest.param(*c[1:], id=c[0]) for c in FOUND])
def test_what_made_the_first(loss, params, x, expected):
    found = find_nonfinite(jax.value_and_grad(loss), params, x)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert (found.operation, found.made, found.names, found.backward, found.rounds) == expected
    assert found.operation == "input" or f"{__file__}:" in found.line


def forward(net, x):
    x = F.relu(net.first(x))
    return net.last(jnp.log(net.middle(x)))


NET = nn.compose(forward, first=nn.Linear(3, 4), middle=nn.Linear(4, 4), last=nn.Linear(4, 1))
OPTIMIZER = optim.adam(0.01)
PARAMS, _ = NET.init(jax.random.key(0))
PARAMS["middle"] = {"weight": jnp.ones((4, 4)), "bias": jnp.ones(4)}
ROWS = np.random.default_rng(0).uniform(0.5, 1, (12, 3)).astype(np.float32)


def loss_fn(params, buffers, batch, key):
    out, buffers = NET.apply(params, buffers, batch["x"])
    return F.mse_loss(out, jnp.ones_like(out)), (buffers, {})


STEP = make_step(loss_fn, OPTIMIZER)


def start(**options):
    return TrainState.create(PARAMS, OPTIMIZER, **options)


def rows(*bad):
    x = ROWS.copy()
    for i in bad:
        x[i, 1] = np.nan
    return {"x": x}


def batches(*bad):
    x = rows(*bad)["x"]
    return [{"x": x[i : i + 2]} for i in range(0, 12, 2)]


def good(state):
    return all(np.isfinite(x).all() for x in tree.flatten(jax.device_get(state.params)).values())


@pytest.mark.parametrize("data", [rows(5), batches(5)], ids=["arrays", "batches"])
def test_a_bad_step_is_skipped_and_only_that(data):
    """As if its batch had not been there, but for the count of steps."""
    options: dict[str, Any] = {"batch_size": 2} if isinstance(data, dict) else {}
    with pytest.warns(UserWarning, match=r"skipped in epoch 0, batch 2 .*: nan comes in with the batch's x;"):
        state, history = fit(start(), STEP, data, epochs=2, nonfinite="skip", **options)
    assert history["nonfinite"].tolist() == [[i == 2 for i in range(6)]] * 2
    assert int(state.step) == 12
    without, _ = fit(start(), STEP, batches()[:2] + batches()[3:], epochs=2)
    assert_equivalent(jax.device_get(without.params), state.params, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("data", [rows(5), batches(5)], ids=["arrays", "batches"])
def test_training_stops_with_the_state_before(data):
    options: dict[str, Any] = {"batch_size": 2} if isinstance(data, dict) else {}
    with pytest.raises(TrainingError, match=r"stopped in epoch 0, batch 2 .*: nan comes in") as caught:
        fit(start(), STEP, data, epochs=2, nonfinite="stop", **options)
    assert (caught.value.epoch, caught.value.batch, int(caught.value.state.step)) == (0, 2, 2)
    before, _ = fit(start(), STEP, batches()[:2], epochs=1)
    assert_equivalent(jax.device_get(before.params), caught.value.state.params, rtol=1e-6, atol=1e-6)


def test_the_layer_is_named():
    """After it: `log` of what `middle` computed."""
    state = start()
    state = state.replace(params={**state.params, "middle": {"weight": jnp.zeros((4, 4)), "bias": jnp.zeros(4)}})
    with pytest.raises(TrainingError, match=r"'log', at or after the layer of middle.*test_faults.py:\d+, in forward"):
        fit(state, STEP, rows(), epochs=1, nonfinite="stop")


@pytest.mark.parametrize("data", [rows(5), batches(5)], ids=["arrays", "batches"])
def test_rolled_back_to_the_beginning_of_the_epoch(data):
    """And on with the data after it: of arrays the next epoch, which fails too."""
    if isinstance(data, dict):
        with (
            pytest.warns(UserWarning, match=r"back to step 0 from epoch \d, batch 2"),
            pytest.raises(TrainingError, match=r"epoch 3, batch 2 .* after 3 times back to the same state"),
        ):
            fit(start(), STEP, data, epochs=9, nonfinite="rollback", batch_size=2)
        return
    with pytest.warns(UserWarning, match=r"back to step 0 from epoch 0, batch 2"):
        state, history = fit(start(), STEP, data, epochs=1, nonfinite="rollback")
    assert good(state)
    passed = history["nonfinite"][0].tolist()
    assert passed[:3] == [False, False, True]
    alone, _ = fit(start(), STEP, [b for b, p in zip(batches(), passed, strict=True) if not p][2:], epochs=1)
    assert_equivalent(jax.device_get(alone.params), state.params, rtol=1e-6, atol=1e-6)


def test_rolled_back_again():
    """Each time the batch that was computed meanwhile is passed over too."""
    with pytest.warns(UserWarning, match=r"back to step 0 from epoch 0, batch [03]"):
        state, history = fit(start(), STEP, batches(1, 7), epochs=1, nonfinite="rollback")
    assert history["nonfinite"].tolist() == [[True, True, False, True, True, False]]
    assert int(state.step) == 1


@pytest.mark.filterwarnings("ignore")
def test_rolled_back_to_the_newest_checkpoint(tmp_path):
    with Checkpoints(tmp_path) as saved:
        state, history = fit(start(), STEP, batches(9), epochs=1, nonfinite="rollback", checkpoints=saved, save_every=2)
        assert good(state)
        passed = history["nonfinite"][0].tolist()
        assert passed[4]
        assert int(state.step) == 4 + passed[5:].count(False)


def test_a_gradient_that_is_not_finite_is_a_failure_though_the_loss_is():
    optimizer = optim.sgd(0.1)
    step = make_step(lambda p, b, x, key: (jnp.sqrt(p["w"] * x).sum(), (b, {})), optimizer)
    state = TrainState.create({"w": jnp.float32(0)}, optimizer)
    with pytest.raises(TrainingError, match="'div', at or after the layer of w"):
        fit(state, step, jnp.ones(2), epochs=1, nonfinite="stop")


def test_what_a_loss_scale_skips_is_no_failure():
    """The scale goes down, as it does without a guard."""
    optimizer = optim.sgd(0.1)
    step = make_step(lambda p, b, x, key: ((p["w"] * x).sum(), (b, {})), optimizer, precision="float16")
    state = TrainState.create({"w": jnp.float32(1)}, optimizer, loss_scale=LossScale.create(init_scale=2.0**30))
    carried, metrics = jax.jit(guarded(step, True))((state, jnp.bool_(False)), jnp.full(2, 9.0))
    assert (bool(metrics["skipped"]), bool(metrics["nonfinite"]), bool(carried[1])) == (True, False, False)
    assert float(carried[0].loss_scale.scale) == 2.0**29


def test_guarded_steps_are_traced_once():
    traces: list[None] = []

    def counting(params, buffers, batch, key):
        traces.append(None)
        return loss_fn(params, buffers, batch, key)

    step = make_step(counting, OPTIMIZER)
    for _ in range(2):
        fit(start(), step, rows(), epochs=2, nonfinite="stop")
    assert len(traces) == 1
    for _ in range(2):
        fit(start(), step, batches(), epochs=2, nonfinite="skip")
    assert len(traces) == 2


def test_a_bad_choice_is_told():
    with pytest.raises(ValueError, match="nonfinite must be one of None, 'skip', 'stop', 'rollback', got 'halt'"):
        fit(start(), STEP, rows(), epochs=1, nonfinite="halt")


def test_data_that_raises_comes_with_the_state():
    def broken(epoch):
        yield from batches()[:3]
        if epoch == 1:
            raise OSError("the disk is gone")
        yield from batches()[3:]

    with pytest.raises(
        TrainingError, match=r"failed in epoch 1 after 3 batches: OSError\('the disk is gone'\)"
    ) as told:
        fit(start(), STEP, broken, epochs=3)
    assert isinstance(told.value.__cause__, OSError)
    assert int(told.value.state.step) == 9
    assert good(told.value.state)
