"""JAX keys by name, so that a parameter's random numbers depend on what it is called and not on when it is drawn."""

import zlib

import jax

from fnlearn.random.draw import OneKey
from fnlearn.random.generator import TorchGenerator

__all__ = ["named"]


def named(key: OneKey, name: str) -> OneKey:
    """The key that belongs to a name: the same for the same pair, unrelated for any other name.

    Args: key: a typed key (`jax.random.key`), or a `TorchGenerator`. name: any text, such as a layer's attribute name.
    Returns: a typed key; of a generator the generator itself, since a stream has one order and no names.
    Raises: TypeError when `key` is neither.
    Source: `jax.random.fold_in` of the name's CRC-32.
    """
    if isinstance(key, TorchGenerator):
        return key
    if not (hasattr(key, "dtype") and jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise TypeError(f"key must be a typed key such as jax.random.key(0), got {type(key).__name__}: {key!r}")
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
