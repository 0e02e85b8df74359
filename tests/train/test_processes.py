"""Several processes: the losses of one, and runs that are killed at any moment and end with the same bits."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from fnlearn.train.checkpoint import Checkpoints

pytestmark = [pytest.mark.filterwarnings("ignore"),  # orbax's own
              pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")]  # fmt: skip
SCRIPT = Path(__file__).with_name("processes.py")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("processes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(tmp_path, *words):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "FNLEARN_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def alone(script):
    state, step, losses = script.start(), jax.jit(script.STEP), []
    for batch in script.BATCHES:
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    return losses


@pytest.mark.parametrize(
    ("count", "layouts"),
    [
        (2, ["combined"]), pytest.param(2, ["data", "tensor"], marks=pytest.mark.exhaustive),
        pytest.param(4, ["data", "fsdp", "tensor", "combined"], marks=pytest.mark.exhaustive),
    ],
)  # fmt: skip
def test_several_processes_train_as_one(script, tmp_path, count, layouts):
    expected = alone(script)
    found = run(tmp_path, "train", count, *layouts)
    assert len(found) == count
    for losses in found:
        assert list(losses) == layouts
        for name in losses:
            assert losses[name] == pytest.approx(expected, rel=1e-5), name


@pytest.mark.exhaustive
@pytest.mark.parametrize(("count", "kills"), [(1, 38), (2, 12)])
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(script, tmp_path, count, kills):
    (whole,) = run(tmp_path, "kill", count, 0, tmp_path / "whole")
    killed = run(tmp_path, "kill", count, kills, tmp_path / "killed")
    assert sum(map(len, killed.values())) == kills
    reached = [[step for step in steps if step is not None] for steps in killed.values()]
    assert sum(map(len, reached)) > kills / 2
    assert all(sorted(steps) == steps for steps in reached)  # each goes on where one before was saved
    found = {folder: read(script, folder, {"position": script.STEPS}) for folder in (whole, *killed)}
    assert all(len(bits) > 10 for bits in found.values())
    assert all(bits == found[whole] for bits in found.values())


def test_sigterm_to_one_of_two_ends_both_at_the_same_step(script, tmp_path):
    """Saved, with 0; and the run goes on to the bits of one that was left alone."""
    end = {"epoch": 1, "batch": 0, "position": None}
    assert run(tmp_path, "term", 2, -1, tmp_path / "whole") == [[None, [script.STEPS]]] * 2
    told = run(tmp_path, "term", 2, 1, tmp_path / "ended")
    assert told[0] == told[1]
    code, (step,) = told[0]
    assert code == 0
    assert 0 < step < script.STEPS
    assert run(tmp_path, "term", 2, -1, tmp_path / "ended") == [[None, [step, script.STEPS]]] * 2
    assert read(script, tmp_path / "ended", end) == read(script, tmp_path / "whole", end)
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    assert sum("batch" not in json.loads(line) for line in lines) == 1, "one process writes"


def read(script, folder, extra):
    """All bits of the last state, by one process, of however many it was."""
    with Checkpoints(folder) as saved:
        last = saved.restore(script.start())
    assert (last.step, last.extra, last.damaged) == (script.STEPS, extra, {})
    plain = last.state.replace(key=jax.random.key_data(last.state.key))
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(plain)]
