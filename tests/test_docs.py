"""Every code block of the README and of docs/ is run, and what is generated is up to date."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import pytest
import torch

import fnlearn.functional as F
from docs import port_lists, support

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = [
    "python3 -m venv .venv && .venv/bin/pip install '.[torch]' && .venv/bin/fnlearn lessons",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
]


def blocks(page, language):
    return [code for found, code in BLOCK.findall(page.read_text()) if found == language]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch, capsys):
    """One after the other in one namespace, as a reader types them, with JAX's own settings."""
    monkeypatch.chdir(tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        namespace: dict[str, object] = {}
        for code in blocks(page, "python"):
            exec(compile(code, str(page), "exec"), namespace)


CONSOLE = [
    pytest.param(*lines, id=f"{page.name}: {lines[0]}")
    for page in PAGES
    for code in blocks(page, "console")
    for lines in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE)
]


@pytest.mark.parametrize(("command", "printed"), CONSOLE)
def test_console_blocks_run(command, printed, tmp_path):
    """And print what the page says, where it says what is printed."""
    program, *arguments = shlex.split(command)
    start = {"fnlearn": [sys.executable, "-m", "fnlearn"], "python": [sys.executable]}[program]
    environment = {**os.environ, "PYTHONUTF8": "1"}
    done = subprocess.run([*start, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not printed or done.stdout == printed


def test_no_block_is_left_out():
    """Python and console blocks are run above; shell blocks are the commands that .ci/run runs, or is."""
    for page in PAGES:
        assert {language for language, _ in BLOCK.findall(page.read_text())} <= {"python", "console", "bash"}
    assert [code.strip() for page in PAGES for code in blocks(page, "bash")] == COMMANDS
    assert re.findall(r"^python3 -m venv .*", (ROOT / "README.md").read_text(), re.MULTILINE) == COMMANDS


def test_the_first_screen_shows_what_it_does_in_ten_lines():
    readme = (ROOT / "README.md").read_text()
    assert readme[: readme.index("```python")].count("\n") < 6
    code = [line for line in blocks(ROOT / "README.md", "python")[0].splitlines() if line]
    assert len([line for line in code if not line.startswith(("import", "from"))]) <= 10


def test_support_table_is_up_to_date():
    assert support.PAGE.read_text() == support.page(), "run python docs/support.py"


def test_lists_of_what_is_not_ported_are_up_to_date():
    assert port_lists.PAGE.read_text() == port_lists.page(), "run python docs/port_lists.py"


def test_every_name_of_torch_is_here_or_its_absence_is_explained():
    names = [n for n in dir(torch.nn.functional) if not n.startswith("_") and callable(getattr(torch.nn.functional, n))]
    functions = {n for n in names if not isinstance(getattr(torch.nn.functional, n), type) and n != "Optional"}
    assert functions - set(F.__all__) == set(support.ABSENT)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"<pre>.*?</pre>", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
