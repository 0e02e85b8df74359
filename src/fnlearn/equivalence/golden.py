"""The torch side's answers in a file, so that a port can be checked where there is no torch.

One safetensors file: the arrays as they are, and in its metadata, as JSON, what they belong to. Nothing in it is run.
"""

import datetime
import json
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from fnlearn import files
from fnlearn.equivalence import torch_side
from fnlearn.equivalence.asked import MODES, Call, Inputs, Request, calls_of
from fnlearn.equivalence.draws import Draw
from fnlearn.equivalence.torch_side import Event, Facts, Recording, Run
from fnlearn.tree import as_numpy

FORMAT = "fnlearn.golden.1"
RECORDS = {"Draw": Draw, "Event": Event, "Facts": Facts, "Inputs": Inputs}


def record(
    path: str | os.PathLike[str],
    module: Any,
    inputs: Call | list[Call],
    *,
    loss: Callable[[Any], Any] | None = None,
    constant: Collection[str] = (),
    run: tuple[Any, ...] | None = None,
    dtypes: Sequence[str] = ("float32",),
    modes: Sequence[str] = MODES,
) -> None:
    """Write what a module answers to all questions.

    Args: path: the file to be, `.safetensors`. module: a `torch.nn.Module`. inputs, dtypes, modes: as for `forward`.
        loss: makes a number of the output; its gradients are recorded beside those of a random linear combination.
        constant: as for `backward`. run: (make, batches, loss), to record a whole run too; or (make, batches, loss,
        scheduler, clip), all as for `training` and torch's alone.
    Raises: ValueError for another suffix, or an unknown mode; what the module raises; OSError when the file can't be
        written, and then an old one stays.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"only .safetensors files are written, got {os.fspath(path)!r}")
    calls, answers = calls_of(inputs), dict[str, Any]()
    answers["weights"] = torch_side.weights(module)
    answers["draws otherwise"] = torch_side.draws_otherwise(module, calls[0])
    asked, _ = torch_side.answerable(module, calls, dtypes, modes)
    for request in dict.fromkeys([*asked, *(request.wide for request in asked)]):
        same = request.dtype == request.seen
        for what, of in (("out", None), ("grad", None), ("loss", loss)):
            if what != "loss" or loss is not None:
                given = (module, calls, request, what != "out", of, constant)
                answers[torch_side.key(request, what)] = torch_side.answer(*given)
                if same:
                    _keep(answers, request, f"rounding {what}", torch_side.answer_rounding(*given))
        answers[torch_side.key(request, "layers")] = torch_side.layers(module, calls, request)
        if same:
            _keep(answers, request, "rounding layers", torch_side.layers_rounding(module, calls, request))
    if run is not None:
        answers |= _of_run(module, Run(*run), dtypes)
    import torch

    made = f"{datetime.date.today().isoformat()}, torch {torch.__version__}, {type(module).__name__}"
    recording = Recording(calls, list(run[1]) if run else None, answers, torch_side.facts(module), made)
    arrays = dict[str, np.ndarray]()
    packed = json.dumps(_packed(recording._asdict(), arrays))
    with files.replacing(path) as temporary:
        safetensors.numpy.save_file(arrays, temporary, metadata={FORMAT: packed})


def _of_run(module: Any, run: Run, dtypes: Sequence[str]) -> dict[str, Any]:
    answers = dict[str, Any]()
    for dtype in torch_side.dtypes_of_run(module, run, dtypes)[0]:
        for computed in dict.fromkeys((dtype, "float64")):
            key = torch_side.key(Request(0, computed, dtype, True), "run")
            answers[key] = torch_side.run(module, run, computed, dtype)
        _keep(answers, Request(0, dtype, dtype, True), "rounding run", torch_side.run_rounding(module, run, dtype))
    return answers


def _keep(answers: dict[str, Any], request: Request, what: str, errors: Any) -> None:
    """Errors by rounding; in float64 most modules have none."""
    if request.dtype != "float64" or any(jax.tree.leaves(errors)):
        answers[torch_side.key(request, what)] = errors


def load(path: str | os.PathLike[str]) -> Recording:
    """Read what a module answered; the recording takes the module's place in a `pair`.

    Args: path: a file that `record` wrote.
    Returns: a `Recording`; `inputs` and `batches` are what was asked.
    Raises: ValueError when the file is no recording; OSError when it can't be read.
    """
    if not Path(path).exists():
        raise FileNotFoundError(2, "no such recording", os.fspath(path))
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            packed = json.loads(file.metadata()[FORMAT])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        return Recording(**_unpacked(packed, arrays))
    except OSError:
        raise
    except Exception as error:  # the library's own error type is not public in all its versions
        raise ValueError(f"{os.fspath(path)}: not a recording of a torch module ({type(error).__name__})") from error


def _packed(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A tree as JSON, its arrays apart."""
    if isinstance(tree, str | bool | int | float | None):
        return tree
    if isinstance(tree, dict):
        return {"dict": [[key, _packed(value, arrays)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):  # the records too
        return {type(tree).__name__: [_packed(value, arrays) for value in tree]}
    name, array = str(len(arrays)), np.array(as_numpy(tree), order="C")
    if array.dtype == np.complex128:  # which safetensors has not
        arrays[name] = np.stack([array.real, array.imag])
        return {"complex128": name}
    arrays[name] = array
    return {"array": name}


def _unpacked(packed: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(packed, dict):
        return packed
    ((kind, members),) = packed.items()
    if kind == "array":
        return arrays[members]
    if kind == "complex128":
        return arrays[members][0] + 1j * arrays[members][1]
    if kind == "dict":
        return {key: _unpacked(value, arrays) for key, value in members}
    values = [_unpacked(value, arrays) for value in members]
    if kind in ("list", "tuple"):
        return tuple(values) if kind == "tuple" else values
    return RECORDS[kind](*values)  # and nothing else, whatever a file says
