"""Recordings: the same answers as the module's own, where there is no torch too."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

import fnlearn.functional as F
from fnlearn import nn, optim
from fnlearn.equivalence import backward, check, first, forward, layers, load, pair, record, training

LOSSES = (torch.nn.functional.cross_entropy, F.cross_entropy)


def net(of, **norm):
    return of.Sequential(of.Linear(6, 8), of.BatchNorm1d(8, **norm), of.Dropout(0.2), of.Linear(8, 3))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X = (normal(5, 6),)
DATA = [((normal(5, 6, seed=i),), np.arange(5) % 3) for i in range(3)]
RUN = (lambda params: torch.optim.Adam(params, 0.01), DATA, LOSSES[0])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    torch.manual_seed(0)
    module, path = net(torch.nn), tmp_path_factory.mktemp("golden") / "net.safetensors"
    record(path, module, X, run=RUN, loss=lambda out: out.square().mean())
    return module, path


def test_a_recording_gives_the_module_s_own_answers(recorded):
    module, path = recorded
    kept = load(path)
    mean = (lambda out: out.square().mean(), lambda out: (out**2).mean())
    for ask in (
        lambda side: check(pair(side, net(nn)), X),
        lambda side: (backward(pair(side, net(nn)), X, losses=mean),),
        lambda side: (training(pair(side, net(nn)), RUN[0], optim.adam(0.01), DATA, LOSSES),),
        lambda side: (layers(pair(side, net(nn, eps=1e-3)), X, isolate=True),),
    ):
        live, from_file = ask(module), ask(kept)
        assert [str(answer) for answer in from_file] == [str(answer) for answer in live]
    assert first(check(pair(kept, net(nn, eps=1e-3)), kept.inputs)) == "layers: 1"


def test_a_run_with_a_scheduler_and_a_clip(tmp_path):
    torch.manual_seed(0)
    module = net(torch.nn)
    scheduler = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)  # noqa: E731
    clips = (lambda p: torch.nn.utils.clip_grad_norm_(p, 0.1), lambda g: optim.clip_grad_norm(g, 0.1)[0])
    record(tmp_path / "net.safetensors", module, X, run=(*RUN, scheduler, clips[0]), modes=("train",))
    schedule = optim.schedules.exponential_lr(0.01, 0.5)
    asked = (RUN[0], optim.adam(schedule), DATA, LOSSES)
    kept = training(pair(load(tmp_path / "net.safetensors"), net(nn)), *asked, clip=(None, clips[1]))
    live = training(pair(module, net(nn)), *asked, scheduler=scheduler, clip=clips)
    assert live.ok
    assert str(kept) == str(live)


def test_what_was_not_recorded_is_refused(recorded):
    kept = load(recorded[1])
    both = pair(kept, net(nn))
    with pytest.raises(ValueError, match="the inputs are not those that were recorded"):
        forward(both, (normal(5, 6, seed=1),))
    with pytest.raises(ValueError, match=r"'out eval\.bfloat16\.bfloat16\.0' was not recorded; there are: .*float32"):
        forward(both, X, dtypes=["bfloat16"])


def test_bad_files(tmp_path, recorded):
    with pytest.raises(FileNotFoundError, match="no such recording"):
        load(tmp_path / "none.safetensors")
    other = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"a": np.ones(2)}, other)
    with pytest.raises(ValueError, match=r"other\.safetensors: not a recording of a torch module"):
        load(other)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(recorded[1].read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a recording"):
        load(torn)
    with pytest.raises(ValueError, match=r"only \.safetensors files are written"):
        record(tmp_path / "golden.pt", recorded[0], X)


def test_a_failing_module_leaves_the_old_file(recorded):
    before = recorded[1].read_bytes()
    with pytest.raises(RuntimeError):
        record(recorded[1], recorded[0], (normal(5, 7),))
    assert recorded[1].read_bytes() == before


def test_the_file_is_arrays_and_json(recorded):
    """Nothing that could run: names of records are looked up in a fixed table."""
    with safetensors.safe_open(recorded[1], framework="numpy") as file:
        (packed,) = file.metadata().values()
    assert set(json.loads(packed)["dict"][0][0]) <= set("inputs")
    with pytest.raises(ValueError, match="not a recording"):
        load(rewritten(recorded[1], packed.replace('"Facts"', '"eval"')))


def rewritten(path, packed):
    changed = path.with_name("changed.safetensors")
    with safetensors.safe_open(path, framework="numpy") as file:
        (name,) = file.metadata()
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    safetensors.numpy.save_file(arrays, changed, metadata={name: packed})
    return changed


WITHOUT = """
import sys
sys.modules["torch"] = None  # an import of it fails
from fnlearn import nn
from fnlearn.equivalence import check, load, pair
recording = load({path!r})
net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))
print([(answer.question, answer.ok) for answer in check(pair(recording, net), recording.inputs)])
"""


def test_no_torch_is_needed(recorded):
    code = WITHOUT.format(path=str(recorded[1]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("True") == 4
