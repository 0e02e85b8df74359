"""Random numbers: JAX keys by name, and torch's own stream without torch."""

from fnlearn.random.generator import TorchGenerator
from fnlearn.random.named import named
from fnlearn.random.order import dataloader_order, sampler_order

__all__ = ["TorchGenerator", "dataloader_order", "named", "sampler_order"]
