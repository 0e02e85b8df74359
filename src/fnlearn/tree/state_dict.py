"""Parameters in and out: loading by name with every fault told at once, safetensors files, and torch's own files.

Nothing here runs what a file says: safetensors holds numbers alone, and torch reads its files with `weights_only=True`.
"""

import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from fnlearn import files
from fnlearn.tree import nested

__all__ = ["as_numpy", "load", "load_state_dict", "save"]

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
ORDER = "fnlearn.names"  # where the file's metadata keeps the order of the names, which safetensors itself does not
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": ml_dtypes.bfloat16,
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
    "BOOL": "bool", "C64": "complex64", "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip


def load_state_dict(
    params: Mapping[str, Any], buffers: Mapping[str, Any], state_dict: Mapping[str, Any], strict: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A layer's parameters and buffers with the numbers of a state_dict.

    Args: params, buffers: a layer's, as `init` makes them; they say what is expected and in which dtype. state_dict:
        tensors or arrays by joined keys, or nested dicts of them. strict: refuse missing and unexpected names; without
        it the former keep their numbers and the latter are left out.
    Returns: (params, buffers), new nested dicts of JAX arrays.
    Raises: ValueError that lists every missing, unexpected and wrongly shaped name; the last are refused in any case.
    Source: `torch.nn.Module.load_state_dict`.
    """
    given = _flat(state_dict)
    expected = nested.flatten(params) | nested.flatten(buffers)
    arrays = {name: as_numpy(value) for name, value in given.items()}
    _refuse_faults(expected, arrays, strict)

    def filled(part: Mapping[str, Any]) -> dict[str, Any]:
        flat = {name: _like(arrays[name], old) if name in arrays else old for name, old in nested.flatten(part).items()}
        return nested.unflatten(flat)

    return filled(params), filled(buffers)


def save(path: str | os.PathLike[str], params: Mapping[str, Any]) -> None:
    """Write parameters as a safetensors file, bit by bit, with torch's names in their order.

    Args: path: the file to be, `.safetensors`. params: nested dicts of arrays, or arrays by joined keys.
    Raises: ValueError for another suffix; OSError when it can't be written, and then the old file stays.
    Source: the safetensors format.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"only .safetensors files are written, got {os.fspath(path)!r}")
    flat = _flat(params)
    arrays = {name: np.ascontiguousarray(as_numpy(value)).reshape(np.shape(value)) for name, value in flat.items()}
    with files.replacing(path) as temporary:
        safetensors.numpy.save_file(arrays, temporary, metadata={ORDER: json.dumps(list(arrays))})


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read parameters from a safetensors file, or from one of torch's when torch is installed.

    Args: path: `.safetensors`, or `.pt`, `.pth`, `.bin`, `.ckpt`, read with `weights_only=True`.
    Returns: nested dicts of numpy arrays in the file's own dtypes, whose joined keys are the file's names.
    Raises: ValueError when the file is not what its suffix says, holds something other than tensors by name, or torch
        is needed and missing; OSError when it can't be read.
    Source: the safetensors format; `torch.load`.
    """
    suffix = Path(path).suffix
    if suffix == ".safetensors":
        return nested.unflatten(_load_safetensors(Path(path)))
    if suffix in TORCH_SUFFIXES:
        return nested.unflatten(_load_torch(Path(path)))
    raise ValueError(f"{os.fspath(path)}: the suffix must be .safetensors or one of {', '.join(TORCH_SUFFIXES)}")


def as_numpy(value: Any) -> np.ndarray:
    """A tensor or array as a numpy array; torch's are told by what they can do, so that torch need not be there.

    Args: value: a `torch.Tensor`, a JAX or numpy array, or a number.
    Returns: a numpy array of the same dtype; bfloat16 is that of `ml_dtypes`.
    """
    if not hasattr(value, "detach"):
        return np.asarray(value)
    tensor = value.detach().cpu().resolve_conj()
    if str(tensor.dtype) == "torch.bfloat16":  # numpy has no bfloat16 of its own; every one is a float32
        return np.asarray(tensor.float().numpy().astype(ml_dtypes.bfloat16))
    return np.asarray(tensor.numpy())


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves by joined keys; what has them already is left as it is."""
    return nested.flatten(tree) if any(isinstance(value, Mapping) for value in tree.values()) else dict(tree)


def _refuse_faults(expected: Mapping[str, Any], arrays: Mapping[str, np.ndarray], strict: bool) -> None:
    faults = []
    if strict:
        faults += [f"missing: {name}" for name in expected if name not in arrays]
        faults += [f"unexpected: {name}" for name in arrays if name not in expected]
    faults += [
        f"wrong shape: {name} is {array.shape}, expected {np.shape(expected[name])}"
        for name, array in arrays.items()
        if name in expected and array.shape != np.shape(expected[name])
    ]
    if faults:
        raise ValueError("the state_dict does not fit:\n  " + "\n  ".join(faults))


def _like(array: np.ndarray, old: Any) -> Any:
    return jnp.asarray(array.astype(old.dtype))


def _load_safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    try:
        found = dict(safetensors.deserialize(data))
    except Exception as error:  # the library's own error type is not public in all its versions
        raise ValueError(f"{path}: not a safetensors file: {error}") from error
    unknown = sorted({told["dtype"] for told in found.values()} - DTYPES.keys())
    if unknown:
        raise ValueError(f"{path}: numpy has no {', '.join(unknown)}")
    arrays = {
        name: np.frombuffer(told["data"], DTYPES[told["dtype"]]).reshape(told["shape"]) for name, told in found.items()
    }
    order = [name for name in _names_in_order(data) if name in arrays]
    return {name: arrays[name] for name in (*order, *(arrays.keys() - set(order)))}


def _names_in_order(data: bytes) -> list[str]:
    """From the metadata where we wrote it; else as the header lists them."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.pop("__metadata__", {})
    return json.loads(metadata[ORDER]) if ORDER in metadata else list(header)


def _load_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        torch = importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: torch is needed to read it: pip install torch==2.13.0") from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises whatever its unpickler met
        raise ValueError(f"{path}: torch can't read it as weights alone: {str(error).splitlines()[0]}") from error
    if not isinstance(found, Mapping) or not all(torch.is_tensor(value) for value in found.values()):
        raise ValueError(f"{path}: a state_dict is expected, tensors by name; got {_described(found)}")
    return {name: as_numpy(tensor) for name, tensor in found.items()}


def _described(found: Any) -> str:
    if isinstance(found, Mapping):
        return f"a dict of {', '.join(sorted({type(value).__name__ for value in found.values()}))}"
    return type(found).__name__
