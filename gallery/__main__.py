"""Writes every model.py and the page that shows them: `python -m gallery`, or only those named."""

import sys
from pathlib import Path

from gallery.models import NAMES, written
from gallery.page import PAGE, page

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        (Path(__file__).parent / name / "model.py").write_text(written(name).source)
    PAGE.write_text(page())
