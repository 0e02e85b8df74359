"""Runs that go on: from checkpoints, after SIGTERM or the data's faults, each row once; a loader of grain's."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnlearn import optim
from fnlearn.train import TrainingError, TrainState, fit, make_step
from fnlearn.train.checkpoint import Checkpoints
from fnlearn.train.data import positioned

pytestmark = pytest.mark.filterwarnings("ignore")  # orbax's own

OPTIMIZER = optim.sgd(0.1, momentum=0.9)
ROWS = {"x": np.arange(12, dtype=np.float32)}
BATCHES = [{"x": x} for x in ROWS["x"].reshape(6, 2)]


def loss_fn(params, buffers, batch, key):
    """What is learned depends on the order of the rows, and buffers count each."""
    seen = buffers["seen"].at[batch["x"].astype(int)].add(1)
    return ((params["w"] - batch["x"]) ** 2).mean(), ({"seen": seen}, {})


STEP = make_step(loss_fn, OPTIMIZER)


def start():
    return TrainState.create({"w": jnp.float32(0)}, OPTIMIZER, {"seen": jnp.zeros(12, int)})


class Killed(BaseException):
    """As if the process were gone: nothing is saved for it."""


def killed_at(data, batch):
    for i, rows in enumerate(data):
        if i == batch:
            raise Killed
        yield rows


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_epochs_of_arrays_go_on_with_the_same_bits(tmp_path):
    options: dict[str, Any] = {"epochs": 6, "batch_size": 5, "shuffle": jax.random.key(0)}
    whole, history = fit(start(), STEP, ROWS, **options)

    def interrupted(epoch, state, history):
        if epoch == 3:
            raise Killed

    with pytest.raises(Killed), Checkpoints(tmp_path) as saved:
        fit(start(), STEP, ROWS, **options, checkpoints=saved, after_epoch=interrupted)
    with Checkpoints(tmp_path) as saved:
        assert saved.restore(start()).extra == {"epoch": 3, "batch": 0, "position": None}
        state, rest = fit(start(), STEP, ROWS, **options, checkpoints=saved)
        same(state, whole)
        np.testing.assert_array_equal(rest["loss"], history["loss"][3:])
        again, nothing = fit(start(), STEP, ROWS, **options, checkpoints=saved)  # the run is at its end
        same(again, whole)
        assert nothing == {}


def test_a_run_that_was_stopped_after_an_epoch_stays_so(tmp_path):
    for _ in range(2):
        with Checkpoints(tmp_path) as saved:
            state, _ = fit(start(), STEP, ROWS, epochs=5, checkpoints=saved, after_epoch=lambda *_: True)
            assert int(state.step) == 1


def loaders():
    rows = [{"x": x} for x in ROWS["x"]]
    source = grain.MapDataset.source(rows).shuffle(seed=3).to_iter_dataset().batch(2)
    sampler = grain.samplers.IndexSampler(12, shuffle=True, seed=3, num_epochs=1)
    loader = grain.DataLoader(data_source=rows, sampler=sampler, operations=[grain.transforms.Batch(2)])
    return {"list": BATCHES, "dataset": source, "loader": loader}


@pytest.mark.parametrize("kind", ["dataset", "loader", "list"])
def test_each_row_is_seen_once_by_a_run_that_was_killed_within_an_epoch(tmp_path, kind):
    """The fifth batch kills it; the newest checkpoint is of the fourth or of the second."""
    data = loaders()[kind]
    whole, history = fit(start(), STEP, [*data], epochs=2)

    def dying(epoch):
        return Dying(iter(data)) if kind != "list" else killed_at(data, 4)

    with pytest.raises(Killed), Checkpoints(tmp_path) as saved:
        fit(start(), STEP, dying, epochs=2, checkpoints=saved, save_every=2)
    with Checkpoints(tmp_path) as saved:
        there = saved.restore(start())
        assert there.extra["batch"] in (2, 4)
        assert (there.extra["position"] is None) == (kind == "list")
        assert sum(there.state.buffers["seen"].tolist()) == 2 * there.extra["batch"]
        state, rest = fit(start(), STEP, data, epochs=2, checkpoints=saved, save_every=2)
    assert state.buffers["seen"].tolist() == [2] * 12
    same(state, whole)
    passed = there.extra["batch"]
    assert np.isnan(rest["loss"][0, :passed]).all()
    np.testing.assert_array_equal(rest["loss"][0, passed:], history["loss"][0, passed:])
    np.testing.assert_array_equal(rest["loss"][1], history["loss"][1])


@pytest.mark.parametrize("kind", ["dataset", "loader", "list"])
@pytest.mark.parametrize("at", [2, 5, 8])
def test_epochs_of_some_steps_go_on_where_they_were(tmp_path, kind, at):
    """In the first round of the data, at its end, and in the second, of which each is six batches and an epoch four."""
    data = loaders()[kind]
    options: dict[str, Any] = {"epochs": 3, "steps_per_epoch": 4}
    whole, history = fit(start(), STEP, data, **options)
    assert whole.buffers["seen"].tolist() == [2] * 12

    def dying(round):
        left = at - 6 * round
        return Dying(iter(data), left) if kind != "list" else killed_at(data, left)

    with pytest.raises(Killed), Checkpoints(tmp_path) as saved:
        fit(start(), STEP, dying, **options, checkpoints=saved, save_every=1)
    with Checkpoints(tmp_path) as saved:
        reached = saved.steps()[-1]
        assert at - 3 <= reached <= at
        with pytest.raises(ValueError, match="had steps_per_epoch: give it again"):
            fit(start(), STEP, data, epochs=3, checkpoints=saved)
        state, rest = fit(start(), STEP, data, **options, checkpoints=saved)
    same(state, whole)
    known = ~np.isnan(rest["loss"])
    assert known.sum() == 12 - reached
    np.testing.assert_array_equal(rest["loss"][known], history["loss"][-len(known) :][known])


def test_epochs_of_other_lengths_are_refused(tmp_path):
    with Checkpoints(tmp_path) as saved:
        fit(start(), STEP, BATCHES, epochs=1, checkpoints=saved)
        with pytest.raises(ValueError, match="had other epochs than of steps_per_epoch=2"):
            fit(start(), STEP, BATCHES, epochs=2, steps_per_epoch=2, checkpoints=saved)


class Dying:
    """An iterator of grain's that ends the process at some batch, the fifth."""

    def __init__(self, source, left=4):
        self.source, self.left = source, left

    def __iter__(self):
        return self

    def __next__(self):
        self.left -= 1
        if self.left < 0:
            raise Killed
        return next(self.source)

    def get_state(self):
        return self.source.get_state()

    def set_state(self, state):
        self.source.set_state(state)


