"""The pytest plugin, in runs of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import numpy as np
import fnlearn.functional as F
from fnlearn.equivalence import backward, check, forward, pair

INPUTS = (np.random.default_rng(0).standard_normal((3, 4)),)


def make():
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.GELU(), torch.nn.Linear(5, 2))


def port(params, x, activation=F.gelu):
    return F.linear(activation(F.linear(x, **params["0"])), **params["2"])


def test_right(equivalence, torch_reference):
    both = pair(torch_reference(make, INPUTS), port)
    equivalence(*check(both, INPUTS))


def test_wrong(equivalence, torch_reference):
    wrong = pair(torch_reference(make, INPUTS), lambda params, x: port(params, x, F.relu))
    equivalence(forward(wrong, INPUTS))


def test_other():
    assert True
"""
ALONE = ("-p", "no:cacheprovider", "-p", "no:randomly")


@pytest.fixture
def tests(pytester):
    pytester.makepyfile(TESTS)
    return pytester


def test_summary_and_failures(tests):
    done = tests.runpytest_inprocess(*ALONE)
    done.assert_outcomes(passed=2, failed=1)
    text = done.stdout.str()
    assert re.search(r"the two sides part at forward: eval\.float32\.out", text)
    assert re.search(r"forward: eval\.float32\.out: differs, max abs [\d.e-]+; error against float64: PyTorch", text)
    summary = text[text.index("JAX's error in units of PyTorch's") :]
    ratios = re.findall(r"^ *([\d.e+]+)  \S+::(test_\w+)(: parts at)?", summary, re.MULTILINE)
    assert [(name, bool(parts)) for _, name, parts in ratios] == [("test_wrong", True), ("test_right", False)]
    assert float(ratios[0][0]) > 100 > float(ratios[1][0]) > 0


def test_report_of_several_processes(tests):
    done = tests.runpytest_subprocess(*ALONE, "-n", "2", "--fnlearn-report=out.html")
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(["wrote out.html"])
    page = (tests.path / "out.html").read_text()
    assert "2 comparisons, 1 with differences" in page
    assert "They part at eval.float32.out" in page


def test_golden_files_replace_torch(tests):
    tests.runpytest_inprocess(*ALONE, "--fnlearn-golden=golden").assert_outcomes(passed=2, failed=1)
    files = sorted(path.name for path in (tests.path / "golden").iterdir())
    assert len(files) == 2
    assert files[0].endswith("test_right.safetensors")
    tests.makeconftest("import sys; sys.modules['torch'] = None")
    done = tests.runpytest_subprocess(*ALONE, "-k", "right", "--fnlearn-golden=golden")
    done.assert_outcomes(passed=1, deselected=2)
    tests.runpytest_subprocess(*ALONE, "-k", "right").assert_outcomes(skipped=1, deselected=2)


def test_equivalence_wants_answers(pytester):
    pytester.makepyfile("def test_nothing(equivalence):\n    equivalence()")
    done = pytester.runpytest_inprocess(*ALONE)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*TypeError: equivalence(...) takes answers*"])


def test_an_unrelated_run_does_not_notice_it(pytester, monkeypatch):
    """Nothing is imported, nothing is printed."""
    pytester.makepyfile(
        "import sys\ndef test_it():\n    assert '_fnlearn_pytest' in sys.modules\n"
        "    assert not {'fnlearn', 'jax', 'torch', 'numpy'} & set(sys.modules)"
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of other packages, which import much
    done = pytester.runpytest_subprocess(*ALONE, "-p", "_fnlearn_pytest")
    done.assert_outcomes(passed=1)
    assert "fnlearn" not in done.stdout.str()


def test_the_plugin_imports_pytest_alone():
    code = "import pytest, sys; before = set(sys.modules); import _fnlearn_pytest; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.stdout.split() == ["_fnlearn_pytest"], done.stderr
