"""A port as a folder, from Python and from the command line."""

import subprocess
import sys

import jax
import numpy as np
import pytest
import torch
from torch import nn

from fnlearn import cli, port, tree
from fnlearn.port import named, save

FILE = """\
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.layer(x)).view(len(x), 2, 2)


inputs = (torch.ones(2, 3),)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What one command writes, and what it prints."""
    folder = tmp_path_factory.mktemp("port")
    (folder / "net.py").write_text(FILE)
    state = nn.ModuleDict({"layer": nn.Linear(3, 4), "norm": nn.BatchNorm1d(4)}).state_dict()
    torch.save(state, folder / "weights.pt")
    words = ["port", f"{folder}/net.py:Net", "--out", f"{folder}/jax", "--args", "float32[5,3]", "--dynamic", "0:batch"]
    done = subprocess.run(
        [sys.executable, "-m", "fnlearn", *words, "--weights", f"{folder}/weights.pt"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder, state, done


def test_one_command_writes_the_folder(written):
    folder, state, done = written
    names = ["README.md", "golden.safetensors", "model.py", "test_equivalence.py", "weights.safetensors"]
    assert sorted(path.name for path in (folder / "jax").iterdir()) == names
    assert sorted(path.name for path in folder.iterdir()) == ["jax", "net.py", "weights.pt"]
    assert (
        "def net(params, buffers, x, *, train=False):  # net.Net\n    batch = x.shape[0]"
        in (folder / "jax/model.py").read_text()
    )
    assert "| backward | yes |" in (folder / "jax/README.md").read_text()
    assert "all calls ported" in done.stderr
    kept = tree.flatten(tree.load(folder / "jax/weights.safetensors"))
    assert all(np.array_equal(kept[name], tensor.numpy()) for name, tensor in state.items())


@pytest.mark.parametrize("torch_there", [True, False])
def test_the_proof_runs_where_it_lies(written, torch_there):
    folder = written[0] / "jax"
    without = "import sys; sys.modules['torch'] = None; " * (not torch_there)
    code = f"{without}import pytest; raise SystemExit(pytest.main(['-q', '-p', 'no:cacheprovider', '-n', '0']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_the_proof_can_fail(written, tmp_path):
    for path in (written[0] / "jax").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    model = tmp_path / "model.py"
    model.write_text(model.read_text().replace("return x.reshape", "return 1.001 * x.reshape"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 1


def test_what_is_there_stays(tmp_path):
    made = port.convert(nn.Linear(2, 2), (torch.ones(1, 2),))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty; give another folder"):
        made.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    def full(path, params):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(save.tree, "save", full)
    made = port.convert(nn.Linear(2, 2), (torch.ones(1, 2),))
    with pytest.raises(OSError, match="No space left"):
        made.save(tmp_path / "linear")
    assert list(tmp_path.iterdir()) == []


def test_arguments_of_the_command_line():
    assert named.tensor("float32[2, 3]").shape == (2, 3)
    assert named.tensor("float64[]").dtype == torch.float64
    assert set(named.tensor("int64[200]<3").tolist()) == {0, 1, 2}
    assert named.dimensions(["0:batch", "2:time"]) == {0: "batch", 2: "time"}


BAD = {
    "a shape": (("--args", "float32(2)"), 'such as "float32[1,3,32,32]"'),
    "a dtype": (("--args", "real[2]"), "got 'real[2]'"),
    "a dimension": (("--dynamic", "batch"), "such as 0:batch, got 'batch'"),
    "weights": (("--weights", "{folder}/other.safetensors"), "Missing key(s) in state_dict"),
    "a folder": (("--out", "{folder}"), "not empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_with_one_line_and_status_2(name, tmp_path, capsys):
    (tmp_path / "net.py").write_text(FILE)
    tree.save(tmp_path / "other.safetensors", {"weight": np.ones(2)})
    options, message = BAD[name]
    words = ["port", f"{tmp_path}/net.py:Net", *(option.format(folder=tmp_path) for option in options)]
    with pytest.raises(SystemExit) as exit:
        cli.main(words if "--out" in words else [*words, "--out", str(tmp_path / "out")])
    assert exit.value.code == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("fnlearn: ")
    assert message in told
    assert not (tmp_path / "out").exists()


def test_only_some_dimensions_stay_open():
    class Scaled(nn.Module):
        def forward(self, x):
            return x.reshape(x.shape[0], -1) * x.shape[1]

    made = port.convert(Scaled(), (torch.ones(2, 3, 4),), dynamic_shapes={0: "batch"})
    assert "x.reshape(batch, -1) * 3" in made.source
    closed = port.convert(Scaled(), (torch.ones(2, 3, 4),), dynamic_shapes=False)
    assert "x.reshape(2, -1) * 3" in closed.source
    assert made.apply({}, {}, jax.numpy.ones((5, 3, 4)))[0].shape == (5, 12)