def test_positions_are_json_and_those_of_the_batch_they_come_with():
    """Not of the batches that are made ahead."""
    for kind, data in loaders().items():
        whole = [batch["x"].tolist() for batch, _ in positioned(data, 0, 0, None)]
        for done, (_, position) in enumerate(positioned(data, 0, 0, None), start=1):
            told = json.loads(json.dumps(position))
            assert [batch["x"].tolist() for batch, _ in positioned(data, 0, done, told)] == whole[done:], kind


def test_what_the_data_raises_is_saved_before(tmp_path):
    def broken():
        yield from BATCHES[:3]
        raise OSError("the disk is gone")

    with pytest.raises(TrainingError, match=f"and saved in {tmp_path}"), Checkpoints(tmp_path) as saved:
        fit(start(), STEP, broken(), epochs=1, checkpoints=saved)
    with Checkpoints(tmp_path) as saved:
        assert saved.steps() == [3]
        state, _ = fit(start(), STEP, BATCHES, epochs=1, checkpoints=saved)
    assert state.buffers["seen"].tolist() == [1] * 12


def test_checkpoints_of_other_loops_are_refused(tmp_path):
    with Checkpoints(tmp_path) as saved:
        saved.save(1, start())
        with pytest.raises(ValueError, match="was not saved by fit: it has no epoch, batch, position"):
            fit(start(), STEP, ROWS, epochs=1, checkpoints=saved)


