"""Nested dicts whose joined keys are `state_dict` keys, and their way in and out of files.

Parameters and buffers are plain nested dicts of arrays; joining the keys with `.` gives torch's names:

    {"linear1": {"weight": w, "bias": b}}   <->   {"linear1.weight": w, "linear1.bias": b}
"""

from fnlearn.tree.nested import flatten, merge, names, partition, unflatten
from fnlearn.tree.stacked import stack_layers, unstack_layers
from fnlearn.tree.state_dict import as_numpy, load, load_state_dict, save

__all__ = [
    "as_numpy",
    "flatten",
    "load",
    "load_state_dict",
    "merge",
    "names",
    "partition",
    "save",
    "stack_layers",
    "unflatten",
    "unstack_layers",
]
