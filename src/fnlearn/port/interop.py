"""A port for users of other libraries: as a flax module, and with weights of a checkpoint."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from flax import nnx

from fnlearn import tree

__all__ = ["Ported", "weights_of"]


class Ported(nnx.Module):
    """A port as a module: its parameters are `nnx.Param`, its buffers `nnx.BatchStat`, both by torch's names.

    Args: apply: the port's. params, buffers: its arrays.
    Raises: as `apply`.
    """

    def __init__(self, apply: Any, params: Mapping[str, Any], buffers: Mapping[str, Any]):
        self.apply = nnx.static(apply)
        self.params = _variables(params, nnx.Param)
        self.buffers = _variables(buffers, nnx.BatchStat)

    def __call__(self, *inputs: Any, train: bool = False, key: Any = None, **named: Any) -> Any:
        """What the model returns; in training its buffers change.

        Args: inputs, named: the model's. train: whether in training. key: where it draws.
        Returns: the outputs.
        """
        out, after = self.apply(_arrays(self.params), _arrays(self.buffers), *inputs, train=train, key=key, **named)
        if train:
            _write(self.buffers, after)
        return out


def _variables(values: Mapping[str, Any], kind: type[nnx.Variable[Any]]) -> nnx.Dict[Any]:
    return nnx.Dict({key: _variables(x, kind) if isinstance(x, Mapping) else kind(x) for key, x in values.items()})


def _arrays(variables: nnx.Dict[Any]) -> dict[str, Any]:
    return {key: _arrays(x) if isinstance(x, nnx.Dict) else x[...] for key, x in variables.items()}


def _write(variables: nnx.Dict[Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping):
            _write(variables[key], value)
        else:
            variables[key][...] = value


def weights_of(
    path: str | os.PathLike[str], module: torch.nn.Module, params: Mapping[str, Any], buffers: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers from a checkpoint: a file, or a folder of safetensors files, as models are published.

    A tied weight may be there under any of its names; what torch does not save keeps its numbers.
    """
    given = _state(Path(path))
    wanted = tree.flatten(params) | tree.flatten(buffers)
    tied: dict[int, list[str]] = {}
    for name, tensor in (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ):
        tied.setdefault(id(tensor), []).append(name)
    for names in tied.values():
        found = [given.pop(name) for name in names if name in given]
        own = next((name for name in names if name in wanted), None)
        if found and own is not None:
            given[own] = found[0]
    unsaved = wanted.keys() - {name for name in module.state_dict()}
    kept = {name: wanted[name] for name in unsaved if name not in given}
    return tree.load_state_dict(params, buffers, given | kept)


def _state(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        return tree.flatten(tree.load(path))
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{path} holds no .safetensors file")
    return {name: array for file in files for name, array in tree.flatten(tree.load(file)).items()}
