"""The two sides of a comparison as a command line names them: `path.py:name`, or `package.module:name`."""

import importlib
import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from fnlearn.equivalence.asked import Call
from fnlearn.equivalence.pair import Pair, pair

_loaded = itertools.count()


def module_and_inputs(text: str) -> tuple[Any, Call | list[Call]]:
    """A module and what it is to be called with.

    Args: text: `path.py:name` or `package.module:name`, the name of a `torch.nn.Module` or of what makes one without
        arguments, after `torch.manual_seed(0)`. The file's own `inputs` are a tuple of positional arguments, a dict of
        keyword ones, a list of several such calls, or a function that makes them.
    Returns: (module, inputs).
    Raises: ValueError that says what is missing; what the file raises.
    """
    file, module = _module(text)
    inputs = _value(file, "inputs")
    if not isinstance(inputs, tuple | dict | list) or not inputs:
        what = "nothing" if inputs is None else type(inputs).__name__
        raise ValueError(
            f"{file.__file__} must define `inputs`, a tuple or dict of arguments or a list of them, got {what}"
        )
    return module, inputs


def module(text: str) -> Any:
    """A module alone; text as for `module_and_inputs`."""
    return _module(text)[1]


def _module(text: str) -> tuple[ModuleType, Any]:
    import torch

    torch.manual_seed(0)
    file, found = _found(text)
    made = found() if callable(found) and not isinstance(found, torch.nn.Module) else found
    if not isinstance(made, torch.nn.Module):
        raise ValueError(f"{text} must be a torch.nn.Module or make one, got {type(made).__name__}")
    return file, made


def with_port(module: Any, text: str) -> Pair:
    """The pair of a module and its port.

    Args: module: a `torch.nn.Module` or a `Recording`. text: `path.py:name`, the name of a `Layer` or of a function as
        for `pair`. The file's own `params`, `buffers` and `names` are taken if there are any, the first two also as
        functions that make them.
    Returns: a `Pair`.
    Raises: ValueError that says what is missing; what the file raises.
    """
    file, found = _found(text)
    if not callable(found) and not hasattr(found, "apply"):
        raise ValueError(f"{text} must be a Layer or a function (params, *inputs), got {type(found).__name__}")
    own = {name: value for name in ("params", "buffers") if (value := _value(file, name)) is not None}
    if names := getattr(file, "names", None):
        own["names"] = names
    return pair(module, found, **own)


def _found(text: str) -> tuple[ModuleType, Any]:
    path, colon, name = text.rpartition(":")
    by_name = all(part.isidentifier() for part in path.split("."))
    if not colon or not (path.endswith(".py") or by_name) or not name.isidentifier():
        raise ValueError(f"expected path.py:name or package.module:name, got {text!r}")
    file = _executed(path) if path.endswith(".py") else importlib.import_module(path)
    if not hasattr(file, name):
        raise ValueError(f"{path} has no {name}")
    return file, getattr(file, name)


def _executed(path: str) -> ModuleType:
    if not Path(path).is_file():
        raise ValueError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(f"fnlearn_named_{next(_loaded)}_{Path(path).stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: not a Python file")
    file = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = file  # where the layers of a plain module are looked up
    sys.path.insert(0, str(Path(path).resolve().parent))  # for what it imports from beside it
    try:
        spec.loader.exec_module(file)
    finally:
        sys.path.pop(0)
    return file


def _value(file: ModuleType, name: str) -> Any:
    value = getattr(file, name, None)
    return value() if callable(value) else value
