"""A port as a folder, from Python and from the command line."""

import ast
import importlib
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
import torch
from torch import nn

from fnlearn import cli, port, tree
from fnlearn.equivalence import torch_side
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
    assert ("6 passed" if torch_there else "3 passed, 3 skipped") in done.stdout


def outcome(folder, *options):
    """What the written test says, in a run of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-n", "0", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "COLUMNS": "400"})
    return done.stdout


@pytest.fixture
def copied(written, tmp_path):
    """The folder of a port elsewhere, where the model is not."""
    for path in (written[0] / "jax").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_the_proof_can_fail(copied):
    """The model, which is not there, is not asked, and it is said how it would be."""
    model = copied / "model.py"
    model.write_text(model.read_text().replace("return x.reshape", "return 1.001 * x.reshape"))
    told = outcome(copied)
    assert "3 failed, 3 skipped" in told
    assert "net.py:Net is not there: " in told
    assert "name what makes the model: --fnlearn-torch=path.py:name" in told


def test_the_model_itself_is_asked(written, copied):
    """One that has changed since fails, though the answers that were recorded pass."""
    assert "6 passed" in outcome(copied, f"--fnlearn-torch={written[0]}/net.py:Net")
    (copied / "changed.py").write_text(FILE.replace("self.layer(x)", "1.001 * self.layer(x) + 1e-3"))
    assert "3 failed, 3 passed" in outcome(copied, "--fnlearn-torch=changed.py:Net")


def test_a_model_that_has_grown_is_told():
    with pytest.raises(ValueError, match=r"Linear has parameters that the port has not: bias"):
        torch_side.loaded(nn.Linear(2, 2), {"weight": np.ones((2, 2))})


class Widths(nn.Module):
    """Made again without arguments only by who knows its widths."""

    def __init__(self, width, slope=0.1):
        super().__init__()
        self.layer, self.slope = nn.Linear(2, width), slope
        nn.init.constant_(self.layer.weight, -2.0)  # so that the slope makes a difference

    def forward(self, x):
        return nn.functional.leaky_relu(self.layer(x), self.slope)


class Sloped(Widths):
    def __init__(self, slope=0.1):
        super().__init__(3, slope)


HOSTILE = "'), print('written'), (\"\"\"{x} \\"


class Hostile(nn.Linear):
    def __init__(self, *sizes):
        if not sizes:
            raise RuntimeError(HOSTILE)
        super().__init__(*sizes)


def made_of(module, **options):
    return port.convert(module, (torch.ones(1, 2),), **options)


UNMADE = {
    "arguments": (lambda: Widths(3), "Widths can't be made without arguments: "),
    "other arguments": (lambda: Sloped(0.2), "Sloped() makes another model than the one that was ported"),
    "a local class": (lambda: type("Local", (nn.Identity,), {})(), "Local can't be made without arguments: it"),
    "a hostile name": (lambda: type('x"""\nprint(1)', (nn.Identity,), {})(), "it can't be imported"),
    "a hostile message": (lambda: Hostile(2, 2), f"Hostile can't be made without arguments: {HOSTILE}"),
}


def asked_of(folder):
    """What the written test gives to `torch_original` beside the folder, and the names in its text."""
    nodes = list(ast.walk(ast.parse((folder / "test_equivalence.py").read_text())))
    (call,) = [n for n in nodes if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "torch_original"]
    (given,) = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    return ast.literal_eval(given), {n.id for n in nodes if isinstance(n, ast.Name)}


@pytest.mark.parametrize("name", UNMADE)
def test_a_model_that_can_t_be_made_is_not_asked(name, tmp_path):
    """Why not is in the text as a string, whatever an error says."""
    make, reason = UNMADE[name]
    made_of(make()).save(tmp_path / "jax")
    why, names = asked_of(tmp_path / "jax")
    assert reason in why
    assert "print" not in names


def test_what_makes_the_model_is_named(tmp_path):
    """By its class where that makes the same, by a file or a module otherwise; what makes another is not taken."""
    (tmp_path / "make.py").write_text(f"from {__name__} import Widths\n\ndef three():\n    return Widths(3)\n")
    three, places = f"{tmp_path}/make.py:three", list[str]()
    for module, made_by in ((Sloped(), None), (Widths(3), three), (Sloped(0.2), three)):
        folder = tmp_path / str(len(places))
        made_of(module).save(folder, made_by=made_by)
        places.append(asked_of(folder)[0])
    assert places == [
        f"{__name__}:Sloped" if "." in __name__ else places[0],
        "../make.py:three",
        "three makes another model than the one that was ported",
    ]


def test_a_class_of_a_plain_file_is_found_from_the_folder(tmp_path, monkeypatch):
    (tmp_path / "plain_net.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    port.convert(importlib.import_module("plain_net").Net(), (torch.ones(2, 3),)).save(tmp_path / "jax")
    assert asked_of(tmp_path / "jax")[0] == "../plain_net.py:Net"


def test_training_that_goes_on_is_proved_with_the_model_too(tmp_path):
    module = Sloped()
    optimizer = torch.optim.Adam(module.parameters())
    made_of(module, loss=nn.MSELoss(), targets=(torch.ones(1, 3),), optimizer=optimizer).save(tmp_path / "jax")
    told = outcome(tmp_path / "jax", f"--fnlearn-torch={__file__}:Sloped")
    assert "6 passed" in told, told


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
