"""States on disk: the same bits, the newest whole one, and other meshes; test_processes.py kills runs."""

import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fnlearn import nn, optim
from fnlearn.train import TrainState, sharding
from fnlearn.train.checkpoint import Checkpoints

pytestmark = pytest.mark.filterwarnings("ignore")  # orbax's own


def state(step=0):
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8))
    params, buffers = net.init(jax.random.key(1))
    made = TrainState.create(params, optim.adam(0.1), buffers, jax.random.key(2))
    return made.replace(step=jnp.asarray(step, jnp.int32), params=jax.tree.map(lambda x: x + step, made.params))


def bits(tree):
    plain = jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(plain)]


@pytest.fixture
def saved(tmp_path):
    with Checkpoints(tmp_path / "run", keep=3) as checkpoints:
        for step in range(1, 6):
            checkpoints.save(step, state(step), {"position": step * 7, "config": {"lr": 0.1}})
    return tmp_path / "run"


def test_the_newest_comes_back_bit_by_bit(saved):
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.steps() == [3, 4, 5]
        found = checkpoints.restore(state())
    assert (found.step, found.extra, found.damaged) == (5, {"position": 35, "config": {"lr": 0.1}}, {})
    assert bits(found.state) == bits(state(5))
    assert isinstance(found.state, TrainState)
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.restore(state(), step=3).step == 3


def test_the_best_stay(tmp_path):
    with Checkpoints(tmp_path, keep=2, best=lambda metrics: metrics["loss"], mode="min") as checkpoints:
        for step, loss in enumerate([3.0, 1.0, 2.0, 5.0]):
            checkpoints.save(step, state(step), metrics={"loss": loss})
        assert checkpoints.restore(state(), step=1).step == 1
        assert checkpoints.steps() == [1, 2]


def large_files(step):
    return sorted((p for p in step.rglob("*") if p.is_file() and "state" in p.parts), key=lambda p: -p.stat().st_size)


def flipped(path):
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data), max(1, len(data) // 50)):
        data[place] ^= 0x10
    path.write_bytes(bytes(data))


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def removed(path):
    path.unlink()


@pytest.mark.parametrize("damage", [flipped, truncated, removed])
def test_a_damaged_one_is_named_and_the_one_before_is_used(saved, damage):
    for file in large_files(saved / "5")[:2]:
        damage(file)
    with Checkpoints(saved) as checkpoints:
        found = checkpoints.restore(state())
        assert found.step == 4
        assert list(found.damaged) == [5]
        assert bits(found.state) == bits(state(4))
        with pytest.raises(ValueError, match=r"no checkpoint of .* can be read:\n  5: "):
            checkpoints.restore(state(), step=5)


def test_numbers_that_are_not_those_that_were_saved(saved, monkeypatch):
    from fnlearn.train import checkpoint

    real = checkpoint._sums
    monkeypatch.setattr(checkpoint, "_sums", lambda arrays: {name: x + 1 for name, x in real(arrays).items()})
    with Checkpoints(saved) as checkpoints, pytest.raises(ValueError, match="are not those that were saved"):
        checkpoints.restore(state())


def sums(**arrays):
    from fnlearn.train import checkpoint

    return checkpoint._sums(arrays)


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", "float8_e4m3fn", "int8", "uint32", "bool", "complex64", "int4", "float64"]
)
def test_one_bit_that_changes_changes_a_checksum(dtype, x64):
    numbers = np.arange(24).reshape(2, 3, 4) % 2
    x = jnp.asarray(numbers).astype(dtype)
    before = sums(x=x)["x"]
    assert before == sums(x=x)["x"] != sums(x=x[:, :, ::-1])["x"]
    for place in range(24):
        other = numbers.copy()
        other.flat[place] ^= 1
        assert sums(x=jnp.asarray(other).astype(dtype))["x"] != before
    assert before != sums(x=jnp.zeros_like(x))["x"]


def test_a_checksum_is_the_same_on_any_mesh():
    over = sharding.mesh({"a": 2, "b": 2}, jax.devices("cpu"))  # the four of conftest.py
    x, y = np.random.default_rng(0).standard_normal((2, 8, 6), np.float32)
    split = jax.device_put(x, NamedSharding(over, PartitionSpec(("a", "b"))))
    other = jax.device_put(x, NamedSharding(over, PartitionSpec("b", "a")))
    assert sums(x=x, y=y)["x"] == sums(x=split, y=y)["x"] == sums(x=other)["x"] != sums(y=y)["y"]


def test_it_is_restored_onto_another_mesh(tmp_path):
    mesh = {n: sharding.mesh({"data": n}, jax.devices("cpu")) for n in (2, 4)}  # the four of conftest.py
    sharded = {n: NamedSharding(mesh[n], PartitionSpec("data")) for n in mesh}
    x = jax.device_put(jnp.arange(8.0), sharded[4])
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"x": x})
        like = {"x": jax.ShapeDtypeStruct((8,), jnp.float32, sharding=sharded[2])}
        found = checkpoints.restore(like).state["x"]
    assert found.sharding == sharded[2]
    assert found.tolist() == list(range(8))


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match="keep must be at least 1"):
        Checkpoints(tmp_path, keep=0)
    with pytest.raises(ValueError, match="mode must be"):
        Checkpoints(tmp_path, mode="least")
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(FileNotFoundError, match="has no checkpoint"):
        checkpoints.restore(state())


FULL = """
    import resource, signal, sys
    import jax.numpy as jnp
    from fnlearn.train.checkpoint import Checkpoints

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a full disk
    big = {"x": jnp.arange(300_000.0)}
    saved = Checkpoints(sys.argv[1])
    saved.save(1, big)
    saved._manager.wait_until_finished()
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    try:
        saved.save(2, {"x": big["x"] * jnp.sin(big["x"])})
        saved.close()
    except OSError as error:
        print("told:", error)
"""


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path):
    script = tmp_path / "full.py"
    script.write_text(textwrap.dedent(FULL))
    command = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=True
    )
    assert "told:" in done.stdout, done.stderr
    with Checkpoints(tmp_path / "run") as checkpoints:
        found = checkpoints.restore({"x": jnp.zeros(300_000)})
    assert found.step == 1
    assert (found.state["x"] == jnp.arange(300_000.0)).all()
