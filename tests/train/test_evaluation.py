"""Metrics over a data set in one trace, and when training stops for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnlearn import optim
from fnlearn.train import EarlyStopping, TrainState, evaluate, evaluation, fit, make_step, metrics

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((11, 3)).astype(np.float32), RNG.integers(0, 3, 11)
STATE = {"w": jnp.asarray(RNG.standard_normal((3, 3)), jnp.float32)}
BOTH = metrics.collection({"accuracy": metrics.accuracy(), "f1": metrics.f1(3)})


def expected(rows=slice(None)):
    scores = X[rows] @ np.asarray(STATE["w"])
    told = BOTH.compute(BOTH.update(BOTH.init(), jnp.asarray(scores), jnp.asarray(Y[rows])))
    return pytest.approx({name: float(x) for name, x in told.items()})


def evaluated(*args, **options):
    return {name: float(x) for name, x in evaluate(*args, **options).items()}


def predict(state, batch):
    return batch[0] @ state["w"], batch[1]


@pytest.mark.parametrize("size", [None, 11, 4, 3, 50])
def test_arrays_in_batches_are_all_rows(size):
    assert evaluated(STATE, predict, BOTH, (X, Y), batch_size=size) == expected()


@pytest.mark.parametrize("size", [11, 4])
def test_batches_that_come_are_all_rows(size):
    batches = [(X[i : i + size], Y[i : i + size]) for i in range(0, 11, size)]
    assert evaluated(STATE, predict, BOTH, batches) == expected()


def test_a_mask_of_ones_own_and_inputs_by_name():
    def masked(state, batch):
        return *predict(state, batch), {"mask": batch[2]}

    counts = np.arange(11) % 3 != 0
    for size in (None, 4):
        assert evaluated(STATE, masked, BOTH, (X, Y, counts), batch_size=size) == expected(counts)


def test_there_is_one_trace_whatever_the_last_batch_has():
    traces: list[None] = []

    def counting(state, batch):
        traces.append(None)
        return predict(state, batch)

    for _ in range(3):
        evaluate(STATE, counting, BOTH, (X, Y), batch_size=4)
    assert len(traces) == 1
    for _ in range(3):
        evaluate(STATE, counting, BOTH, [(X[:4], Y[:4]), (X[4:8], Y[4:8]), (X[8:], Y[8:])])
    assert len(traces) == 2


def test_errors_of_an_evaluation():
    for data, options, message in (
        ((X, Y), {"batch_size": 0}, "batch_size must be at least 1"),
        ([(X, Y)], {"batch_size": 2}, "batch_size is for arrays"),
        (iter([]), {}, "the iterator has no batches"),
        ([(X[:2], Y[:2]), (X, Y)], {}, "a batch has 11 rows, and the first 2"),
        ((X, Y[:2]), {}, "one leading length"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(STATE, predict, BOTH, data, **options)


def keras_stops_after(values, patience, min_delta, mode):
    """Its rule, written from its documentation: wait counts epochs without an improvement by more than min_delta."""
    best, wait = (np.inf if mode == "min" else -np.inf), 0
    for epoch, value in enumerate(values):
        better = value + min_delta < best if mode == "min" else value - min_delta > best
        best, wait = (value, 0) if better else (best, wait + 1)
        if wait >= patience:
            return epoch
    return None


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("patience", [1, 2, 4])
@pytest.mark.parametrize("min_delta", [0.0, 0.25])
def test_training_stops_when_keras_would(mode, patience, min_delta):
    for seed in range(20):
        values = np.round(np.random.default_rng(seed).uniform(0, 2, 15) * 4) / 4  # with ties, and exact differences
        values[:6] += np.linspace(3, 0, 6) if mode == "min" else np.linspace(0, 3, 6)
        stopping = EarlyStopping(lambda i, *_: values[i], patience=patience, min_delta=min_delta, mode=mode)  # noqa: B023
        stops = [epoch for epoch in range(15) if stopping(epoch, None, {})][:1]
        expected = keras_stops_after(values, patience, min_delta, mode)
        assert stops == ([] if expected is None else [expected])


def test_the_best_state_is_kept_and_the_loss_is_the_measure():
    optimizer = optim.sgd(1.1)  # away from the minimum: the first epoch is the best
    step = make_step(lambda p, b, x, key: ((p["w"] ** 2 * x).mean(), (b, {})), optimizer)
    stopping = EarlyStopping(patience=2, keep_best=True)
    state = TrainState.create({"w": jnp.float32(1)}, optimizer)
    state, history = fit(state, step, jnp.ones(2), epochs=9, after_epoch=stopping)
    assert history["loss"].shape == (3, 1)
    assert (stopping.best, stopping.best_epoch, stopping.waited) == (1.0, 0, 2)
    assert float(stopping.best_state.params["w"]) == pytest.approx(-1.2)
    assert float(state.params["w"]) == pytest.approx((-1.2) ** 3)


def test_nan_is_never_better():
    stopping = EarlyStopping(lambda i, *_: [np.nan, 2.0, np.nan, np.nan][i], patience=2)
    assert [stopping(i, None, {}) for i in range(4)] == [False, False, False, True]
    assert (stopping.best, stopping.best_epoch) == (2.0, 1)


def test_errors_of_early_stopping():
    for options in ({"patience": 0}, {"patience": 1, "min_delta": -1.0}, {"patience": 1, "mode": "best"}):
        with pytest.raises(ValueError, match="patience must be at least 1, min_delta not negative and mode"):
            EarlyStopping(**options)
    assert jax.tree.leaves(EarlyStopping(patience=1).best_state) == []


def test_a_function_that_convolves_is_not_in_a_loop_on_a_cpu(monkeypatch):
    """It is called for each batch, and a batch of all rows at once."""
    looped, images = evaluation._over_arrays, RNG.standard_normal((11, 1, 4, 4)).astype(np.float32)
    runs: list[None] = []

    class Loop:
        trace = looped.trace

        def __call__(self, *args, **options):
            runs.append(None)
            return looped(*args, **options)

    def convolved(state, batch):
        maps = jax.lax.conv(batch[0], state["kernel"], (1, 1), "SAME")
        return maps[:, :, 0].reshape(-1, 12), batch[1]

    state = {"kernel": jnp.asarray(RNG.standard_normal((3, 1, 3, 3)), jnp.float32)}
    monkeypatch.setattr(evaluation, "_over_arrays", Loop())
    whole, parts = (evaluate(state, convolved, metrics.accuracy(), (images, Y), batch_size=n) for n in (None, 4))
    assert len(runs) == 1
    assert float(whole) == float(parts)
