"""State, step and loop: torch's trajectory, one trace, donated buffers, and a progress bar that changes nothing."""

import io
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from rich.console import Console

import fnlearn.functional as F
from fnlearn import nn, optim, tree
from fnlearn.equivalence import assert_equivalent
from fnlearn.train import TrainingError, TrainState, fit, log, make_step, prefetch, turns
from tests.reference import precision

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((10, 3)), RNG.standard_normal((10, 1))
NET = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
OPTIMIZER = optim.sgd(0.05, momentum=0.5)  # tame enough that rounding is not amplified from step to step


def loss_fn(params, buffers, batch, key):
    x, y = batch
    prediction, buffers = NET.apply(params, buffers, x, train=True, key=key)
    loss = F.mse_loss(prediction, y)
    return loss, (buffers, {"error": F.l1_loss(prediction, y)})


STEP = make_step(loss_fn, OPTIMIZER)
PARAMS, BUFFERS = NET.init(jax.random.key(0))


def start(key=None):
    return TrainState.create(PARAMS, OPTIMIZER, BUFFERS, key)


def data(dtype="float32"):
    return jnp.asarray(X, dtype), jnp.asarray(Y, dtype)


def torch_run(epochs, batch_size, dtype):
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    net.load_state_dict({name: torch.tensor(np.asarray(value)) for name, value in tree.flatten(PARAMS).items()})
    net = net.to(getattr(torch, dtype))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
    x, y = torch.tensor(X, dtype=getattr(torch, dtype)), torch.tensor(Y, dtype=getattr(torch, dtype))
    losses = []
    for _ in range(epochs):
        for rows in zip(x.split(batch_size), y.split(batch_size), strict=True):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(net(rows[0]), rows[1])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    return {"loss": torch.stack(losses), **net.state_dict()}


@pytest.mark.parametrize("batch_size", [None, 3, 5, 10, 99])
def test_losses_and_weights_are_torchs(batch_size):
    """Whole batches, batches that divide the rows, and batches that leave a smaller one."""

    def run(dtype):
        with precision(dtype):
            params = jax.tree.map(lambda x: jnp.asarray(x, dtype), PARAMS)
            state = TrainState.create(params, OPTIMIZER)
            state, history = fit(state, STEP, data(dtype), epochs=30, batch_size=batch_size)
            assert int(state.step) == history["loss"].size
            return {"loss": history["loss"].ravel(), **tree.flatten(state.params)}

    size = min(batch_size or 10, 10)
    wide = torch_run(30, size, "float64")
    assert_equivalent(torch_run(30, size, "float32"), run("float32"), wide)
    assert_equivalent(wide, run("float64"), rtol=1e-12, atol=1e-12)


def test_history_holds_every_metric_of_every_step():
    _, history = fit(start(), STEP, data(), epochs=3, batch_size=4)
    assert {name: value.shape for name, value in history.items()} == {"loss": (3, 3), "error": (3, 3)}
    assert all(isinstance(value, np.ndarray) for value in history.values())
    np.testing.assert_allclose(history["loss"][0, 0], loss_fn(PARAMS, {}, [x[:4] for x in data()], None)[0], rtol=1e-6)


def test_shuffling_visits_every_row_once_and_in_a_new_order_each_epoch():
    seen_step = make_step(
        lambda params, buffers, batch, key: (params["w"] * 0.0, (buffers, {"row": batch["row"]})), optim.sgd(0.1)
    )
    state = TrainState.create({"w": jnp.float32(1)}, optim.sgd(0.1))
    rows = {"row": jnp.arange(10)}
    _, history = fit(state, seen_step, rows, epochs=4, batch_size=5, shuffle=jax.random.key(0))
    orders = history["row"].reshape(4, 10)
    assert [sorted(order) for order in orders.tolist()] == [list(range(10))] * 4
    assert len({tuple(order) for order in orders.tolist()}) == 4


