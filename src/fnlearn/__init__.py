"""PyTorch training as pure JAX functions: ported, proven, faster.

The rooms are imported when they are first used, so that `import fnlearn` costs next to nothing:
`fnlearn.functional`, `fnlearn.nn`, `fnlearn.optim`, `fnlearn.train`, `fnlearn.explain`, `fnlearn.equivalence`,
`fnlearn.lessons`, `fnlearn.port`, `fnlearn.bench`, `fnlearn.tree`, `fnlearn.random`, `fnlearn.files` and `fnlearn.cpu`,
whose `configure_cpu` is here too.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnlearn import (
        bench,
        cpu,
        equivalence,
        explain,
        files,
        functional,
        lessons,
        nn,
        optim,
        port,
        random,
        train,
        tree,
    )
    from fnlearn.cpu import configure_cpu as configure_cpu

__version__ = "0.1.0"
__all__ = [
    "bench",
    "cpu",
    "equivalence",
    "explain",
    "files",
    "functional",
    "lessons",
    "nn",
    "optim",
    "port",
    "random",
    "train",
    "tree",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"fnlearn.{name}")
    if name == "configure_cpu":
        return importlib.import_module("fnlearn.cpu").configure_cpu
    raise AttributeError(f"module 'fnlearn' has no attribute {name!r}; its rooms are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__", "configure_cpu"]