RUN = """
    import sys, time
    import numpy as np
    from tests.train.test_resume import BATCHES, STEP, start
    from fnlearn.train import fit
    from fnlearn.train.checkpoint import Checkpoints

    def slow():
        for i, rows in enumerate(BATCHES):
            if len(sys.argv) > 2 and i == 3:
                print("here", flush=True)
            time.sleep(0.5 * (len(sys.argv) > 2 and i > 3))
            yield rows

    with Checkpoints(sys.argv[1]) as saved:
        state, _ = fit(start(), STEP, lambda epoch: slow(), epochs=1, checkpoints=saved)
        print(*state.buffers["seen"].tolist())
"""


def run(folder, *more, text=RUN):
    script = folder.parent / "run.py"
    script.write_text(textwrap.dedent(text))
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip


def test_sigterm_saves_and_exits_with_0(tmp_path):
    """And the run goes on from the batch after."""
    told = run(tmp_path / "run", "slowly")
    assert told.stdout is not None
    assert told.stdout.readline() == "here\n"
    told.send_signal(signal.SIGTERM)
    out, errors = told.communicate(timeout=60)
    assert (told.returncode, out) == (0, ""), errors
    with Checkpoints(tmp_path / "run") as saved:
        found = saved.restore(start())
    assert 0 < found.extra["batch"] < 6
    assert sum(found.state.buffers["seen"].tolist()) == 2 * found.extra["batch"]
    with Checkpoints(tmp_path / "run") as saved:
        state, _ = fit(start(), STEP, BATCHES, epochs=1, checkpoints=saved)
    assert state.buffers["seen"].tolist() == [1] * 12


def test_without_checkpoints_the_signal_is_left_alone():
    handlers = []
    fit(start(), STEP, ROWS, epochs=1, after_epoch=lambda *_: handlers.append(signal.getsignal(signal.SIGTERM)))
    assert handlers == [signal.SIG_DFL]


KILLED = """
    import sys
    import grain, jax, jax.numpy as jnp, numpy as np
    from fnlearn import optim
    from fnlearn.train import TrainState, fit, make_step
    from fnlearn.train.checkpoint import Checkpoints

    rows = [{"i": np.int32(i), "x": np.random.default_rng(i).standard_normal(4, np.float32)} for i in range(60)]
    optimizer = optim.adam(0.01)

    def order(number):
        print("begun", flush=True)
        return grain.MapDataset.source(rows).shuffle(seed=number).to_iter_dataset().batch(3)

    def loss_fn(params, buffers, batch, key):
        noise = jax.random.normal(key, (3, 4))
        seen = buffers["seen"].at[batch["i"]].add(1)
        return ((jnp.tanh(batch["x"] @ params["w"]) - noise) ** 2).mean(), ({"seen": seen}, {})

    state = TrainState.create({"w": jnp.eye(4)}, optimizer, {"seen": jnp.zeros(60, int)}, jax.random.key(0))
    lengths = {"epochs": 4} if len(sys.argv) == 2 else {"epochs": 10, "steps_per_epoch": 8}
    with Checkpoints(sys.argv[1], keep=2) as saved:
        step = make_step(loss_fn, optimizer)
        state, _ = fit(state, step, order, checkpoints=saved, save_every=1, log=[], **lengths)
        state = state.replace(key=jax.random.key_data(state.key))
        bits = [x.tobytes().hex() for x in jax.tree.leaves(jax.device_get(state))]
        print(state.step, state.buffers["seen"].tolist(), *bits)
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("more", [(), ("steps",)], ids=["rounds", "steps"])
def test_kill_9_at_random_moments_of_a_run_over_grain(tmp_path, more):
    """Each row is seen once an epoch, and the last state has the bits of a run that was left alone."""
    moments, text = random.Random(0), KILLED

    def ended(folder):
        out, errors = run(folder, *more, text=text).communicate(timeout=120)
        *_, last = out.splitlines() or [errors]
        return last

    whole, kills = ended(tmp_path / "whole"), 0
    assert whole.startswith(f"80 {[4] * 60} ")
    for _ in range(8):
        told = run(tmp_path / "killed", *more, text=text)
        assert told.stdout is not None
        assert told.stdout.readline() == "begun\n"
        time.sleep(moments.uniform(0.0, 1.0))
        told.kill()
        told.communicate()
        kills += told.returncode == -signal.SIGKILL
    assert kills > 4
    assert ended(tmp_path / "killed") == whole