def test_the_progress_bar_changes_no_number(monkeypatch):
    """It moves between calls of the same compiled epochs, uneven ones included, and shows the loss."""
    screen = io.StringIO()
    bar = log._bar
    monkeypatch.setattr(log, "_bar", lambda shown: _on(bar(shown), screen))
    plain_state, plain = fit(start(), STEP, data(), epochs=47, batch_size=4, shuffle=jax.random.key(1))
    state, history = fit(start(), STEP, data(), epochs=47, batch_size=4, shuffle=jax.random.key(1), progress=True)
    for name in plain:
        np.testing.assert_array_equal(plain[name], history[name])
    assert_equivalent(plain_state.params, state.params, rtol=0, atol=0)
    assert "47/47" in screen.getvalue()
    assert f"loss {history['loss'][-1].mean():.4g}" in screen.getvalue()


def _on(progress, file):
    progress.live.console = Console(file=file, force_terminal=True, width=120)
    return progress


def test_the_state_given_is_donated_and_the_parameters_it_was_made_of_are_not():
    state = start()
    fit(state, STEP, data(), epochs=2)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(PARAMS))


def test_a_second_run_of_the_same_shape_traces_nothing():
    traces: list[None] = []

    def counting(params, buffers, batch, key):
        traces.append(None)
        return loss_fn(params, buffers, batch, key)

    step = make_step(counting, OPTIMIZER)
    for _ in range(3):
        fit(start(), step, data(), epochs=5)
    assert len(traces) == 1


def test_randomness_comes_from_the_states_key_and_differs_from_step_to_step():
    def noisy(params, buffers, batch, key):
        return params["w"] * 0.0, (buffers, {"draw": jax.random.uniform(key)})

    optimizer = optim.sgd(0.1)
    step = make_step(noisy, optimizer)

    def draws(seed):
        state = TrainState.create({"w": jnp.float32(1)}, optimizer, key=jax.random.key(seed))
        return fit(state, step, data(), epochs=3, batch_size=5)[1]["draw"]

    assert len(set(draws(0).ravel().tolist())) == 6
    np.testing.assert_array_equal(draws(0), draws(0))
    assert not np.array_equal(draws(0), draws(1))


def test_buffers_are_carried_from_step_to_step():
    def counting(params, buffers, batch, key):
        return params["w"] * 0.0, ({"seen": buffers["seen"] + batch.shape[0]}, {})

    optimizer = optim.sgd(0.1)
    state = TrainState.create({"w": jnp.float32(1)}, optimizer, {"seen": jnp.int32(0)})
    state, _ = fit(state, make_step(counting, optimizer), jnp.ones((10, 1)), epochs=3, batch_size=4)
    assert int(state.buffers["seen"]) == 30


def test_a_step_is_a_pure_function_of_its_own():
    """It can be jitted, and leaves what it is given as it was."""
    state = start()
    after, metrics = jax.jit(STEP)(state, data())
    assert int(state.step) == 0
    assert int(after.step) == 1
    assert set(metrics) == {"loss", "error"}
    assert_equivalent(PARAMS, state.params, rtol=0, atol=0)


