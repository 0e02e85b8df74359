"""The lessons end to end: every verdict, the notes' numbers, and what is written for readers and programs."""

import ast
import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import jax
import numpy as np
import pytest
import torch

from fnlearn import lessons, tree
from fnlearn.equivalence import assert_equivalent
from fnlearn.lessons import lesson
from fnlearn.lessons.d_bugs import jax_side as jax_bugs
from fnlearn.lessons.d_bugs import torch_side as torch_bugs
from fnlearn.lessons.d_hidden import pima

FOLDER = Path(lessons.__file__).parent
TWINS = sorted(path.parent for path in FOLDER.glob("*/torch_side.py"))


@pytest.fixture(scope="module", autouse=True)
def promotion():
    """The lessons run as a reader runs them, and under strict promotion as well."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


run = cache(lessons.run)  # a lesson is run once in each process


@pytest.fixture(params=list(lesson.PACKAGES))
def result(request):
    return run(request.param)


def values(result, dtype="float64"):
    return {row.quantity: row for row in result.rows if row.dtype == dtype}


def test_both_sides_agree_on_every_number(result):
    assert result.ok
    assert [row.quantity for row in result.rows if not row.leaf.ok] == []
    assert {row.dtype for row in result.rows} == {"float32", "float64"}


def test_float64_agrees_to_1e_12(result):
    rows = values(result)
    theirs, mine = ({name: getattr(row, side) for name, row in rows.items()} for side in ("torch", "jax"))
    assert_equivalent(theirs, mine, rtol=1e-12, atol=1e-12)


def test_speed_is_told_apart_from_compiling(result):
    assert result.speed.torch > 0
    assert result.speed.jax > 0
    assert result.speed.compile >= 0


def test_json_holds_every_number(result):
    told = json.loads(lessons.as_json(result), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert told["lesson"] == result.letter
    assert told["verdict"] == "same"
    assert len(told["quantities"]) == len(result.rows)
    for quantity, row in zip(told["quantities"], result.rows, strict=True):
        assert np.array_equal(quantity["jax"], row.jax)
        assert np.array_equal(quantity["torch"], row.torch)
        assert math.isclose(quantity["max_abs"], row.leaf.max_abs)


def test_a_verdict_that_fails_is_told(result):
    row = result.rows[0]
    bad = row._replace(leaf=row.leaf._replace(verdict="differs"))
    failed = result._replace(rows=[bad, *result.rows[1:]])
    assert not failed.ok
    assert json.loads(lessons.as_json(failed))["verdict"] == "differs"


def test_lesson_a_has_the_notes_numbers():
    found = {name: float(row.jax) for name, row in values(run("A")).items()}
    assert (found["c"], found["d"], found["e"]) == (3, 2, 6)
    assert (found["path b → c → e"], found["path b → d → e"]) == (2, 3)
    assert (found["∂e/∂a"], found["∂e/∂b"]) == (2, 5)


def test_lesson_b_has_the_notes_numbers():
    found = {name: row.jax for name, row in values(run("B")).items()}
    assert found["w after each step"].shape == found["gradient of each step"].shape == (3000,)
    assert found["loss of each epoch"].shape == (1000,)
    np.testing.assert_allclose(found["gradient of each step"][:3], [-2.0, -7.84, -16.2288], rtol=1e-12)
    assert float(found["f(4) before training"]) == 4
    assert abs(float(found["f(4) after training"]) - 8) < 1e-6


def test_lesson_b_prints_every_step_when_asked():
    notes = run("B", lessons.Options(verbose=True)).notes
    assert sum(line.startswith("    grad:") for line in notes) == 2 * 3000
    assert sum(line.startswith("progress:") for line in notes) == 2 * 1000
    assert notes[:2] == ["PyTorch:", "    grad: 1.0 2.0 -2"]
    assert notes[4].startswith("progress: 0 loss 7.3159")


STARTS = {"C with bias": {}, "C without bias": {"bias": False}, "D": {}}


@pytest.mark.parametrize("dtype", lesson.DTYPES)
@pytest.mark.parametrize("name", STARTS)
def test_both_sides_draw_the_same_start_bit_for_bit(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        ours = tree.flatten(lesson.twin(name[0], "JAX").start(**STARTS[name], dtype=dtype))
    torch.manual_seed(1)  # where torch's stream stands is of no matter
    theirs = lesson.twin(name[0], "PyTorch").start(**STARTS[name], dtype=dtype).state_dict()
    assert set(ours) == set(theirs)
    for key, x in theirs.items():
        assert str(ours[key].dtype) == dtype
        assert np.asarray(ours[key]).tobytes() == x.numpy().tobytes(), key


def test_the_start_is_drawn_without_torch_so_nothing_is_copied():
    code = """
import sys
sys.modules["torch"] = None  # importing it is an error
from fnlearn import lessons, tree
from fnlearn.equivalence import assert_equivalent
for letter in "CD":
    for name, x in tree.flatten(lessons.twin(letter, "JAX").start()).items():
        print(letter, name, x.tobytes().hex())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    drawn = {(letter, name): numbers for letter, name, numbers in map(str.split, done.stdout.splitlines())}
    for letter in "CD":
        for name, x in lesson.twin(letter, "PyTorch").start().state_dict().items():
            assert drawn.pop((letter, name)) == x.numpy().tobytes().hex()
    assert not drawn


