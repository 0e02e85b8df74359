"""The models by name."""

import importlib
from pathlib import Path
from typing import Any

import torch

from fnlearn import port

NAMES = sorted(path.parent.name for path in Path(__file__).parent.glob("*/torch_model.py"))


def example(name: str) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    """The torch module and its inputs, always with the same numbers."""
    torch.manual_seed(0)
    made: tuple[torch.nn.Module, tuple[Any, ...]] = importlib.import_module(f"gallery.{name}.torch_model").example()
    return made


def written(name: str) -> port.Port:
    """Its port."""
    return port.convert(*example(name))
