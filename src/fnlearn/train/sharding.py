"""Where the parts of a training run are, on many devices: one program, told by layouts alone.

A layout is a tree of `jax.sharding.NamedSharding`. State and batch are put where it says, the step is jitted as it is,
and XLA adds the communication: sums of gradients for data parallelism, gathers of parameters where they are split.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fnlearn.optim.grouping import named
from fnlearn.train.step import Step

__all__ = ["batches", "bytes_per_device", "jitted", "layout", "mesh", "place"]

Rule = tuple[str, PartitionSpec]
LEAST = 1024  # numbers; splitting smaller arrays costs more messages than it saves memory


def mesh(axes: Mapping[str, int], devices: Sequence[Any] | None = None) -> Mesh:
    """Devices as a grid whose axes have names, over which XLA splits computations by itself.

    Args: axes: how many devices along each axis. devices: which; the first of all processes' when left out.
    Returns: a mesh.
    Raises: ValueError when there are fewer devices.
    Source: `jax.make_mesh`; `torch.distributed.device_mesh.init_device_mesh`.
    """
    there, wanted = list(jax.devices() if devices is None else devices), math.prod(axes.values())
    if len(there) < wanted:
        raise ValueError(f"a mesh of {dict(axes)} needs {wanted} devices, there are {len(there)}")
    kinds = (AxisType.Auto,) * len(axes)
    return jax.make_mesh(tuple(axes.values()), tuple(axes), devices=there[:wanted], axis_types=kinds)


def layout(tree: Any, mesh: Mesh, rules: Sequence[Rule] = (), fsdp: str | None = None, least: int = LEAST) -> Any:
    """Where every array of a tree goes: by rules on its name, split over an axis, or whole on every device.

        over = sharding.mesh({"data": 4, "model": 2})
        places = sharding.layout(state, over, [(r"c_fc.weight", PartitionSpec("model"))], fsdp="data")

    A rule made for a parameter also places its averages in the optimizer's state, whose names end in the parameter's.

    Args: tree: a `TrainState`, or any tree of arrays or `jax.ShapeDtypeStruct`. mesh: the devices. rules: pairs of a
        regular expression, searched in the name (keys joined by "."), and the partition of the array's dimensions; the
        first that is found and whose partition has no more dimensions than the array counts. fsdp: the axis over which
        all else is split, each array along the first of its longest dimensions that divides evenly, beside what a rule
        splits. least: numbers of an array, below which it is not split over `fsdp`.
    Returns: a tree of `NamedSharding`.
    Raises: ValueError when an axis is not the mesh's, or a rule's dimension does not divide evenly.
    Source: Rajbhandari et al.: ZeRO (2020); `torch.distributed.fsdp`; Shoeybi et al.: Megatron-LM (2019).
    """
    if fsdp is not None and fsdp not in mesh.shape:
        raise ValueError(f"fsdp must be one of the mesh's axes {tuple(mesh.shape)}, got {fsdp!r}")

    def place(path: Any, x: Any) -> NamedSharding:
        name, shape = named(path), np.shape(x)
        partition = next((p for pattern, p in rules if re.search(pattern, name) and len(p) <= len(shape)), None)
        parts = list(partition or ()) + [None] * (len(shape) - len(partition or ()))
        for dim, axes in enumerate(parts):
            if shape[dim] % _devices(mesh, axes, name):
                raise ValueError(
                    f"{name}: dimension {dim} of shape {shape} does not divide by {axes!r} of {mesh.shape}"
                )
        if fsdp is not None and math.prod(shape) >= least and not any(fsdp in _axes(axes) for axes in parts):
            free = [d for d in range(len(shape)) if parts[d] is None and shape[d] % mesh.shape[fsdp] == 0]
            if free:
                parts[max(free, key=lambda d: shape[d])] = fsdp
        return NamedSharding(mesh, PartitionSpec(*parts))

    return jax.tree_util.tree_map_with_path(place, tree)


def place(tree: Any, places: Any) -> Any:
    """A tree of arrays where a layout says, each process giving its part.

    It may share memory with what it was given, which a donated step then takes over: place a tree once.

    Args: tree: arrays that are the same in every process. places: as `layout` returns it, or one sharding for all.
    Returns: the tree on the mesh.
    Raises: ValueError when a shape does not divide as its sharding wants.
    Source: `jax.device_put`; across processes `jax.make_array_from_callback`.
    """
    if isinstance(places, jax.sharding.Sharding):
        return jax.tree.map(lambda x: _put(x, places), tree)
    return jax.tree.map(_put, tree, places)


def _put(x: Any, sharding: jax.sharding.Sharding) -> jax.Array:
    if sharding.is_fully_addressable:
        return jax.device_put(x, sharding)
    if jax.dtypes.issubdtype(jax.dtypes.result_type(x), jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_put(jax.random.key_data(x), sharding), impl=jax.random.key_impl(x))
    host = np.asarray(x)
    return jax.make_array_from_callback(host.shape, sharding, lambda part: host[part])


def batches(mesh: Mesh, axes: str | tuple[str, ...] = "data") -> NamedSharding:
    """Where a batch goes: its rows over axes of the mesh.

    Args: mesh: the devices. axes: over which the first dimension of every array is split.
    Returns: a sharding for `place` and for `prefetch`.
    Raises: ValueError when an axis is not the mesh's.
    Source: `torch.utils.data.DistributedSampler`.
    """
    _devices(mesh, axes, "a batch")
    return NamedSharding(mesh, PartitionSpec(axes))


def jitted(step: Step, places: Any) -> Any:
    """A step whose state stays where it is.

    Args: step: as `make_step` returns it. places: the state's layout.
    Returns: the jitted step, which takes over the state's memory.
    Raises: nothing.
    Source: `jax.jit`.
    """
    return jax.jit(step, donate_argnums=0, out_shardings=(places, None))


def bytes_per_device(tree: Any) -> dict[Any, int]:
    """How much of a tree each device holds.

    Args: tree: arrays that are on devices.
    Returns: bytes, by device of this process.
    Raises: nothing.
    Source: `jax.Array.addressable_shards`.
    """
    held: dict[Any, int] = {}
    for x in jax.tree.leaves(tree):
        for shard in x.addressable_shards:
            held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
    return held


def _axes(axes: Any) -> tuple[str, ...]:
    return () if axes is None else axes if isinstance(axes, tuple) else (axes,)


def _devices(mesh: Mesh, axes: Any, name: str) -> int:
    """Over how many devices a dimension is split."""
    if unknown := [axis for axis in _axes(axes) if axis not in mesh.shape]:
        raise ValueError(f"{name}: there is no axis {', '.join(unknown)} in the mesh, which has {tuple(mesh.shape)}")
    return math.prod(mesh.shape[axis] for axis in _axes(axes))
