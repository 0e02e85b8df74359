"""Writes every model.py: `python -m gallery`, or only those named."""

import sys
from pathlib import Path

from gallery.models import NAMES, written

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        (Path(__file__).parent / name / "model.py").write_text(written(name).source)