def test_lessons_c_and_d_say_that_no_weights_are_copied():
    for letter in "CD":
        found = run(letter)
        assert found.notes[0] == "torch.manual_seed(0) and TorchGenerator(0) draw the same weights: none are copied."
        starts = [row for row in found.rows if " at the start" in row.quantity]
        assert {row.dtype for row in starts} == set(lesson.DTYPES)
        assert {row.leaf and row.leaf.verdict for row in starts} == {"equal"}


def test_lesson_c_learns_with_and_without_bias():
    found = {name: row.jax for name, row in values(run("C")).items()}
    for start in ("with bias", "without bias"):
        early, late = (abs(found[f"prediction for 4, {n} epochs {start}"].item() - 8) for n in (100, 1000))
        assert late <= early < 0.5
        assert late < 1e-3
    shapes = {name: row.jax for name, row in values(run("C"), "float32").items() if name.startswith("Linear")}
    assert shapes["Linear(8, 6): shapes of x, weight, bias, y"].tolist() == [3, 8, 6, 8, 6, 3, 6]


def test_lesson_d_learns_from_real_data():
    found = {name: row.jax for name, row in values(run("D")).items()}
    _, _, _, y_test = pima.load()
    majority = max(y_test.mean(), 1 - y_test.mean())
    for batches, steps in (("full batch", 1000), ("batches of 32", 100 * 20)):
        losses = found[f"loss, {batches}"]
        assert losses.shape == (steps,)
        assert losses[-20:].mean() < 0.8 * losses[:20].mean()
        assert found[f"test accuracy, {batches}"] > majority + 0.02


def test_the_two_bugs_show_late_in_pytorch_and_early_in_jax():
    late = torch_bugs.overwritten()
    assert late["build the model"] == late["list its weights"] == "no error"
    assert late["run the first batch"].startswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied")
    assert jax_bugs.overwritten() == {
        "read the source": "SyntaxError: keyword argument repeated: linear1 (model.py, line 1)"
    }
    assert torch_bugs.undefined()["run the first batch"] == "NameError: name 'y_pred' is not defined"
    assert jax_bugs.undefined()["trace it, without data"] == "NameError: name 'y_pred' is not defined"


@pytest.mark.parametrize("folder", TWINS, ids=lambda path: path.name)
def test_twins_define_the_same_names_in_the_same_order_on_one_screen(folder):
    """A diff of the two teaches the port; what only one side needs stands after `main`."""
    sides = {}
    for name in ("torch_side", "jax_side"):
        text = (folder / f"{name}.py").read_text()
        assert len(text.splitlines()) <= 65, f"{name} is longer than a screen"
        body = ast.parse(text).body
        defined = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        sides[name] = defined[: defined.index("main") + 1]
    assert sides["torch_side"] == sides["jax_side"]


@pytest.mark.parametrize("folder", TWINS, ids=lambda path: path.name)
@pytest.mark.parametrize("side", ["torch_side", "jax_side"])
def test_each_side_runs_alone(folder, side):
    module = f"fnlearn.lessons.{folder.name}.{side}"
    done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_plots_are_pictures(tmp_path):
    results = [run(letter) for letter in "AB"]
    written = lessons.plots(results, tmp_path / "new" / "folder")
    assert sorted(path.name for path in written) == ["activations.svg", "lesson_a_graph.svg", "lesson_b_loss.svg"]
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(p.name for p in written)
    for path in written:
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_table_is_split_in_two_and_standardised():
    x, y, x_test, y_test = pima.load()
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((615, 8), (615, 1), (153, 8), (153, 1))
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(0), 1, rtol=1e-12)
    assert y.sum() + y_test.sum() == 268


HEADER = ",".join(pima.COLUMNS)
ROW = "1,2,3,4,5,6,7,8,1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be pregnant,"),
        ("a,b\n", "the first line must be pregnant,"),
        (f"{HEADER}\n{ROW}\n1,2,3\n", "line 3: 9 values expected, got 3"),
        (f"{HEADER}\n1,two,3,4,5,6,7,8,1\n", "line 2: could not convert string to float: 'two'"),
        (f"{HEADER}\n1,nan,3,4,5,6,7,8,1\n", "line 2: every value must be finite"),
        (f"{HEADER}\n1,2,3,4,5,6,7,8,2\n", "line 2: diabetes must be 0 or 1, got 2"),
        (f"{HEADER}\n{ROW}\n", "at least 10 rows are needed for a split, got 1"),
        (f"{HEADER}\n" + f"{ROW}\n" * 20, "column pregnant is constant"),
    ],
)
def test_a_malformed_table_is_told_by_line(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        pima.load(path)
    assert str(caught.value).startswith(str(path))


def test_a_table_that_is_not_text_or_not_there(tmp_path):
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (binary, tmp_path / "missing.csv", tmp_path):
        with pytest.raises(ValueError, match="can't be read"):
            pima.load(path)
