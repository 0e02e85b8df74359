"""A `torch.nn.Module` as JAX source that a person would have written."""

from fnlearn.port.convert import Port, convert
from fnlearn.port.errors import PortError

__all__ = ["Port", "PortError", "convert"]