def test_the_step_hands_the_loss_to_optimizers_that_want_it():
    seen: dict[str, Any] = {}

    def update(updates, state, params=None, *, value, **extra):
        seen.update(value=value, grad=extra["grad"])
        return updates, state

    optimizer = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    state = TrainState.create(PARAMS, optimizer)
    _, metrics = make_step(loss_fn, optimizer)(state, data())
    np.testing.assert_array_equal(seen["value"], metrics["loss"])
    assert list(tree.flatten(seen["grad"])) == sorted(tree.flatten(PARAMS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": 1, "batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"epochs": 1, "steps_per_epoch": 0}, "steps_per_epoch must be at least 1, got 0"),
        ({"epochs": 1, "steps_per_epoch": 2}, "steps_per_epoch is for batches that come one after the other"),
        ({"epochs": 1, "data": (jnp.ones((2, 1)), jnp.ones((3, 1)))}, r"one leading length .* \[\(2, 1\), \(3, 1\)\]"),
        ({"epochs": 1, "data": jnp.ones((0, 3))}, "one leading length above 0"),
        ({"epochs": 1, "data": jnp.float32(1)}, "one leading length above 0"),
        ({"epochs": 1, "data": ()}, "one leading length above 0"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit(start(), STEP, **{"data": data(), **arguments})


def test_a_metric_named_loss_is_refused():
    step = make_step(lambda p, b, batch, key: (F.mse_loss(p["w"], batch), (b, {"loss": jnp.float32(0)})), OPTIMIZER)
    with pytest.raises(ValueError, match="must not name a metric 'loss'"):
        step(TrainState.create({"w": jnp.ones(2)}, OPTIMIZER), jnp.ones(2))


# batches that come one after the other


def batches_of(rows):
    x, y = data()
    return [(x[i : i + rows], y[i : i + rows]) for i in range(0, 10, rows)]


def same_run(one, other):
    (state, history), (after, told) = one, other
    assert_equivalent(jax.device_get(state.params), after.params)
    assert_equivalent(history, told)


def test_a_list_of_batches_is_what_arrays_are():
    same_run(fit(start(), STEP, data(), epochs=3, batch_size=4), fit(start(), STEP, batches_of(4), epochs=3))


def test_a_loader_of_torchs_as_it_is():
    rows = torch.utils.data.TensorDataset(torch.tensor(X).float(), torch.tensor(Y).float())
    loader = torch.utils.data.DataLoader(rows, batch_size=4)
    same_run(fit(start(), STEP, data(), epochs=2, batch_size=4), fit(start(), STEP, loader, epochs=2))


def test_after_each_epoch_one_can_look_and_stop():
    seen: list[Any] = []

    def look(epoch, state, history):
        seen.append((epoch, int(state.step), history["loss"].shape))
        return epoch == 1

    for source, rows in ((data(), 4), (batches_of(4), None)):
        seen.clear()
        state, history = fit(start(), STEP, source, epochs=5, after_epoch=look, batch_size=rows)
        assert seen == [(0, 3, (1, 3)), (1, 6, (1, 3))]
        assert history["loss"].shape == (2, 3)
        assert int(state.step) == 6


def test_shuffled_epochs_are_the_same_with_and_without_a_look():
    options: dict[str, Any] = {"epochs": 4, "batch_size": 4, "shuffle": jax.random.key(0)}
    same_run(fit(start(), STEP, data(), **options), fit(start(), STEP, data(), **options, after_epoch=lambda *_: None))


def test_iterators_that_end_or_change():
    with pytest.raises(ValueError, match="the iterator has no batches"):
        fit(start(), STEP, iter([]), epochs=2)
    with pytest.raises(TrainingError, match="has no batches in epoch 1: give a list or a loader"):
        fit(start(), STEP, iter(batches_of(4)), epochs=2)
    with pytest.raises(ValueError, match="batch_size and shuffle are for arrays"):
        fit(start(), STEP, batches_of(4), epochs=1, batch_size=2)

    class Shrinks:
        def __init__(self):
            self.left = 3

        def __iter__(self):
            self.left -= 1
            return iter(batches_of(5)[: self.left])

    _, history = fit(start(), STEP, Shrinks(), epochs=2)
    assert np.isnan(history["loss"]).tolist() == [[False, False], [False, True]]


def test_what_an_iterator_raises_comes_after_the_batches_before_it():
    def broken():
        yield from batches_of(5)
        raise OSError("the disk is gone")

    ahead = prefetch(broken())
    assert [len(next(ahead)[0]) for _ in range(2)] == [5, 5]
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)


def test_batches_are_made_ahead():
    made, at_work = [], []

    def source():
        for i in range(6):
            made.append(i)
            yield np.float32(i)

    for batch in prefetch(source(), size=2):
        at_work += [(int(batch), len(made))]
    assert at_work == [(0, 3), (1, 4), (2, 5), (3, 6), (4, 6), (5, 6)]
    with pytest.raises(ValueError, match="size must be at least 1"):
        next(prefetch([], size=0))


