"""The command line: exit status, one line for bad input, and what it prints."""

import json
import sys
import types

import pytest

from fnlearn import cli, lessons
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
    monkeypatch.setattr(lesson, "FLOAT64_TOLERANCE", 0.0)
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
    monkeypatch.setattr(sys, "argv", ["fnlearn", "explain", "a * a", "a=3"])
    with pytest.raises(SystemExit) as exit:
        __import__("runpy").run_module("fnlearn", run_name="__main__")
    assert exit.value.code == 0
    assert isinstance(sys.modules["fnlearn.cli"], types.ModuleType)
