"""Files that are never half written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside `path` to write to: it takes the path's place at the end, and goes if anything fails.

    Args: path: the file to be; its folder must exist. What stands there stays until the new one is whole.
    Returns: a context manager that gives the temporary file's path, with the same suffix.
    Raises: OSError when the folder can't be written.
    """
    target = Path(path)
    descriptor, name = tempfile.mkstemp(suffix=target.suffix, prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp's files are the owner's alone
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