def test_other_shapes_are_told():
    x, y = data()
    odd = [(x[:n], y[:n]) for n in (4, 4, 3, 2)]
    with pytest.warns(UserWarning, match=r"float32\[2, 3\], float32\[2, 1\] after float32\[3, 3\]"):
        fit(start(), STEP, odd, epochs=1)


# epochs of some steps


def endlessly():
    while True:
        yield from batches_of(4)


def test_epochs_of_some_steps_of_data_that_does_not_end():
    seen: list[Any] = []
    look = lambda epoch, state, history: seen.append((epoch, int(state.step), history["loss"].shape))  # noqa: E731
    source = endlessly()
    one = fit(start(), STEP, source, epochs=3, steps_per_epoch=2, after_epoch=look)
    assert seen == [(0, 2, (1, 2)), (1, 4, (1, 2)), (2, 6, (1, 2))]
    state, history = fit(start(), STEP, data(), epochs=2, batch_size=4)
    same_run(one, (state, {name: x.reshape(3, 2) for name, x in history.items()}))
    assert len(next(source)[0]) == 4, "no batch is taken that no step needs"


def test_data_that_ends_is_begun_again():
    """A list, and a function, which is told the round; an epoch may be longer than a round."""
    rounds: list[int] = []

    def told(number):
        rounds.append(number)
        return batches_of(4)

    wanted = fit(start(), STEP, endlessly(), epochs=2, steps_per_epoch=4)
    for source in (batches_of(4), told):
        same_run(fit(start(), STEP, source, epochs=2, steps_per_epoch=4), wanted)
    assert rounds == [0, 1, 2]
    with pytest.raises(TrainingError, match="no batches in round 1: give a list or a loader"):
        fit(start(), STEP, iter(batches_of(4)), epochs=2, steps_per_epoch=2)


# convolutions on a CPU

CNN = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 1))


def cnn_loss(params, buffers, batch, key):
    out, buffers = CNN.apply(params, buffers, batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape), train=True)
    return F.mse_loss(out, batch["y"]), (buffers, {"out": out[0], "error": jnp.abs(out - batch["y"]).max()})


CNN_STEP = make_step(cnn_loss, OPTIMIZER)
IMAGES = {"x": jnp.asarray(RNG.standard_normal((10, 1, 4, 4)), "float32"), "y": data()[1]}


def cnn_start():
    return TrainState.create(*CNN.init(jax.random.key(0))[:1], OPTIMIZER, {}, jax.random.key(1))


class Loop:
    """The compiled epochs, which may be looked at or run."""

    def __init__(self, loop, runs):
        self.trace, self.loop, self.runs = loop.trace, loop, runs

    def __call__(self, *args, **kwargs):
        self.runs.append(None)
        return self.loop(*args, **kwargs)


@pytest.mark.parametrize("options", [{}, {"batch_size": 4}, {"batch_size": 4, "shuffle": jax.random.key(0)}])
@pytest.mark.parametrize("nonfinite", [None, "skip"])
def test_a_step_that_convolves_is_not_in_a_loop_on_a_cpu(monkeypatch, options, nonfinite):
    """Where it is many times slower; the run is the same."""
    runs: list[None] = []
    monkeypatch.setattr(turns, "_epochs", Loop(turns._epochs, runs))
    options |= {"epochs": 3, "nonfinite": nonfinite}
    apart = fit(cnn_start(), CNN_STEP, IMAGES, **options)
    assert not runs
    fit(start(), STEP, data(), epochs=3)
    assert runs
    monkeypatch.setattr(turns, "_apart", lambda *_: False)
    looped = fit(cnn_start(), CNN_STEP, IMAGES, **options)
    same_run(apart, looped)
    shapes = [{name: (x.shape, x.dtype) for name, x in history.items()} for _, history in (apart, looped)]
    assert shapes[0] == shapes[1]


def test_a_step_is_traced_for_it_once():
    traces: list[None] = []

    def counting(*args):
        traces.append(None)
        return cnn_loss(*args)

    step = make_step(counting, OPTIMIZER)
    for _ in range(3):
        fit(cnn_start(), step, IMAGES, epochs=2)
    assert len(traces) == 2, "in the loop, which is looked at, and by itself"
