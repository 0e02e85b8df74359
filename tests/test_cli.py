"""The command line: exit status, one line for bad input, and what it prints."""

import json
import re
import sys
import types

import pytest

from fnlearn import cli, cpu, lessons
from fnlearn.equivalence import compare
from fnlearn.lessons import lesson


def run(capsys, *args):
    with pytest.raises(SystemExit) as exit:
        cli.main(list(args))
    out = capsys.readouterr()
    return exit.value.code, out.out, out.err


def test_lessons_prints_tables_and_exits_0(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    status, out, _ = run(capsys, "lessons", "a", "B")
    assert status == 0
    assert "Lesson A. Automatic differentiation" in out
    assert "Lesson B. Fitting" in out
    for word in ("quantity", "PyTorch", "JAX", "difference", "verdict", "speed", "compiles"):
        assert word in out


def test_json_is_one_object_a_lesson(capsys):
    status, out, _ = run(capsys, "lessons", "A", "B", "--json")
    assert status == 0
    assert [json.loads(line)["lesson"] for line in out.splitlines()] == ["A", "B"]


def test_a_verdict_that_fails_exits_1(capsys, monkeypatch):
    def different(*sides, **options):
        return [leaf._replace(verdict="differs") for leaf in compare(*sides, **options)]

    monkeypatch.setattr(lesson, "compare", different)
    status, _, _ = run(capsys, "lessons", "B", "--json")
    assert status == 1


@pytest.mark.parametrize("letter", list(lesson.PACKAGES))
def test_show_prints_both_sources(capsys, letter):
    status, out, _ = run(capsys, "lessons", letter, "--show")
    assert status == 0
    assert "torch_side.py" in out
    assert "jax_side.py" in out
    assert "import torch" in out
    assert "def main():" in out


def test_plots_are_written_and_named(capsys, tmp_path):
    status, _, err = run(capsys, "lessons", "A", "--plots", str(tmp_path))
    assert status == 0
    assert {path.name for path in tmp_path.iterdir()} == {"activations.svg", "lesson_a_graph.svg"}
    assert "activations.svg" in err


def test_verbose_prints_the_notes_lines(capsys):
    status, out, _ = run(capsys, "lessons", "B", "--verbose")
    assert status == 0
    assert "    grad: 2.0 4.0 -7.84" in out
    assert "progress: 999 loss" in out


def test_one_side_alone(capsys):
    status, out, _ = run(capsys, "lessons", "B", "--side", "torch")
    assert (status, "f(4) =" in out, "verdict" in out) == (0, True, False)


def test_without_torch_jax_runs_alone_and_one_line_says_how_to_compare(capsys, monkeypatch):
    monkeypatch.setattr(lesson, "torch_installed", lambda: False)
    monkeypatch.setattr(lessons, "torch_installed", lambda: False)
    status, out, err = run(capsys, "lessons", "A", "D", "--json")
    assert status == 0
    assert err == "PyTorch is not installed, so JAX ran alone; to compare: pip install torch==2.13.0\n"
    for line in out.splitlines():
        told = json.loads(line)
        assert told["verdict"] is None
        assert told["speed"]["torch_seconds"] is None
        assert all("torch" not in quantity for quantity in told["quantities"])
    status, out, _ = run(capsys, "lessons", "A")
    assert status == 0
    status, _, err = run(capsys, "lessons", "A", "--side", "torch")
    assert (status, err) == (2, "fnlearn: PyTorch is not installed: pip install torch==2.13.0\n")


def test_explain_draws_the_graph(capsys, tmp_path):
    status, out, _ = run(capsys, "explain", "(a + b) * (b + 1)", "a=2", "b=1", "--svg", str(tmp_path / "graph.svg"))
    assert status == 0
    assert "sum of 2 paths  = 5" in out
    assert (tmp_path / "graph.svg").stat().st_size > 1000
    status, out, _ = run(capsys, "explain", "sigmoid(w * x)", "w=[1,2]", "x=[0.5,1]", "--mermaid")
    assert status == 0
    assert out.startswith("flowchart")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("lessons", "Z"), "there is no lesson Z; the lessons are A, B, C, D"),
        (("lessons", "D", "--csv", "nowhere.csv"), "nowhere.csv: can't be read: No such file"),
        (("lessons", "A", "--plots", "/dev/null/plots"), "/dev/null/plots: can't be written"),
        (("explain", "(a +", "a=2"), "does not parse"),
        (("explain", "a + b", "a=2"), "no value for b"),
        (("explain", "a", "a=two"), "a"),
        (("explain", "__import__('os')"), "__import__"),
        (("explain", "a", "a=1", "--svg", "/dev/null/graph.svg"), "can't be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(capsys, args, message):
    status, out, err = run(capsys, *args)
    assert status == 2
    assert err.startswith("fnlearn: ")
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


def test_a_malformed_row_is_told_before_anything_runs(capsys, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("pregnant,glucose,pressure,triceps,insulin,mass,pedigree,age,diabetes\n1,2\n")
    status, out, err = run(capsys, "lessons", "--csv", str(path))
    assert (status, out) == (2, "")
    assert err == f"fnlearn: {path}, line 2: 9 values expected, got 2\n"


def test_python_dash_m(monkeypatch):
    """It is a process of its own, and has the settings for a CPU."""
    calls = []
    monkeypatch.setattr(cpu, "configure_cpu", lambda: calls.append(1))
    monkeypatch.setattr(sys, "argv", ["fnlearn", "explain", "a * a", "a=3"])
    with pytest.raises(SystemExit) as exit:
        __import__("runpy").run_module("fnlearn", run_name="__main__")
    assert exit.value.code == 0
    assert isinstance(sys.modules["fnlearn.cli"], types.ModuleType)
    assert calls == [1]


TORCH_FILE = """
import torch

def net():
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.GELU(), torch.nn.Linear(5, 2))

inputs = (torch.linspace(-1, 1, 12).reshape(3, 4),)
number = 3
"""
JAX_FILE = """
import fnlearn.functional as F
from fnlearn import nn

layer = nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 2))

def tanh(params, x):
    return F.linear(F.gelu(F.linear(x, **params["0"]), "tanh"), **params["2"])

number = 3
"""
KERNELS_FILE = """
import jax.numpy as jnp
from torch_net import net  # of the same seed
import torch

def params():
    torch.manual_seed(0)
    return {name: p.detach().numpy().T for name, p in net().named_parameters()}

def names(params):
    return {name: p.T for name, p in params.items()}

def kernels(params, x):
    import jax
    x = jax.nn.gelu(x @ params["0.weight"] + jnp.broadcast_to(params["0.bias"], (len(x), 5)), approximate=False)
    return x @ params["2.weight"] + jnp.broadcast_to(params["2.bias"], (len(x), 2))
"""


@pytest.fixture
def sides(tmp_path):
    for name, text in (("torch_net", TORCH_FILE), ("jax_net", JAX_FILE), ("kernels", KERNELS_FILE)):
        (tmp_path / f"{name}.py").write_text(text)
    return f"{tmp_path}/torch_net.py:net", f"{tmp_path}/jax_net.py"


def test_check_compares_two_files(capsys, sides, tmp_path):
    torch_side, jax_file = sides
    status, out, _ = run(capsys, "check", torch_side, f"{jax_file}:layer")
    assert status == 0
    assert re.search(r"backward +│ yes", out)
    status, out, err = run(capsys, "check", torch_side, f"{jax_file}:tanh", "--html", str(tmp_path / "net.html"))
    assert status == 1
    assert "before 2 is called" in " ".join(out.split())
    assert "They part at (root)" in (tmp_path / "net.html").read_text()
    assert "net.html" in err
    status, out, _ = run(capsys, "check", torch_side, f"{jax_file}:tanh", "--json", "--dtypes", "bfloat16")
    assert json.loads(out)["first"] == "layers: (root)"
    assert {leaf["dtype"] for leaf in json.loads(out)["answers"][2]["leaves"]} == {"bfloat16", "float64"}


def test_check_takes_parameters_of_another_shape(capsys, sides, tmp_path):
    assert run(capsys, "check", sides[0], f"{tmp_path}/kernels.py:kernels")[0] == 0


def test_check_records_and_reads_again(capsys, sides, tmp_path, monkeypatch):
    torch_side, jax_file = sides
    golden = str(tmp_path / "net.safetensors")
    status, _, err = run(capsys, "check", torch_side, f"{jax_file}:layer", "--golden", golden)
    assert (status, "wrote" in err) == (0, True)
    monkeypatch.setitem(sys.modules, "torch", None)
    status, _, err = run(capsys, "check", "gone.py:net", f"{jax_file}:tanh", "--golden", golden)
    assert status == 1
    assert "torch's answers are those of" in err
    status, _, err = run(capsys, "check", torch_side, f"{jax_file}:tanh")
    assert (status, err) == (
        2,
        "fnlearn: PyTorch is not installed: pip install torch==2.13.0, or give a --golden file\n",
    )


@pytest.mark.parametrize(
    ("torch_name", "jax_name", "options", "message"),
    [
        ("{torch}.py", "{jax}.py:layer", (), "expected path.py:name or package.module:name, got"),
        ("{torch}.py:__import__('os')", "{jax}.py:layer", (), "expected path.py:name"),
        ("none.py:net", "{jax}.py:layer", (), "none.py: there is no such file"),
        ("{torch}.py:nothing", "{jax}.py:layer", (), "has no nothing"),
        ("{torch}.py:number", "{jax}.py:layer", (), "must be a torch.nn.Module or make one, got int"),
        ("{torch}.py:net", "{jax}.py:number", (), "must be a Layer or a function (params, *inputs), got int"),
        ("{jax}.py:number", "{jax}.py:layer", (), "must be a torch.nn.Module"),
        ("{torch}.py:net", "{jax}.py:layer", ("--golden", "{torch}.py"), "not a recording of a torch module"),
        ("{torch}.py:net", "{jax}.py:layer", ("--golden", "{torch}.pt"), "only .safetensors files are written"),
        ("{torch}.py:net", "{jax}.py:layer", ("--html", "/dev/null/out.html"), "Not a directory"),
    ],
)
def test_check_says_what_is_wrong_with_its_input(capsys, sides, tmp_path, torch_name, jax_name, options, message):
    places = {"torch": tmp_path / "torch_net", "jax": tmp_path / "jax_net"}
    words = [word.format(**places) for word in ("check", torch_name, jax_name, *options)]
    status, _, err = run(capsys, *words)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
