"""`torch.optim` as optax transformations: torch's arguments and torch's trajectory."""

from fnlearn.optim.sgd import sgd

__all__ = ["sgd"]
