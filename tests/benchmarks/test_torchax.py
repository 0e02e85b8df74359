"""Steps by torchax beside ours: the same numbers, where it is installed."""

import subprocess
import sys

import pytest

from benchmarks import torchax


def test_every_model_is_a_case():
    assert len(torchax.CASES) == len(torchax.PORTS) + len(torchax.STEPS)


@pytest.mark.skipif(not torchax.INSTALLED, reason="torchax is not installed")
def test_both_learn_the_same():
    """In a process of its own, since torchax changes torch for all of it."""
    command = [sys.executable, "-m", "benchmarks.torchax", "port_small_notes", "--quick", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
